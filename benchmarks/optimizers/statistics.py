"""Paired ratios of one search to another, unit by unit, and what many such comparisons allow to be said."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.optimizers.runs import Result

FLOOR = 0.02
"""Of the best reference picture's activation: a picture that does less counts as this, so that ratios stay finite."""
N_RESAMPLES = 50_000


@dataclass(frozen=True)
class Ratio:
    """By what factor one search's recommended pictures drive units more than another's."""

    ratio: float
    low: float
    """Of the 95 % interval, bootstrapped over units."""
    high: float
    p: float
    """That no unit prefers either: two-sided, by exchanging the two searches' names unit by unit at random."""
    n_units: int
    n_runs: int
    """Pairs of runs: of one unit, condition and seed."""


def compare(results: Iterable[Result], search: str, other: str, condition: str) -> Ratio | None:
    """Return the ratio of a search to another in a condition, or None where fewer than two units had both.

    A unit counts once: the mean of its log ratios over the seeds that both searches ran.
    """
    found: dict[str, dict[tuple[str, int], float]] = {search: {}, other: {}}
    for each in results:
        if each.key.condition == condition and each.key.search in found:
            found[each.key.search][each.key.unit, each.key.seed] = np.log(max(each.activation, FLOOR))
    by_unit: dict[str, list[float]] = defaultdict(list)
    for pair in found[search].keys() & found[other].keys():
        by_unit[pair[0]].append(found[search][pair] - found[other][pair])
    if len(by_unit) < 2:
        return None
    logs = np.array([np.mean(by_unit[unit]) for unit in sorted(by_unit)])
    low, high = interval(logs)
    return Ratio(float(np.exp(logs.mean())), low, high, sign_flip_p(logs), len(logs), sum(map(len, by_unit.values())))


def interval(logs: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of the ratio that log ratios [n] stand for, by resampling them."""
    random = np.random.default_rng(0)
    means = logs[random.integers(0, len(logs), (N_RESAMPLES, len(logs)))].mean(axis=1)
    low, high = np.exp(np.percentile(means, (2.5, 97.5)))
    return float(low), float(high)


def sign_flip_p(logs: NDArray[np.float64]) -> float:
    """Return how often log ratios [n] of random sign have a mean as far from zero; never 0."""
    random = np.random.default_rng(0)
    signs = random.integers(0, 2, (N_RESAMPLES, len(logs))) * 2 - 1
    means = np.abs((signs * logs).mean(axis=1))
    return float((np.count_nonzero(means >= abs(logs.mean()) - 1e-12) + 1) / (N_RESAMPLES + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values corrected for their number (Holm 1979): any under 0.05 are so together at 5 %."""
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    corrected = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * factors), 1)
    result = np.empty(len(p_values))
    result[order] = corrected
    return [float(p) for p in result]
