"""One thread a recording system, which reads its sockets and does nothing else; its queue is bounded."""

import logging
from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from threading import Event as Flag
from time import monotonic
from typing import Protocol

from adapters.events import Chunk

CUT = -1
"""The port of a chunk that says: something is missing here, and its first frame says why."""
OVERFLOW = b"more data came than could be dealt with"
WAIT_S = 0.05
MAX_BYTES = 256 << 20
"""Some ten seconds of the fastest stream: who is so far behind does not catch up."""
log = logging.getLogger(__name__)


class Reader(Protocol):
    """Sockets of one recording system, read by one thread."""

    def read(self, wait_s: float) -> list[tuple[int, tuple[bytes, ...]]]:
        """Return (port, frames) of what has come, waiting at most so long for the first; port CUT where it broke."""

    def close(self) -> None:
        """Close the sockets."""


class Pump:
    """Feeds what a reader reads, in order; what does not fit is dropped, and a cut stands in its place."""

    def __init__(
        self, reader: Reader, clock: Callable[[], float] = monotonic, max_bytes: int = MAX_BYTES, start: bool = True
    ) -> None:
        self._reader, self._clock, self._max_bytes = reader, clock, max_bytes
        self._queue: deque[Chunk] = deque()
        self._n_bytes = 0
        self._overflows_s: float | None = None
        """Since when nothing fits."""
        self._n_dropped = 0
        self._lock, self._stop = Condition(), Flag()
        self._thread = Thread(target=self._run, name="acquisition", daemon=True)
        if start:
            self._thread.start()

    def drain(self) -> list[Chunk]:
        """Return what was read since the last call."""
        with self._lock:
            chunks, self._queue = list(self._queue), deque()
            if self._overflows_s is not None:
                # How many bytes are missing, since a stream goes on in the middle of something.
                chunks.append(Chunk(self._overflows_s, (OVERFLOW, str(self._n_dropped).encode()), CUT))
            self._n_bytes, self._n_dropped, self._overflows_s = 0, 0, None
        return chunks

    def wait(self, wait_s: float) -> list[Chunk]:
        """Return what was read, after waiting at most so long for something."""
        with self._lock:
            self._lock.wait_for(lambda: bool(self._queue), wait_s)
        return self.drain()

    def close(self) -> None:
        """Stop reading, and close the sockets."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._reader.close()

    def step(self) -> None:
        """Read once."""
        for port, frames in self._reader.read(WAIT_S):
            self._put(Chunk(self._clock(), frames, port))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
            except Exception as error:
                # A thread that dies would look like a recording that stands still.
                log.exception("reading went wrong")
                self._put(Chunk(self._clock(), (f"reading went wrong: {error}".encode(),), CUT))
                self._stop.wait(WAIT_S)

    def _put(self, chunk: Chunk) -> None:
        n_bytes = sum(map(len, chunk.frames))
        with self._lock:
            # After one that does not fit a smaller one would, but the next hole after it would have no cut of its own.
            if self._overflows_s is None and self._n_bytes + n_bytes <= self._max_bytes:
                self._queue.append(chunk)
                self._n_bytes += n_bytes
                self._lock.notify()
            else:
                self._overflows_s = chunk.at_s if self._overflows_s is None else self._overflows_s
                self._n_dropped += n_bytes
