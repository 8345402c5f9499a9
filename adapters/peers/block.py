"""A stretch of a recording, before a peer puts it into its system's words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adapters.events import Edge, Word
from adapters.history import Columns, Ticks

WAIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a peer speaks, in its adapter's own options, and how long it waits for the adapter."""

    options: Mapping[str, str] = field(default_factory=dict)
    wait_s: float = WAIT_S

    def port(self, name: str) -> int:
        """Return the port of that option; 0 = any free one."""
        return int(self.options.get(name, 0))


ANYWHERE = Place()


@dataclass(frozen=True, slots=True)
class Resolution:
    """What of a channel's spikes a wire can tell, in ticks; whoever makes a recording for it keeps to that."""

    apart: int = 1
    """Of two spikes nearer than this only one is told;"""
    late: int = 0
    """a spike may be told to be so much later than it was;"""
    bin: int = 1
    """and times are known to so much, counted from tick 0."""
    of_the_past: bool = True
    """Whether what came too late is told with the time that it belongs to; if not, it is not on record at all."""


EXACT = Resolution()


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What happened at start <= tick < end."""

    start: int
    end: int
    ticks: Ticks = field(default_factory=lambda: np.zeros(0, np.int64))
    """[n_spikes]"""
    columns: Columns = field(default_factory=lambda: np.zeros(0, np.int32))
    """[n_spikes]"""
    edges: tuple[Edge, ...] = ()
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Script:
    """A recording made up beforehand, in order of time."""

    ticks: Ticks
    """[n_spikes]"""
    columns: Columns
    """[n_spikes]"""
    edges: NDArray[np.int64]
    """[n_edges, 3] tick, line, 1 = rising."""
    words: NDArray[np.int64]
    """[n_words, 2] tick, value."""

    def blocks(self, start: int, end: int, length: int) -> Iterator[Block]:
        """Yield it in blocks of a length, the last one cut short."""
        for first in range(start, end, length):
            yield self.block(first, min(first + length, end))

    def block(self, start: int, end: int) -> Block:
        """Return what happened in between."""
        spikes = slice(*np.searchsorted(self.ticks, (start, end)))
        edges = self.edges[slice(*np.searchsorted(self.edges[:, 0], (start, end)))]
        words = self.words[slice(*np.searchsorted(self.words[:, 0], (start, end)))]
        return Block(
            start,
            end,
            self.ticks[spikes],
            self.columns[spikes],
            tuple(Edge(tick, line, bool(state)) for tick, line, state in edges.tolist()),
            tuple(Word(tick, value) for tick, value in words.tolist()),
        )
