"""A recording as it is made: spikes and onset pulses put on the recording system's own clock. No socket, no waiting.

Neurons say spikes in seconds from an onset, and the recording system turns them into its ticks: its clock began at some
tick when the display's stood somewhere, and drifts against it. Spikes of images in quick succession add up, as they
would. Two spikes of a channel never share a tick, which would make them one; the second moves to a free tick beside it,
but never over an edge of the windows in which spikes are counted.
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adapters.events import Edge, Word
from adapters.peers.block import Block
from adapters.windows import to_ticks

PULSE_S = 0.005
"""How long the onset line stays high."""
Seconds = NDArray[np.float64]
Columns = NDArray[np.int32]
Row = TypeVar("Row", tuple[int, int], tuple[int, bool])
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

    def __init__(self, oscillator: Oscillator, line: int = 0, windows_s: Iterable[tuple[float, float]] = ()) -> None:
        self.oscillator = oscillator
        self.n_late = 0
        """Onsets that came when their time was recorded already: they have lost their earliest spikes."""
        self._line = line
        rate = oscillator.ticks_per_s
        self._walls = sorted({to_ticks(edge_s, rate) for window_s in windows_s for edge_s in window_s})
        self._pulse = to_ticks(PULSE_S, rate)
        self._end = oscillator.first_tick
        self._spikes: list[tuple[int, int]] = []
        """(tick, column), in order, after the last block."""
        self._taken: set[tuple[int, int]] = set()
        self._edges: list[tuple[int, bool]] = []
        self._words: list[tuple[int, int]] = []

    def show(self, onset_s: float, times_s: Seconds, columns: Columns, word: int = 0) -> None:
        """Put an onset on record, and the spikes after it; times are from the onset, and may be negative."""
        onset = self.oscillator.tick(onset_s)
        relative = np.floor((times_s + FLOAT32_S) * float(self.oscillator.ticks_per_s)).astype(np.int64)
        first = onset + int(relative.min(initial=0))
        self.n_late += first < self._end
        insort(self._edges, (onset, True))
        insort(self._edges, (onset + self._pulse, False))
        if word:
            insort(self._words, (onset, word))
        for tick, column in sorted(zip(relative.tolist(), columns.tolist(), strict=True)):
            self._put(onset, tick, column)

    def block(self, length: int) -> Block:
        """Return the next stretch of so many ticks; what came too late for an earlier one is in it, with its tick."""
        start, self._end = self._end, self._end + length
        spikes = _before(self._spikes, self._end)
        self._taken.difference_update(spikes)
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

    def _put(self, onset: int, relative: int, column: int) -> None:
        """Put a spike where its channel has no other, in the same window."""
        wall = next((each for each in self._walls if each > relative), None)
        tick, step = relative, 1
        while (onset + tick, column) in self._taken:
            tick += step
            if tick == wall:
                tick, step = relative, -1
        self._taken.add((onset + tick, column))
        insort(self._spikes, (onset + tick, column))


def _before(rows: list[Row], end: int) -> list[Row]:
    """Take the rows before a tick out of a sorted list, and return them."""
    n = next((place for place, row in enumerate(rows) if row[0] >= end), len(rows))
    taken, rows[:n] = rows[:n], []
    return taken
