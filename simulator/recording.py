"""A recording as it is made: spikes and onset pulses put on the recording system's own clock. No socket, no waiting.

Neurons say spikes in seconds from an onset, and the recording system turns them into its ticks: its clock began at some
tick when the display's stood somewhere, and drifts against it. Spikes of images in quick succession add up, as they
would. Where the system would take two spikes of a channel for one, since they share a tick or a bin or lie within a
detector's lock-out, the second moves to where there is room, but never over an edge of the windows in which spikes are
counted. A spike that has no room in its window is not recorded: no detector would have found it.
"""

import logging
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adapters.events import Edge, Word
from adapters.peers.block import EXACT, Block, Resolution
from adapters.windows import MICROSECONDS, to_ticks
from simulator.room import Wish, find_room

PULSE_S = 0.005
"""How long the onset line stays high."""
Seconds = NDArray[np.float64]
Columns = NDArray[np.int32]
Row = TypeVar("Row", tuple[int, int], tuple[int, bool])
log = logging.getLogger(__name__)
FLOAT32_S = 1e-8
"""Half the distance of two float32 near 0.2 s: a spike at the edge of a window must not fall out of it."""


@dataclass(frozen=True, slots=True)
class Oscillator:
    """The recording's clock against the display's."""

    ticks_per_s: Fraction
    first_tick: int = 0
    """Where it stood"""
    first_s: float = 0.0
    """when the display's stood here."""
    drift: float = 0.0
    """Seconds gained a second: 50e-6 is 50 ppm."""

    def tick(self, display_s: float) -> int:
        """Return the tick of a time on the display's clock."""
        return self.first_tick + round((display_s - self.first_s) * (1 + self.drift) * float(self.ticks_per_s))


class Recording:
    """What is going to be recorded; blocks are taken from it in order of time, each once."""

    def __init__(
        self,
        oscillator: Oscillator,
        line: int = 0,
        windows_s: Iterable[tuple[float, float]] = (),
        resolution: Resolution = EXACT,
    ) -> None:
        self.oscillator = oscillator
        self.n_late = 0
        """Onsets that came when their time was recorded already: they have lost their earliest spikes."""
        self.n_crowded = 0
        """Spikes that had no room in their window."""
        self._line, self._resolution = line, resolution
        rate = oscillator.ticks_per_s
        edges_s = sorted({edge_s for window_s in windows_s for edge_s in window_s})
        self._edges_us = [_us(edge_s) for edge_s in edges_s]
        self._walls = [-self._binned(-to_ticks(edge_s, rate)) for edge_s in edges_s]
        """From the onset: the first tick, or the first of a bin, that the adapter counts beyond each edge."""
        # Ticks are whole: the last of a showing's windows may be the first of the next one's, so nobody has it.
        self._walls[-1:] = [self._binned(to_ticks(edge_s, rate) - 1) for edge_s in edges_s[-1:]]
        self._nobodys = oscillator.first_tick - 1
        """That tick, or bin, of the last showing."""
        self._pulse = to_ticks(PULSE_S, rate)
        self._end = self._binned(oscillator.first_tick)
        self._spikes: list[tuple[int, int]] = []
        """(tick, column), in order, after the last block."""
        self._taken: dict[int, list[int]] = {}
        """By column, the ticks of spikes that the next ones must keep away from."""
        self._edges: list[tuple[int, bool]] = []
        self._words: list[tuple[int, int]] = []

    def show(self, onset_s: float, times_s: Seconds, columns: Columns, word: int = 0) -> int:
        """Put an onset on record, and the spikes after it; times are from the onset, and may be negative.

        Return the onset's tick.
        """
        onset = self._binned(self.oscillator.tick(onset_s))
        relative = np.floor((times_s + FLOAT32_S) * float(self.oscillator.ticks_per_s)).astype(np.int64)
        if onset + self._binned(int(relative.min(initial=0))) < self._end:
            self.n_late += 1
            if not self._resolution.of_the_past:
                return onset
        insort(self._edges, (onset, True))
        insort(self._edges, (onset + self._pulse, False))
        if word:
            insort(self._words, (onset, word))
        wishes = list(self._wishes(onset, times_s, relative))
        for column in np.unique(columns).tolist():
            self._put(column, sorted(wishes[place] for place in np.flatnonzero(columns == column)))
        return onset

    def block(self, length: int) -> Block:
        """Return the next stretch of so many ticks; what came too late for an earlier one is in it, with its tick."""
        start, self._end = self._end, self._end + length
        spikes = _before(self._spikes, self._end)
        ticks, columns = np.array(spikes, np.int64).reshape(-1, 2).T
        edges = [Edge(tick, self._line, rising) for tick, rising in _before(self._edges, self._end)]
        words = [Word(tick, value) for tick, value in _before(self._words, self._end)]
        return Block(start, self._end, ticks.copy(), columns.astype(np.int32), tuple(edges), tuple(words))

    def begin(self, display_s: float) -> None:
        """Let the clock stand at its first tick now, whatever was before."""
        self.oscillator = replace(self.oscillator, first_s=display_s)

    def can_give(self, length: int, until_s: float) -> bool:
        """Return whether a stretch of so many ticks is over at a time of the display's clock."""
        return self._end + length <= self.oscillator.tick(until_s)

    def _wishes(self, onset: int, times_s: Seconds, ticks: NDArray[np.int64]) -> Iterator[Wish]:
        """Yield where spikes should be, and between which ticks they stay in the windows that they were fired in."""
        walls = [onset + wall for wall in self._walls]
        if walls:
            walls[0] += self._resolution.bin if walls[0] == self._nobodys else 0
            self._nobodys = walls[-1]
        for time_s, tick in zip(times_s.tolist(), ticks.tolist(), strict=True):
            # To the microsecond, as the windows are, and as whoever fired the spikes counts them.
            place = bisect_right(self._edges_us, _us(time_s))
            first = walls[place - 1] if place else -inf
            last = walls[place] - self._resolution.bin - self._resolution.late if place < len(walls) else inf
            yield Wish(int(min(max(onset + self._binned(tick), first), last)), first, last)

    def _put(self, column: int, wishes: list[Wish]) -> None:
        """Put the spikes of a channel where there is room."""
        apart = max(self._resolution.apart, self._resolution.bin)
        taken = self._taken.setdefault(column, [])
        del taken[: bisect_left(taken, self._end - apart)]
        ticks = find_room(wishes, taken, apart)
        if len(ticks) < len(wishes) and not self.n_crowded:
            log.warning("more spikes of a channel than its window has room for: this system would not find them all")
        self.n_crowded += len(wishes) - len(ticks)
        for tick in ticks:
            insort(taken, tick)
            insort(self._spikes, (tick, column))

    def _binned(self, tick: int) -> int:
        return tick // self._resolution.bin * self._resolution.bin


def _us(time_s: float) -> int:
    return round(time_s * MICROSECONDS)


def _before(rows: list[Row], end: int) -> list[Row]:
    """Take the rows before a tick out of a sorted list, and return them."""
    n = next((place for place, row in enumerate(rows) if row[0] >= end), len(rows))
    taken, rows[:n] = rows[:n], []
    return taken
