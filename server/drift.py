"""How the recording drifts, by the reference images, and the curves with that drift taken off.

In vivo a reference image loses some 10 % of its response over a run (quartiles -20 and 0 % over about 27 generations),
a third of what the evolved images gain. A generation's references are a noisy measure of that: their sum over what
these images give on average is one number y a generation, modelled as (Rasmussen and Williams 2006, equations 2.23-24)

    y(t) = c (1 + f(t)) + noise,   f ~ GP(0, SLOPE² t t' + WALK² min(t, t')),   t = generations since the first

so f(0) = 0 and `gain` = 1 + f is 1 at the start: a corrected score is what the image would have drawn then. The noise
is measured, by how the images scatter about their common course; where it hides the drift, the gain stays near 1.
All of this is a function of the scores on record: raw and corrected curves can both be had at any time.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Scores

SLOPE = 0.15 / 27
"""Standard deviation over recordings of a steady change, a generation."""
WALK = 0.01
"""Of an unsteady one: it grows with the square root of the generations."""
ANY_LEVEL = 100.0
"""Standard deviation of c: nothing is known of it beforehand."""

Table = NDArray[np.float64]
"""[n_generations, n_references] scores, NaN = not measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Drift:
    """The running estimate of the gain, one a generation."""

    gain: Scores
    """[n_generations] what a score is multiplied with by drift; 1 at the first generation."""
    sd: Scores
    """[n_generations] how far the gain may be off."""

    def corrected(self, scores: Sequence[Scores]) -> list[Scores]:
        """Return [n_generations] arrays of scores as the first generation would have drawn them."""
        return [each / gain for each, gain in zip(scores, self.gain, strict=True)]


def drift(generations: NDArray[np.int64], references: Sequence[Scores]) -> Drift:
    """Return the drift by [n_generations] arrays of [n_references] scores, always in the same order of images.

    Scores that can be negative, or of which all images are near 0, have no gain: nothing is corrected.
    """
    table = np.stack(references) if len(references) else np.zeros((0, 0))
    usual = typical(table)
    if not usual.sum() > 0:
        return Drift(np.ones(len(table)), np.full(len(table), np.inf))
    course, variance = _course(table, usual)
    return _smoothed((generations - generations[0]).astype(np.float64), course, variance)


def drift_of_parts(generations: NDArray[np.int64], references: Sequence[Scores], changed: Collection[int]) -> Drift:
    """Return the drift, begun anew where an operator had other channels scored: the neurons before are no measure."""
    places: list[int] = np.searchsorted(generations, sorted(changed)).tolist()
    ends = [0, *(place for place in dict.fromkeys(places) if 0 < place < len(generations)), len(generations)]
    parts = [drift(generations[first:end], references[first:end]) for first, end in pairwise(ends)]
    return Drift(np.concatenate([part.gain for part in parts]), np.concatenate([part.sd for part in parts]))


def typical(table: Table) -> Scores:
    """Return [n_references] each image's mean over the generations; 0 where it was never measured."""
    n = (~np.isnan(table)).sum(axis=0)
    return np.asarray(np.nansum(table, axis=0) / np.maximum(n, 1))


def _course(table: Table, usual: Scores) -> tuple[Scores, Scores]:
    """Return [n_generations] responses as a share of what these images usually give, and their variances.

    Images scatter about their common course by noise. A single one does not: there, all counts as noise by which a
    generation differs from the one before.
    """
    measured = ~np.isnan(table)
    expected = (measured * usual).sum(axis=1)
    course = np.divide(np.nansum(table, axis=1), expected, out=np.full(len(table), np.nan), where=expected > 0)
    misses = (table - usual * course[:, None])[measured & (expected > 0)[:, None]]
    n_free = misses.size - len(table) - len(usual) + 1
    if n_free < 1:
        steps = np.diff(course[~np.isnan(course)])
        return course, np.full(len(table), np.square(steps).sum() / (2 * max(len(steps), 1)))
    scatter = float(np.square(misses).sum() / n_free)
    with np.errstate(divide="ignore", invalid="ignore"):
        return course, measured.sum(axis=1) * scatter / expected**2


def _smoothed(time: Scores, course: Scores, variance: Scores) -> Drift:
    """Return the posterior of the gain at every generation, also at those without a measurement."""
    known = np.flatnonzero(~np.isnan(course))
    prior = SLOPE**2 * np.outer(time, time) + WALK**2 * np.minimum.outer(time, time)
    noise = np.diag(variance[known] + 1e-12)  # scores without any scatter must not make the matrix singular
    evidence = np.linalg.inv(prior[np.ix_(known, known)] + ANY_LEVEL**2 + noise)
    weights = evidence @ (course[known] - 1)
    level = 1 + ANY_LEVEL**2 * weights.sum()
    change = prior[:, known] @ weights
    left = np.diag(prior) - ((prior[:, known] @ evidence) * prior[:, known]).sum(axis=1)
    return Drift(np.maximum(1 + change / level, 0.05), np.sqrt(np.maximum(left, 0)) / level)
