"""What a recording program answers when it is asked for its state, beside its data. What it is told it does not do."""

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"
CLOSING_S = 0.05
"""How soon it is seen that nobody is to be answered any more."""
UNKNOWN = "Unrecognized parameter"
"""What RHX replies to a question that it does not understand."""
COMMAND_BYTES = 4096
Answers = Mapping[str, Callable[[], Any]]


class HttpAnswers:
    """A program's own HTTP server, read only: what stands at each path, as JSON."""

    def __init__(self, port: int, answers: Answers) -> None:
        """Answer at a port of this machine, 0 = any free one."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer = answers.get(self.path)
                body = json.dumps(answer()).encode() if answer else b""
                self.send_response(200 if answer else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=[CLOSING_S], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class CommandAnswers:
    """RHX's command port: replies that have no end, to one client at a time; the next may come when it has gone.

    The real one lets nobody in again until somebody clicks Connect.
    """

    def __init__(self, port: int, answers: Answers) -> None:
        """Answer `get NAME;` at a port of this machine, 0 = any free one; names are in small letters."""
        self._answers = answers
        self._listener = socket.create_server((HOST, port))
        self.port = int(self._listener.getsockname()[1])
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def reply(self, command: str) -> str:
        """Return what is replied; nothing to what is no question."""
        what, _, name = command.strip().lower().partition(" ")
        if what != "get":
            return ""
        answer = self._answers.get(name.strip())
        return f"Return: {answer()}" if answer else UNKNOWN

    def close(self) -> None:
        """Answer no more."""
        for each in filter(None, (self._listener, self._client)):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._client, _ = self._listener.accept()
                with self._client as client, suppress(ConnectionError):
                    while said := client.recv(COMMAND_BYTES):
                        commands = said.decode("latin-1").rstrip("; \r\n").split(";")
                        client.sendall("".join(map(self.reply, commands)).encode("latin-1"))
