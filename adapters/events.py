"""What a recording's stream says, whoever made the recording system: the words between wires and counting.

Times are ticks: whole numbers on the recording's own clock, unwrapped, never floats.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Chunk:
    """What one read of one connection gave."""

    at_s: float
    """When it was read, on this program's monotonic clock."""
    frames: tuple[bytes, ...]
    """The frames of a message, or one stretch of a byte stream."""
    port: int = 0
    """Which connection, where a system has several."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The stream begins, or begins anew: nothing is known of what was before, and old ticks mean nothing."""

    tick: int
    """The record is whole from here on."""
    ticks_per_s: Fraction
    reason: str = "the recording began"


@dataclass(frozen=True, slots=True, eq=False)
class Spikes:
    """Spikes, in any order."""

    ticks: NDArray[np.int64]
    """[n_spikes]"""
    columns: NDArray[np.int32]
    """[n_spikes] place of the channel among those that are counted."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A digital line changed."""

    tick: int
    line: int
    rising: bool


@dataclass(frozen=True, slots=True)
class Word:
    """A number that the display sent along with an onset, to say which."""

    tick: int
    value: int


@dataclass(frozen=True, slots=True)
class Watermark:
    """Everything before this tick has been delivered."""

    tick: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Something between these ticks may be missing."""

    start: int
    end: int
    """First tick that is whole again."""
    reason: str
    """In words, to follow "overlaps": "3 lost messages"."""
    lost: int = 0
    """How many messages, packets or samples, where it is known."""


Event = Begin | Spikes | Edge | Word | Watermark | Gap


def one_spike(tick: int, column: int) -> Spikes:
    """Return a single spike."""
    return Spikes(np.array([tick], np.int64), np.array([column], np.int32))
