"""Spike trains of some showings, counted in windows, and the renewal process that they come from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
STEP_S = 0.001
"""Rates are constant for so long."""


@dataclass(frozen=True, slots=True, eq=False)
class Trains:
    """Spikes of some showings."""

    times_s: NDArray[np.float32]
    """[n_spikes] relative to the onset, in order within a row and channel."""
    rows: NDArray[np.int32]
    """[n_spikes] which showing."""
    channels: NDArray[np.int32]
    """[n_spikes]"""

    @classmethod
    def none(cls) -> "Trains":
        """Return no spikes."""
        return cls(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros(0, np.int32))

    def without(self, channels: list[int]) -> "Trains":
        """Return the spikes of all other channels."""
        return self.only(~np.isin(self.channels, channels)) if channels else self

    def only(self, kept: NDArray[np.bool_]) -> "Trains":
        """Return some of the spikes."""
        return Trains(self.times_s[kept], self.rows[kept], self.channels[kept])

    def with_storm(self, row: int, n_channels: int, times_s: Array) -> "Trains":
        """Return these spikes and, in one showing, more on all channels at these times."""
        n = len(times_s) * n_channels
        return Trains(
            np.append(self.times_s, np.tile(times_s, n_channels)).astype(np.float32),
            np.append(self.rows, np.full(n, row)).astype(np.int32),
            np.append(self.channels, np.repeat(np.arange(n_channels), len(times_s))).astype(np.int32),
        )

    def counts(self, window_s: tuple[float, float], n_rows: int, n_channels: int) -> NDArray[np.int32]:
        """Return [n_rows, n_channels] spikes with start <= time < end, to the microsecond, as adapters count."""
        times_us = np.round(self.times_s.astype(np.float64) * 1e6)
        start_us, end_us = (round(edge_s * 1e6) for edge_s in window_s)
        inside = (times_us >= start_us) & (times_us < end_us)
        flat = self.rows[inside].astype(np.int64) * n_channels + self.channels[inside]
        return np.bincount(flat, minlength=n_rows * n_channels).reshape(n_rows, n_channels).astype(np.int32)


class _Course:
    """How much has passed in each row by some time, and when so much had: all rows laid end to end, to ask at once."""

    def __init__(self, passed: Array) -> None:
        n_rows, n_edges = passed.shape
        self._between = float(passed[:, -1].max(initial=0.0)) + 1.0
        self._span_s = n_edges * STEP_S
        row = np.arange(n_rows)[:, None]
        self._passed = (passed + row * self._between).ravel()
        self._times_s = (np.arange(n_edges) * STEP_S + row * self._span_s).ravel()

    def when(self, rows: NDArray[np.int64], passed: Array) -> Array:
        """Return when so much has passed in these rows."""
        times_s = np.interp(passed + rows * self._between, self._passed, self._times_s)
        return np.asarray(times_s - rows * self._span_s)

    def by(self, rows: NDArray[np.int64], times_s: Array) -> Array:
        """Return how much has passed in these rows by these times."""
        last_s = self._span_s - STEP_S
        at_s = np.minimum(times_s, last_s) + rows * self._span_s
        return np.asarray(np.interp(at_s, self._times_s, self._passed) - rows * self._between)


def renewal(passed: Array, gaps: Array, dead_s: float) -> tuple[Array, NDArray[np.int64]]:
    """Return the times after the start, and the rows, of spikes with these gaps in the time that rates make pass.

    `passed` is [n, n_steps + 1], 0 at first and never falling; `gaps` is [n, n_gaps].
    """
    course, total = _Course(passed), passed[:, -1]
    if not dead_s:
        targets = np.cumsum(gaps, axis=1)
        rows, places = np.nonzero(targets < total[:, None])
        return course.when(rows, targets[rows, places]), rows
    found_s, found_in = [np.zeros(0)], [np.zeros(0, np.int64)]
    alive, reached = np.arange(len(passed)), np.zeros(len(passed))
    for place in range(gaps.shape[1]):
        reached = reached + gaps[alive, place]
        inside = reached < total[alive]
        alive, reached = alive[inside], reached[inside]
        if not len(alive):
            break
        found_s.append(course.when(alive, reached))
        found_in.append(alive)
        reached = course.by(alive, found_s[-1] + dead_s)
    order = np.argsort(np.concatenate(found_in), kind="stable")
    return np.concatenate(found_s)[order], np.concatenate(found_in)[order]
