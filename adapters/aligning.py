"""What the aligner is told, keeps and says: edges and trials, where an onset lies, what became of them all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.clock import Seconds

ANONYMOUS = -1
"""The code of an edge that carries no identity."""
NOTHING_SHOWN = "no trial has been shown yet"


@dataclass(slots=True)
class OnsetEdge:
    """An edge, or a word, that may be an onset."""

    tick: int
    time_s: float
    """Since the recording began."""
    code: int
    at_s: float
    used: bool = False


@dataclass(slots=True, eq=False)
class PendingTrial:
    """A trial whose onsets are still to be found."""

    presentation_ids: NDArray[np.int64]
    onsets_s: Seconds
    codes: NDArray[np.int64]
    at_s: float
    decided: bool = False
    found: int = 0
    """How many of its onsets have an edge."""
    seen_s: float | None = None
    """Where the recording stood when the trial was reported."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """Where a presentation's onset lies in the recording, or why that is not known."""

    presentation_id: int
    tick: int | None
    reason: str = ""
    inferred: bool = False


@dataclass(slots=True)
class Tally:
    """What became of onsets and edges, for people."""

    found: int = 0
    missing: int = 0
    double: int = 0
    edges: int = 0
    why_no_clock: str = NOTHING_SHOWN
    trials_without: int = 0
    """Trials in a row that had no edge at all."""
    trials_short: int = 0
    """Trials in a row that lacked some edge."""


@dataclass(frozen=True, slots=True)
class AlignerRules:
    """How onsets are recognized."""

    tolerance_s: float = 0.008
    """Half a frame at 60 Hz."""
    lock_onsets: int = 8
    """With fewer onsets the clocks are not matched,"""
    lock_trials: int = 2
    """nor with those of fewer trials: one regular train with a lost edge may fit one interval off."""
    infer: bool = False
    """Whether a missing edge may be replaced by where the clock puts it."""
    keep_s: float = 120.0
