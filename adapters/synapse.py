"""TDT's Synapse, asked for its mode through the API's HTTP server and never told anything."""

import json
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

from adapters.guard import EVERY_S, Guard

PORT = 24_414
MODE = "/system/mode"
"""All that is ever asked for; a PUT to the same place would stop the recording."""
TIMEOUT_S = 1.0
MAX_BYTES = 1 << 16


def synapse_guard(host: str, port: int = PORT, every_s: float = EVERY_S) -> Guard:
    """Return what asks Synapse now and then whether it records."""
    return Guard("tdt", lambda: mode_sentence(ask_mode(host, port)), "set Synapse to Record", every_s)


def ask_mode(host: str, port: int = PORT) -> str | None:
    """Return Synapse's mode: Idle, Standby, Preview or Record; None if it does not answer."""
    try:
        with urlopen(f"http://{host}:{port}{MODE}", timeout=TIMEOUT_S) as answer:  # http, written here  # nosec B310
            told = json.loads(answer.read(MAX_BYTES))
    except (URLError, OSError, HTTPException, ValueError, RecursionError):
        return None
    mode = told.get("mode") if isinstance(told, dict) else None
    return mode if isinstance(mode, str) else None


def mode_sentence(mode: str | None) -> str | None:
    """Return what is to be said about a mode; nothing if all is well, None if it is not known."""
    if mode is None:
        return None
    return "" if mode == "Record" else f"Synapse does NOT record (it says {mode:.20}): raw data are not kept"
