"""What ranks are worth: orders with ties at random, and the weights of evolution strategies."""

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.optimizers.random_stream import RandomStream

Vector = NDArray[np.float64]


def best_first(scores: Vector, random: RandomStream) -> NDArray[np.intp]:
    """Return the indices of the measured scores, best first, ties in random order.

    Spike counts tie all the time; a fixed order would favour whatever stands first in the batch.
    """
    measured: NDArray[Any] = random.permutation(np.flatnonzero(~np.isnan(scores)))
    return measured[np.argsort(-scores[measured], kind="stable")]


def log_weights(n: int, n_parents: int | None = None) -> Vector:
    """Return the weights [n_parents] of the best of n: ln(mu + 1/2) - ln i, summing to 1 (Hansen 2001)."""
    mu = max(1, n // 2 if n_parents is None else min(n_parents, n))
    weights = np.log(mu + 0.5) - np.log(np.arange(1, mu + 1))
    return np.asarray(weights / weights.sum(), np.float64)


def standard_scores(scores: Vector) -> Vector:
    """Return z-scores, 0 for the unmeasured and for scores that are all equal."""
    deviation = np.nanstd(scores)
    if deviation == 0:
        return np.zeros_like(scores)
    return np.asarray(np.nan_to_num((scores - np.nanmean(scores)) / deviation))


def filled(scores: Vector) -> Vector:
    """Return the scores with the unmeasured at the mean of the measured, where they pull nowhere."""
    return np.where(np.isnan(scores), np.nanmean(scores), scores)


def normal_scores(scores: Vector) -> Vector:
    """Return the standard normals of these ranks, [n] (Blom 1958); equal scores share the mean of theirs.

    That is what random orders come to on average, without the noise they bring.
    """
    levels, level, n_each = np.unique(scores, return_inverse=True, return_counts=True)
    worth = np.array([NormalDist().inv_cdf((i + 0.625) / (len(scores) + 0.25)) for i in range(len(scores))])
    shared = np.bincount(np.repeat(np.arange(len(levels)), n_each), worth) / n_each
    return np.asarray(shared[level])
