"""Whether the lab keeps its raw data: asked of the recording program now and then, and said when it does not."""

import logging
from collections.abc import Callable
from threading import Event, Lock, Thread

from adapters.alarms import Alarm

EVERY_S = 10.0
CONSEQUENCE = "the session goes on, but there may be no raw data to sort and to look at afterwards"
log = logging.getLogger(__name__)


class Guard:
    """Looks in a thread of its own. `look` returns what is wrong in words, "" if all is well, None if nobody can tell.

    `do` is what a person should do about it.
    """

    def __init__(self, name: str, look: Callable[[], str | None], do: str, every_s: float = EVERY_S) -> None:
        self._name, self._look, self._do, self._every_s = name, look, do, every_s
        self._said = ""
        self._lock, self._stop = Lock(), Event()
        self._thread = Thread(target=self._run, name="recording guard", daemon=True)
        self._thread.start()

    def look(self) -> str | None:
        """Return what is wrong now."""
        with self._lock:
            return self._look()

    def alarms(self) -> dict[str, Alarm]:
        """Return what was wrong when it was looked last."""
        return {"not_recording": Alarm(self._said, CONSEQUENCE, self._do)} if self._said else {}

    def close(self) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            sentence = self.look()
            if sentence and sentence != self._said:
                log.warning("%s: %s", self._name, sentence)
            elif sentence == "" and self._said:
                log.info("%s: raw data are kept", self._name)
            self._said = sentence or ""
