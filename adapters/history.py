"""The spikes of the last seconds in order of time, each tick of a channel once."""

import numpy as np
from numpy.typing import NDArray

Ticks = NDArray[np.int64]
Columns = NDArray[np.int32]
FIRST_CAPACITY = 1024


class SpikeHistory:
    """Sorted columns that grow at the end and are dropped at the beginning; adding in order costs no sorting."""

    def __init__(self) -> None:
        self._ticks: Ticks = np.empty(FIRST_CAPACITY, np.int64)
        self._columns: Columns = np.empty(FIRST_CAPACITY, np.int32)
        self._first = self._last = 0

    def __len__(self) -> int:
        return self._last - self._first

    def add(self, ticks: Ticks, columns: Columns) -> None:
        """Add spikes in any order; one that is known already is not added again."""
        if not len(ticks):
            return
        at = self._place(int(ticks.min()))
        ticks = np.concatenate([self._ticks[at : self._last], ticks])
        columns = np.concatenate([self._columns[at : self._last], columns])
        order = np.lexsort((columns, ticks))
        ticks, columns = ticks[order], columns[order]
        fresh = np.ones(len(ticks), np.bool_)
        fresh[1:] = (np.diff(ticks) != 0) | (np.diff(columns) != 0)
        self._write(at, ticks[fresh], columns[fresh])

    def between(self, start: int, end: int) -> tuple[Ticks, Columns]:
        """Return the spikes with start <= tick < end."""
        rows = slice(self._place(start), self._place(end))
        return self._ticks[rows], self._columns[rows]

    def holds(self, tick: int, column: int) -> bool:
        """Return whether this very spike is known."""
        return column in self.between(tick, tick + 1)[1]

    def drop_before(self, tick: int) -> None:
        """Forget all spikes before this tick."""
        self._first = self._place(tick)

    def oldest(self, n_from_end: int) -> int:
        """Return the tick of the spike that has so many after it."""
        return int(self._ticks[self._last - 1 - n_from_end])

    def _place(self, tick: int) -> int:
        return self._first + int(np.searchsorted(self._ticks[self._first : self._last], tick))

    def _write(self, at: int, ticks: Ticks, columns: Columns) -> None:
        if at + len(ticks) > len(self._ticks):
            at = self._make_room(at, len(ticks))
        self._last = at + len(ticks)
        self._ticks[at : self._last] = ticks
        self._columns[at : self._last] = columns

    def _make_room(self, at: int, n_new: int) -> int:
        """Move what stays to the front of larger arrays; return where `at` is now."""
        kept = slice(self._first, at)
        capacity = max(FIRST_CAPACITY, 2 * (at - self._first + n_new))
        old_ticks, old_columns = self._ticks[kept], self._columns[kept]
        self._ticks, self._columns = np.empty(capacity, np.int64), np.empty(capacity, np.int32)
        self._ticks[: len(old_ticks)] = old_ticks
        self._columns[: len(old_columns)] = old_columns
        self._first, at = 0, at - self._first
        return at
