"""Looks at images in a thread of its own, so that a large network holds up neither answers nor heartbeats."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

PATIENCE_S = 0.1
"""A small network is done by then: its answers need not wait for the next poll. Heartbeats go by five times as long."""


class Looker:
    """Runs jobs one after the other and in their order; hands out what came of them."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "network")
        self._looking: deque[Future[Any]] = deque()
        self.n_begun = 0
        """Jobs taken."""
        self.n_done = 0
        """Jobs whose result was handed out."""

    def begin(self, job: Callable[[], Any]) -> None:
        """Take a job; wait a moment for it, since most networks need no more."""
        self.n_begun += 1
        self._looking.append(self._thread.submit(job))
        wait([self._looking[-1]], PATIENCE_S)

    def done(self) -> Iterator[Any]:
        """Yield what came of the jobs that are done, in their order; raise what they raised."""
        while self._looking and self._looking[0].done():
            self.n_done += 1
            yield self._looking.popleft().result()

    def forget(self) -> None:
        """Drop all that is not handed out."""
        for each in self._looking:
            each.cancel()
        self._looking.clear()
        self.n_done = self.n_begun

    def close(self) -> None:
        """End the thread; what it is at, it finishes."""
        self.forget()
        self._thread.shutdown(wait=False, cancel_futures=True)
