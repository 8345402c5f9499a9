"""How the recording drifts, as the page shows it: corrected as in the report, and quick also after a whole day."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from server.drift import Drift, drift_of_parts
from server.status.shapes import Generation

MOST = 400
"""The correction takes time with the cube of the generations: of more, a few at a time are taken together."""
References = list[list[float | None]]


class Drifts:
    """The gain of every scored generation, by the reference images, kept up with each that is added."""

    def __init__(self) -> None:
        self._generations: dict[int, list[int]] = {}
        self._references: dict[int, References] = {}
        self._changed: dict[int, list[int]] = {}

    def add(self, each: Generation, afresh: bool) -> None:
        """Add a generation that was scored; `afresh` where other channels are scored from it on."""
        self._generations.setdefault(each.evolution, []).append(each.generation)
        self._references.setdefault(each.evolution, []).append(each.references)
        if afresh:
            self._changed.setdefault(each.evolution, []).append(each.generation)

    def gains(self) -> dict[int, list[float]]:
        """Return the gain of each generation, by evolution; none where the reference images tell nothing of it."""
        found: dict[int, list[float]] = {}
        for evolution, generations in self._generations.items():
            drifted = _drift(generations, self._references[evolution], self._changed.get(evolution, []))
            found[evolution] = drifted.gain.round(4).tolist() if np.isfinite(drifted.sd).any() else []
        return found


def _drift(generations: Sequence[int], references: References, changed: Sequence[int]) -> Drift:
    """Return the drift of all generations, from at most MOST means of some that follow each other."""
    step = ceil(len(generations) / MOST)
    table = np.array(references, np.float64)
    starts = range(0, len(generations), step)
    middles = np.array([generations[min(start + step // 2, len(generations) - 1)] for start in starts], np.int64)
    means = [_mean(table[start : start + step]) for start in starts]
    coarse = drift_of_parts(middles, means, changed)
    return Drift(*(np.interp(generations, middles, each) for each in (coarse.gain, coarse.sd)))


def _mean(table: np.ndarray) -> np.ndarray:
    """Return [n_references] means over the rows; NaN for an image measured in none of them."""
    n = (~np.isnan(table)).sum(axis=0)
    return np.where(n > 0, np.nansum(table, axis=0) / np.maximum(n, 1), np.nan)
