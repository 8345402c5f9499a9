"""The web server under the page: FastAPI on uvicorn, on a socket that listens already."""

import os
import socket
import sys
from importlib.metadata import version
from pathlib import Path
from types import FrameType

import uvicorn

from protocol.keys import PeerKey
from server.status.access import Access
from server.status.app import create_app
from server.status.library import Library
from server.status.operator import Operator

POLITENESS = 5
"""The loop that talks to the display comes before a page that people look at."""


def serve(
    place: Path, server: str | None, rules: Access, listening: socket.socket,
    certificate: Path | None, key: Path | None, peer_key: PeerKey | None = None,
) -> None:  # fmt: skip
    """Serve the page on a socket until the process is told to go; `server` is the address of one to ask, or None."""
    if sys.platform != "win32":
        os.nice(POLITENESS)
    operator = None if server is None else Operator(server, f"xdream {version('xdream')}", key=peer_key)
    app = create_app(place, operator, rules)
    config = uvicorn.Config(
        app, log_level="warning", server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=1, ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip
    _Server(config, app.state.library).run(sockets=[listening])


class _Server(uvicorn.Server):
    """A server that ends its streams when it is told to go, and does not wait for those who listen."""

    def __init__(self, config: uvicorn.Config, library: Library) -> None:
        super().__init__(config)
        self._library = library

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take leave."""
        self._library.close()
        super().handle_exit(sig, frame)
