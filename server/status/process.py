"""The status page as a process of its own beside a session."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.keys import KEY_VARIABLE

PORT = 8770
"""Where the page of a rig is found, unless somebody says otherwise."""
PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A page that was started."""

    process: "subprocess.Popen[bytes]"
    url: str

    def wait(self) -> None:
        """Wait until it can be opened, which takes a second or two; raise RuntimeError if it cannot."""
        if self.process.stdout is None or not self.process.stdout.readline():
            raise RuntimeError("the status page does not start: its reason stands above")

    def close(self) -> None:
        """End the page; whoever had it open sees that it is gone."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(
    place: Path, server_address: str, host: str = "127.0.0.1", port: int | None = PORT, key: Path | None = None
) -> StatusPage:
    """Start the page for a session file or a folder; on any free port if the one asked for is None or taken.

    `key` is the file with which it comes in, where the server asks for keys.
    """
    port = port if port is not None and _is_free(host, port) else _free_port(host)
    server_address = server_address.replace("://0.0.0.0:", "://127.0.0.1:")  # it listens everywhere: it is here, too
    command = [sys.executable, "-m", "server.status", str(place), "--host", host, "--port", str(port)]
    # A session of its own: a Ctrl-C meant for the server must not close the page in the middle of a generation.
    process = subprocess.Popen(
        [*command, "--server", server_address],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
        env={**os.environ, **({KEY_VARIABLE: str(key)} if key else {})},
    )  # fmt: skip
    return StatusPage(process, f"http://{host}:{port}/#/{place.stem if place.suffix else ''}")


@contextmanager
def beside(place: Path, server_address: str, port: int | None = PORT, key: Path | None = None) -> Iterator[StatusPage]:
    """Keep a page open while something is done."""
    page = start(place, server_address, port=port, key=key)
    try:
        yield page
    finally:
        page.close()


def _is_free(host: str, port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _free_port(host: str) -> int:
    with closing(socket.socket()) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
