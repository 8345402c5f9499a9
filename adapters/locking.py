"""The first match of display and recording: the one shift of the clocks under which onsets fall on edges.

A train of equal intervals fits itself when moved by one interval, but for its ends. So a shift is taken only if nearly
all onsets fit, no other shift comes near, and no edge had to be known before it had arrived.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adapters.clock import Seconds

HITS = 0.9
"""Share of the onsets that must have an edge."""
LEAST_LEAD = 2
"""By how many onsets the best shift must lead: one interval off, each trial of a regular train lacks just one."""
SLACK_S = 0.25
"""By how much an edge may arrive after the report of its trial: a stream is slower than the display's report.

Where trials follow each other faster than that, half their distance: else the next trial's edges could be this one's.
"""
PROBES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Points on a clock: onsets on the display's, edges on the recording's."""

    times_s: Seconds
    """[n] ascending"""
    codes: NDArray[np.int64]
    """[n] which onset it is; all equal where edges carry no identity."""
    at_s: Seconds
    """[n] when this program heard of it."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A shift that was looked for: found, or why not."""

    shift_s: float | None
    """Recording time minus display time."""
    reason: str = ""


def find_shift(onsets: Marks, edges: Marks, tolerance_s: float, n_trials: int) -> Lock:
    """Return the shift that puts onsets on edges, if there is just one."""
    shifts_s = _candidates(onsets, edges, tolerance_s)
    if not len(shifts_s):
        return Lock(None, "the recording shows no onset edges. Check the photodiode or TTL cable and the line's number")
    hits = _hits(onsets, edges, shifts_s, tolerance_s)
    best = int(np.argmax(hits))
    n, n_hits = len(onsets.times_s), int(hits[best])
    if n_hits < HITS * n:
        return Lock(None, f"at best {n_hits} of {n} onsets have an edge in the recording")
    near = hits >= n_hits
    near &= np.abs(shifts_s - shifts_s[best]) <= 2 * tolerance_s
    shift_s = float(np.median(shifts_s[near]))
    others = hits[np.abs(shifts_s - shift_s) > 2 * tolerance_s]
    lead = max(LEAST_LEAD, -(-n_trials // 2)) if n_trials > 1 else 1
    if others.max(initial=0) > n_hits - lead:
        return Lock(None, f"{n_hits} of {n} onsets fit the edges, but {others.max()} fit them shifted as well")
    return Lock(shift_s)


def _candidates(onsets: Marks, edges: Marks, tolerance_s: float) -> Seconds:
    """Return the shifts worth a look, those that put one of a few onsets on an edge."""
    n = len(onsets.times_s)
    probes = np.unique(np.linspace(0, n - 1, min(n, PROBES)).astype(int)) if n else np.zeros(0, int)
    same = edges.codes[:, None] == onsets.codes[probes]
    shifts_s = np.sort((edges.times_s[:, None] - onsets.times_s[probes])[same])
    apart = np.diff(shifts_s, prepend=-np.inf) > tolerance_s / 8
    return shifts_s[apart]


def _hits(onsets: Marks, edges: Marks, shifts_s: Seconds, tolerance_s: float) -> NDArray[np.int64]:
    """Return [n_shifts] how many onsets have an edge of theirs, under each shift."""
    wanted_s = onsets.times_s + shifts_s[:, None]
    by_s = onsets.at_s + min(SLACK_S, _between_trials_s(onsets) / 2)
    after = np.searchsorted(edges.times_s, wanted_s).clip(1, max(1, len(edges.times_s) - 1))
    hit = np.zeros(wanted_s.shape, np.bool_)
    for nearest in (after - 1, after.clip(max=len(edges.times_s) - 1)):
        hit |= (
            (np.abs(edges.times_s[nearest] - wanted_s) <= tolerance_s)
            & (edges.codes[nearest] == onsets.codes)
            & (edges.at_s[nearest] <= by_s)
        )
    n_hits: NDArray[np.int64] = np.count_nonzero(hit, axis=1)
    return n_hits


def _between_trials_s(onsets: Marks) -> float:
    """Return the shortest time from one trial to the next; the onsets of a trial are heard of at once."""
    _, firsts = np.unique(onsets.at_s, return_index=True)
    return float(np.diff(np.sort(onsets.times_s[firsts])).min(initial=np.inf))
