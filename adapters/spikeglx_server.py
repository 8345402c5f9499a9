"""SpikeGLX's command server: a line is asked, lines or samples come back. The list of what may be asked is closed."""

import re
import socket

from adapters.readers import CONNECT_S

ALLOWED = ("FETCH", "GETSTREAMSAMPLERATE", "GETSTREAMSAMPLECOUNT", "ISSAVING", "ISRUNNING", "NOOP")
"""All that is ever sent: the same port could stop the run or switch outputs."""
TIMEOUT_S = 3.0
MAX_LINE = 65_536
_FETCHED = re.compile(rb"BINARY_DATA (\d{1,5}) (\d{1,7}) uint64\((\d{1,18})\)")


class CommandServer:
    """One connection: a line is sent, lines come back, and `OK` or `ERROR` ends them."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, CONNECT_S)
        self._socket.settimeout(TIMEOUT_S)
        self._file = self._socket.makefile("rb")

    def ask(self, command: str) -> str:
        """Return the line that answers a question; raise ValueError for an error."""
        self._send(command)
        answer = self._line()
        if answer != b"OK" and self._line() != b"OK":
            raise ValueError(f"{command.split(maxsplit=1)[0]} was not answered as it should be")
        return answer.decode("latin-1")

    def fetch(self, command: str) -> tuple[bytes, bytes]:
        """Return the head and the samples of a fetch."""
        self._send(command)
        head = self._line()
        n_channels, n_samples, _ = fetched(head)
        data = self._file.read(2 * n_channels * n_samples)
        if self._line() != b"OK":
            raise ValueError("a fetch does not end with OK")
        return head, data

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def _send(self, command: str) -> None:
        if not command.isprintable() or command.split(maxsplit=1)[0] not in ALLOWED:
            raise ValueError(f"{command!r} is not among what may be sent to SpikeGLX: {', '.join(ALLOWED)}")
        self._socket.sendall(f"{command}\n".encode())

    def _line(self) -> bytes:
        line = self._file.readline(MAX_LINE)
        if not line.endswith(b"\n"):
            raise ConnectionError("SpikeGLX closed the connection")
        if line.startswith(b"ERROR"):
            raise ValueError(line.decode("latin-1").strip())
        return line.strip()


def fetched(head: bytes) -> tuple[int, int, int]:
    """Return the numbers of channels and of samples, and the first sample."""
    found = _FETCHED.fullmatch(head)
    if found is None:
        raise ValueError("no BINARY_DATA")
    return int(found[1]), int(found[2]), int(found[3])
