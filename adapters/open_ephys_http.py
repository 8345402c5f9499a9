"""The Open Ephys GUI's own HTTP server, read only: whether it acquires, and whether it records."""

import json
import logging
from threading import Event, Thread
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

ALLOWED = ("status", "processors", "recording", "cpu", "latency")
"""What is ever asked for; nothing is ever set."""
TIMEOUT_S = 1.0
EVERY_S = 10.0
MAX_BYTES = 1 << 20
log = logging.getLogger(__name__)


def ask(host: str, port: int, what: str) -> dict[str, Any] | None:
    """Return what the GUI answers; None if it does not."""
    if what not in ALLOWED:
        raise ValueError(f"{what!r} is not among what may be asked of the GUI: {', '.join(ALLOWED)}")
    try:
        with urlopen(f"http://{host}:{port}/api/{what}", timeout=TIMEOUT_S) as answer:
            told = json.loads(answer.read(MAX_BYTES))
    except (URLError, OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def recording_sentence(status: dict[str, Any] | None) -> str:
    """Return what is to be said about a status; nothing if all is well."""
    if status is None:
        return "the GUI does not answer on its HTTP port, so nobody knows whether it records"
    mode = status.get("mode")
    return "" if mode == "RECORD" else f"the GUI does NOT record (it says {mode}): raw data are not kept. Press record"


class RecordingGuard:
    """Asks now and then, in a thread of its own, and says so when the GUI does not record."""

    def __init__(self, host: str, port: int, every_s: float = EVERY_S) -> None:
        self._host, self._port, self._every_s = host, port, every_s
        self._stop = Event()
        self._thread = Thread(target=self._run, name="recording guard", daemon=True)
        self._thread.start()

    def status(self) -> dict[str, Any] | None:
        """Return what the GUI says now; None if it does not answer."""
        return ask(self._host, self._port, "status")

    def close(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._stop.wait(self._every_s):
            sentence = recording_sentence(self.status())
            if sentence != said:
                log.warning("open_ephys: %s", sentence or "the GUI records")
            said = sentence
