"""The Open Ephys GUI's own HTTP server, read only: whether it acquires, and whether it records."""

import json
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from adapters.guard import EVERY_S, Guard

ALLOWED = ("status", "processors", "recording", "cpu", "latency")
"""What is ever asked for; nothing is ever set."""
TIMEOUT_S = 1.0
MAX_BYTES = 1 << 20


def ask(host: str, port: int, what: str) -> dict[str, Any] | None:
    """Return what the GUI answers; None if it does not."""
    if what not in ALLOWED:
        raise ValueError(f"{what!r} is not among what may be asked of the GUI: {', '.join(ALLOWED)}")
    try:
        with urlopen(f"http://{host}:{port}/api/{what}", timeout=TIMEOUT_S) as answer:  # http, written here  # nosec B310
            told = json.loads(answer.read(MAX_BYTES))
    except (URLError, OSError, HTTPException, ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def recording_sentence(status: dict[str, Any] | None) -> str:
    """Return what is to be said about a status; nothing if all is well."""
    if status is None:
        return "the GUI does not answer on its HTTP port, so nobody knows whether it records"
    mode = status.get("mode")
    return "" if mode == "RECORD" else f"the GUI does NOT record (it says {mode}): raw data are not kept. Press record"


def recording_guard(host: str, port: int, every_s: float = EVERY_S) -> Guard:
    """Return what asks the GUI now and then whether it records."""
    do = "press record in the GUI; look at its HTTP server"
    return Guard("open_ephys", lambda: recording_sentence(ask(host, port, "status")), do, every_s)
