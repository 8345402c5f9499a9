"""Whether evolved images still gain on the reference images, in words that stay true however often one looks.

Let d(g) be mean evolved minus mean reference score of generation g, independent between generations with variance s².
For any first generation the least-squares slope b of d from there on has b V = sum of (g - mean g) d(g), V = sum of
(g - mean g)². Written with Helmert's contrasts (each d less the mean of those before it) that sum is a martingale when
the true slope's part is taken off, so Robbins' normal mixture (Ann. Math. Stat. 41, 1970) bounds it at all times at
once; in the one-sided form of Howard, Ramdas, McAuliffe and Sekhon (Ann. Stat. 49, 2021, proposition 6):

    |b - slope| V <= s sqrt(2 (V + r) log(1 + sqrt((V + r) / r) / (2 alpha)))      with probability 1 - alpha, each side

s is estimated, which makes it an asymptotic confidence sequence (Waudby-Smith et al., Ann. Stat. 52, 2024). Every
`STRIDE`th generation is tried as the first one; alpha is shared out as alpha / (j (j + 1)) among them, so all hold
together. For a curve that bends down, the slope now is below the slope since then: the bound is on the safe side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Scores
from server.drift import drift, typical

ALPHA = 0.05
"""How often, over whole runs, a curve that still rises may be called flat; the same for the other mistake."""
RISE = 0.02
"""Flat is to gain less than this a generation, in standard deviations of the scores within a generation."""
STRIDE = 5
TIGHTEST = 82.5
"""r: V of 10 generations, for which the bound is tightest after some 20."""
FEWEST = 5
"""Generations that a slope is taken over."""
RECENT = 25
"""A rise longer ago is no rise now."""


@dataclass(frozen=True, slots=True)
class Slope:
    """The gain a generation since some generation, and the bounds of a confidence sequence around it."""

    since: int
    n_generations: int
    gain: float
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True)
class Trend:
    """What the curve does at its end."""

    rising: Slope | None
    """The shortest recent stretch that surely rises."""
    flat: Slope | None
    """The longest stretch up to now that surely gains less than `worthwhile`."""
    recent: Slope | None
    """The recent stretch of the narrowest bounds, whatever they say."""
    worthwhile: float
    """The gain a generation below which a curve counts as flat."""


def trend(
    generations: NDArray[np.int64], evolved: Sequence[Scores], references: Sequence[Scores], corrected: bool = False
) -> Trend:
    """Return what a curve does at its end, by all its generations; pure, so it may be asked after each of them."""
    evolved, table = list(evolved), np.stack(references)
    if corrected:
        gain = drift(generations, references)
        evolved, table = gain.corrected(evolved), table / gain.gain[:, None]
    ahead, noise, spread = differences(evolved, table)
    there = ~np.isnan(ahead)
    slopes = _slopes(generations[there], ahead[there], noise)
    recent = [slope for slope in slopes if slope.n_generations <= RECENT]
    rising = [slope for slope in recent if slope.lowest > 0]
    flat = [slope for slope in slopes if slope.highest < RISE * spread]
    return Trend(
        rising[-1] if rising else None,
        flat[0] if flat and not rising else None,
        min(recent, key=lambda slope: slope.highest - slope.lowest, default=None),
        RISE * spread,
    )


def differences(evolved: Sequence[Scores], table: NDArray[np.float64]) -> tuple[Scores, float, float]:
    """Return [n_generations] evolved minus reference, its standard deviation, and that of scores in a generation.

    Each reference image is compared with its own mean, so that one that was not measured moves nothing.
    """
    counted = [each[~np.isnan(each)] for each in evolved]
    n = np.array([len(each) for each in counted])
    means = np.array([each.mean() if len(each) else np.nan for each in counted])
    spread = np.sqrt(_mean([each.var(ddof=1) for each in counted if len(each) > 1]))
    misses = table - typical(table)
    n_seen = (~np.isnan(misses)).sum(axis=1)
    moved = np.nansum(misses, axis=1) / np.maximum(n_seen, 1)
    jitter = misses - moved[:, None]
    ahead = means - (typical(table).mean() + np.where(n_seen > 0, moved, np.nan) if table.shape[1] else 0.0)
    within = spread**2 * _mean(1 / n[n > 0])
    if table.shape[1] > 1:
        within += _mean(jitter[~np.isnan(jitter)] ** 2) * _mean(1 / np.maximum(n_seen - 1, 1))
    # what shifts a whole generation at once shows only between generations
    steps = np.diff(ahead[~np.isnan(ahead)])
    return ahead, float(np.sqrt(max(within, _mean(steps**2) / 2))), float(spread)


def _slopes(generations: NDArray[np.int64], ahead: Scores, noise: float) -> list[Slope]:
    """Return the slopes from every `STRIDE`th generation to the last, the longest stretch first."""
    found = []
    for number, first in enumerate(range(0, len(ahead) - FEWEST + 1, STRIDE), 1):
        time, values = generations[first:].astype(np.float64), ahead[first:]
        centred = time - time.mean()
        information = float((centred**2).sum())
        gain = float((centred * values).sum() / information)
        margin = noise * boundary(information, ALPHA / (number * (number + 1))) / information
        found.append(Slope(int(generations[first]), len(values), gain, gain - margin, gain + margin))
    return found


def boundary(information: float, alpha: float) -> float:
    """Return what a sum of unit Gaussian noise with this variance exceeds at no time, with probability 1 - alpha."""
    total = information + TIGHTEST
    return float(np.sqrt(2 * total * np.log1p(np.sqrt(total / TIGHTEST) / (2 * alpha))))


def _mean(values: Sequence[float] | NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else 0.0
