"""A thread for what may take a while: markers, reward pulses. Whoever hands something over never waits."""

import logging
import queue
import threading
import time
from collections.abc import Callable

LIMIT = 256
"""Jobs that may wait. A port that is 256 behind is broken, and what it would still say is of no use."""
log = logging.getLogger(__name__)


class Courier:
    """Does jobs one after the other in the order they came; counts those it had no room for and those that failed."""

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self.name = name
        self.n_lost = 0
        """Jobs that were not taken, for too many waited."""
        self.n_failed = 0
        self.problem = ""
        """What the last failure said."""
        self._jobs: queue.Queue[Callable[[], None] | None] = queue.Queue(limit)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def hand_over(self, job: Callable[[], None]) -> bool:
        """Have something done soon; return False, having counted it, when too much waits already."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.n_lost += 1
            if self.n_lost == 1:
                log.warning("%s: too slow, so something was left out; it is counted from here on", self.name)
            return False
        return True

    def finish(self, timeout_s: float) -> bool:
        """Wait until all that was handed over is done; return whether it is."""
        done = threading.Event()
        deadline_s = time.monotonic() + timeout_s
        try:
            self._jobs.put(done.set, timeout=timeout_s)
        except queue.Full:
            return False
        return done.wait(max(0.0, deadline_s - time.monotonic()))

    def close(self, timeout_s: float = 1.0) -> bool:
        """Do what waits, end the thread, and return whether it has ended in time."""
        deadline_s = time.monotonic() + timeout_s
        try:
            self._jobs.put(None, timeout=timeout_s)
        except queue.Full:
            return False
        self._thread.join(max(0.0, deadline_s - time.monotonic()))
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # whatever a port's driver raises, the next job gets its chance
                self.n_failed += 1
                self.problem = str(error) or type(error).__name__
                if self.n_failed == 1:
                    log.warning("%s: %s", self.name, self.problem)
