"""RHX's command port, for questions only. Its replies have no end, so one question is asked at a time."""

import re
import socket
from contextlib import suppress

from adapters.guard import EVERY_S, Guard
from adapters.source import SourceError

ALLOWED = ("get version", "get type", "get sampleratehertz", "get runmode")
"""All that is ever sent. A bare `set` crashes RHX; a stimulation command would be worse."""
TIMEOUT_S = 2.0
QUIET_S = 0.25
"""A reply has no end: it is over when nothing more has come for so long."""
PATIENCE = 3
"""Questions without an answer, after which none is asked any more."""
MAX_REPLY_BYTES = 4096
_VALUE = re.compile(r"Return: \w+ (\S+)")


def ask(connection: socket.socket, question: str) -> str:
    """Return the value that RHX replies with; raise SourceError if it makes no sense."""
    if question not in ALLOWED:
        raise ValueError(f"{question!r} is not among what may be sent to RHX: {', '.join(ALLOWED)}")
    _drop_what_came_late(connection)
    connection.settimeout(TIMEOUT_S)
    connection.sendall(f"{question};".encode())
    reply = ""
    with suppress(TimeoutError):
        while len(reply) < MAX_REPLY_BYTES and (piece := connection.recv(MAX_REPLY_BYTES)):
            reply += piece.decode("latin-1")
            connection.settimeout(QUIET_S)
    found = _VALUE.search(reply)
    if not found:
        raise SourceError(f"RHX replied {reply!r} to {question!r}.")
    return found[1]


def ask_sample_rate(host: str, port: int) -> tuple[str, socket.socket]:
    """Return the sample rate, and the connection: RHX stops listening when it is closed, so it is kept."""
    try:
        connection = socket.create_connection((host, port), TIMEOUT_S)
    except OSError as error:
        raise SourceError(
            f"no connection to RHX's command port at {host}:{port} ({error}). Click Network > Remote TCP Control > "
            "Connect, or say the sample rate yourself: -o rate_hz=30000"
        ) from error
    try:
        return ask(connection, "get sampleratehertz"), connection
    except (OSError, SourceError) as error:
        connection.close()
        raise SourceError(f"RHX does not say its sample rate: {error} Say it yourself: -o rate_hz=30000") from error


class RunModeGuard(Guard):
    """Asks RHX whether it records, on the connection that is open anyway; whoever does not answer is asked no more."""

    def __init__(self, connection: socket.socket, every_s: float = EVERY_S) -> None:
        self._connection, self._patience = connection, PATIENCE
        do = "press record in RHX, after naming a file"
        super().__init__("intan_rhx", self._ask, do, every_s)

    def close(self) -> None:
        """Ask no more, and close the connection."""
        super().close()
        self._connection.close()

    def _ask(self) -> str | None:
        if not self._patience:
            return None
        try:
            mode = ask(self._connection, "get runmode")
        except (OSError, SourceError):
            self._patience -= 1
            return None
        self._patience = PATIENCE
        return run_mode_sentence(mode)


def run_mode_sentence(mode: str) -> str:
    """Return what is to be said about a run mode; nothing if all is well."""
    return "" if mode.lower() == "record" else f"RHX does NOT record (it says {mode}): raw data are not kept"


def _drop_what_came_late(connection: socket.socket) -> None:
    """Take what RHX said after nobody waited for it any more: it would pass for the next answer."""
    connection.setblocking(False)
    with suppress(BlockingIOError):
        while connection.recv(MAX_REPLY_BYTES):
            pass
