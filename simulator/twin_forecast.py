"""How a session's curve will go on: when it is flat, and how high, with what the data leave open.

The mean score of a generation is taken for  a + (b - a) (1 - exp(-(g - 1) / tau))  with noise of the size that the
scores' scatter within and between generations shows, and more where neighbouring generations miss together. For each
tau of a grid a and b are linear, and their posterior Gaussian; tau has the prior that logged sessions suggest: half of
the gain in 8 generations, and wide around that. What is said are quantiles of draws from that posterior, so a short
session says little, and says so.

A curve of this form is all that is assumed. To evolve the fitted twin instead would assume that a network's landscape
rises as the neuron's does, which nothing in a session file shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from server.plateau import RISE

Array = NDArray[np.float64]
TAUS = np.geomspace(0.7, 150, 60)
HALF_AFTER, SPREAD = 8.0, 1.0
"""Median of the generations to half of the gain, and the standard deviation of its logarithm."""
N_DRAWS = 4000
FEWEST_TO_WANDER = 6
MOST_TOGETHER = 0.7
"""Correlation of neighbouring generations' misses that is believed at most."""
WIDE = 10.0
"""Prior standard deviation of levels and gains, in units of the scores' range: nearly none."""


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """Draws of how a curve goes on."""

    FIRST: ClassVar[int] = 1
    level: Array
    """[n_draws] where it began."""
    gain: Array
    """[n_draws] what it gains in the end."""
    tau: Array
    """[n_draws]"""
    spread: float
    """Standard deviation of scores within a generation."""
    noise: float
    """Standard deviation of a generation's mean around the curve."""
    last: int
    """The last generation on record."""

    def score(self, generation: float) -> Array:
        """Return [n_draws] what the curve may be in a generation."""
        return np.asarray(self.level + self.gain * -np.expm1(-(generation - 1) / self.tau))

    def flat_at(self) -> Array:
        """Return [n_draws] the first generation in which it gains less than counts as a rise."""
        steepest = self.gain / self.tau
        worthwhile = max(RISE * self.spread, 1e-12)
        later = self.tau * np.log(np.maximum(steepest / worthwhile, 1.0))
        return np.asarray(1 + np.ceil(later))


def forecast(generations: NDArray[np.int64], evolved: Sequence[Array], seed: int = 0) -> Forecast:
    """Return how a curve goes on, by [n_generations] arrays of scores, NaN = not measured; 3 generations or more."""
    scores = [each[~np.isnan(each)] for each in evolved]
    kept = np.array([len(each) > 1 for each in scores])
    if np.count_nonzero(kept) < 3:
        raise ValueError(f"a forecast needs 3 measured generations or more, there are {np.count_nonzero(kept)}")
    scores = [each for each, there in zip(scores, kept, strict=True) if there]
    g = generations[kept].astype(np.float64)
    means = np.array([each.mean() for each in scores])
    spread = float(np.sqrt(np.mean([each.var(ddof=1) for each in scores])))
    within = spread * np.sqrt(np.mean([1 / len(each) for each in scores]))
    # What shifts whole generations shows between neighbours; a curve that rises adds little to their differences.
    noise = max(within, float(np.sqrt(np.mean(np.diff(means, n=2) ** 2) / 6)), 1e-9)
    first = _drawn(g, means, spread, noise, np.random.default_rng(seed))
    noise = _with_wander(means - np.median([first.score(each) for each in g], axis=1), noise)
    return _drawn(g, means, spread, noise, np.random.default_rng(seed))


def _with_wander(misses: Array, noise: float) -> float:
    """Return the noise that independent generations would need for means to be as uncertain as these.

    A search wanders: what one generation has found by luck the next ones have too.
    """
    if len(misses) < FEWEST_TO_WANDER:
        return noise
    together = float(np.clip(misses[1:] @ misses[:-1] / max(float(misses @ misses), 1e-12), 0, MOST_TOGETHER))
    scatter = float(np.sqrt(misses @ misses / (len(misses) - 3)))
    return max(noise, scatter) * float(np.sqrt((1 + together) / (1 - together)))


def _drawn(g: Array, means: Array, spread: float, noise: float, random: np.random.Generator) -> Forecast:
    width = WIDE * max(float(np.ptp(means)), spread, noise)
    evidence, fits = [], []
    for tau in TAUS:
        shape = np.stack([np.ones(len(g)), -np.expm1(-(g - 1) / tau)], axis=1)
        precision = shape.T @ shape / noise**2 + np.eye(2) / width**2
        covariance = np.linalg.inv(precision)
        centre = covariance @ (shape.T @ (means - means.mean())) / noise**2
        miss = means - means.mean() - shape @ centre
        log_likelihood = -(miss @ miss) / (2 * noise**2) - centre @ centre / (2 * width**2)
        log_prior = -((np.log(tau * np.log(2) / HALF_AFTER) / SPREAD) ** 2) / 2
        evidence.append(log_likelihood + 0.5 * float(np.linalg.slogdet(covariance)[1]) + log_prior)
        fits.append((centre, np.linalg.cholesky(covariance)))
    shares = np.exp(np.array(evidence) - max(evidence))
    picked = random.choice(len(TAUS), N_DRAWS, p=shares / shares.sum())
    normal = random.standard_normal((N_DRAWS, 2))
    draws = np.stack([fits[which][0] + fits[which][1] @ each for which, each in zip(picked, normal, strict=True)])
    return Forecast(draws[:, 0] + means.mean(), draws[:, 1], TAUS[picked], spread, noise, int(g[-1]))


def quantiles(draws: Array) -> tuple[float, float, float]:
    """Return the 5, 50 and 95 % quantiles."""
    low, middle, high = np.quantile(draws, (0.05, 0.5, 0.95))
    return float(low), float(middle), float(high)
