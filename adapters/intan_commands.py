"""RHX's command port, for questions only. Its replies have no end, so one question is asked at a time."""

import re
import socket

from adapters.source import SourceError

ALLOWED = ("get version", "get type", "get sampleratehertz", "get runmode")
"""All that is ever sent. A bare `set` crashes RHX; a stimulation command would be worse."""
TIMEOUT_S = 2.0
MAX_REPLY_BYTES = 4096


def ask(connection: socket.socket, question: str) -> str:
    """Return the value that RHX replies with; raise SourceError if it makes no sense."""
    if question not in ALLOWED:
        raise ValueError(f"{question!r} is not among what may be sent to RHX: {', '.join(ALLOWED)}")
    connection.settimeout(TIMEOUT_S)
    connection.sendall(f"{question};".encode())
    reply = ""
    try:
        while not (found := re.search(r"Return: \w+ (\S+)", reply)) and len(reply) < MAX_REPLY_BYTES:
            piece = connection.recv(MAX_REPLY_BYTES)
            reply += piece.decode("latin-1")
            if not piece:
                break
    except TimeoutError:
        found = None
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
    except SourceError:
        connection.close()
        raise
