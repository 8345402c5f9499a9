"""The display's clock against the recording's: fitted robustly over recent trials, for checks and never for counting.

Both clocks are quartz: they drift by some 10 ppm, which is a frame in ten minutes, so one offset a session will not do.
"""

from collections import deque
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
WINDOW_S = 600.0
MAX_TRIALS = 60
"""Theil and Sen's slope looks at all pairs: 60 trials are 1770."""
RECENT_TRIALS = 5
SLOPE_NEEDS_S = 20.0
UNKNOWN_DRIFT = 200e-6
KNOWN_DRIFT = 20e-6
"""How wrong the drift may be before and after it was measured: this widens the search as the last sync ages."""
STEP_S = 1e-3
"""How far one trial may lie off the line."""
FEWEST_RESIDUALS = 40
MANY_DEVIATIONS = 8.0
LEAST_TOLERANCE_S = 1e-3
TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class ClockFit:
    """How the clocks stand to each other."""

    offset_s: float
    """Recording time minus display time, at `display_s`."""
    display_s: float
    """The last trial that was matched."""
    drift: float
    """Seconds gained a second: 30e-6 is 30 ppm."""
    drift_known: bool
    residual_s: float
    """Median absolute deviation of onset edges from the fit."""
    n_trials: int

    def recording_s(self, display_s: Seconds) -> Seconds:
        """Return where the recording's clock stood."""
        return display_s + self.offset_s + self.drift * (display_s - self.display_s)

    def uncertainty_s(self, display_s: float) -> float:
        """Return how far off the fit may be at a time: more, the longer ago the last trial is."""
        unknown = KNOWN_DRIFT if self.drift_known else UNKNOWN_DRIFT
        return STEP_S + unknown * abs(display_s - self.display_s)


class Clock:
    """Learns from each trial whose onsets were found in the recording."""

    def __init__(self, tolerance_s: float) -> None:
        self.fit: ClockFit | None = None
        self._widest_s = tolerance_s
        self._trials: deque[tuple[float, float]] = deque(maxlen=MAX_TRIALS)
        self._residuals: deque[float] = deque(maxlen=400)

    @property
    def tolerance_s(self) -> float:
        """How far an edge may be from where its trial puts it: half a frame at most, less where edges are exact."""
        if len(self._residuals) < FEWEST_RESIDUALS:
            return self._widest_s
        deviation_s = TO_DEVIATION * float(np.median(np.abs(self._residuals)))
        return min(self._widest_s, max(LEAST_TOLERANCE_S, MANY_DEVIATIONS * deviation_s))

    def learn(self, display_s: Seconds, recording_s: Seconds) -> None:
        """Take the onsets of a trial on both clocks."""
        offsets_s = recording_s - display_s
        offset_s = float(np.median(offsets_s))
        if len(offsets_s) > 1:
            self._residuals.extend((offsets_s - offset_s).tolist())
        self._trials.append((float(np.median(display_s)), offset_s))
        self.fit = self._fitted()

    def forget(self) -> None:
        """Know nothing: one of the clocks began anew."""
        self.fit = None
        self._trials.clear()
        self._residuals.clear()

    def _fitted(self) -> ClockFit:
        times_s, offsets_s = np.array(self._trials).T
        recent = times_s >= times_s[-1] - WINDOW_S
        times_s, offsets_s = times_s[recent], offsets_s[recent]
        known = len(times_s) >= RECENT_TRIALS and float(np.ptp(times_s)) >= SLOPE_NEEDS_S
        drift = _slope(times_s, offsets_s) if known else 0.0
        level = offsets_s - drift * (times_s - times_s[-1])
        offset_s = float(np.median(level[-RECENT_TRIALS:] if known else level[-1:]))
        residual_s = float(np.median(np.abs(self._residuals))) if self._residuals else inf
        return ClockFit(offset_s, float(times_s[-1]), drift, known, residual_s, len(times_s))


def _slope(times_s: Seconds, offsets_s: Seconds) -> float:
    """Return the median slope of all pairs (Theil 1950, Sen 1968)."""
    first, second = np.triu_indices(len(times_s), 1)
    apart_s = times_s[second] - times_s[first]
    far = np.abs(apart_s) > SLOPE_NEEDS_S / 4
    slopes = (offsets_s[second] - offsets_s[first])[far] / apart_s[far]
    return float(np.median(slopes)) if len(slopes) else 0.0
