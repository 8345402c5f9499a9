"""Stretch and squeeze without saying what one is worth in the other: non-dominated fronts and crowding distance.

After NSGA-II (Deb et al., IEEE Trans. Evol. Comput. 6, 2002, sections III.A and III.B), with one number an image made
of both: an image of a better front always has the larger score, and within a front the one in the emptier place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids, Scores
from server.ledger import Measurements
from server.scoring.rates import of_this_generation
from server.scoring.stretch import Stretch

END = 2.0
"""Crowding of the two ends of a front, for NSGA-II's infinity: above any other, which are at most 1."""

Objectives = NDArray[np.float64]
"""[n_images, n_objectives] all to be made larger."""


@dataclass(frozen=True, slots=True)
class ParetoScorer(Stretch):
    """Minus the number of the front an image lies in, plus its crowding / 4. Unit: none, a rank in its generation.

    Reference images are ranked together with the evolved ones, so that the two can be compared; generations cannot.
    """

    def score(self, measurements: Measurements, stimulus_ids: Ids) -> Scores:
        """Return [n_images] ranks among all images of the generation, NaN where an image was never measured."""
        rivals = measurements.stimulus_ids[of_this_generation(measurements.stimulus_ids, stimulus_ids)]
        everything = np.unique(np.concatenate([rivals, stimulus_ids]))
        wishes_hz = self.wishes_hz(measurements, everything)
        scores = pareto_scores(wishes_hz * (-1 if self.minimise else 1) * np.array([1.0, -1.0]))
        return np.asarray(scores[np.searchsorted(everything, stimulus_ids)])


def pareto_scores(objectives: Objectives) -> Scores:
    """Return [n_images] crowding / 4 - front; NaN where an objective is."""
    scores = np.full(len(objectives), np.nan)
    measured = np.flatnonzero(~np.isnan(objectives).any(axis=1))
    for number, front in enumerate(fronts(objectives[measured])):
        members = measured[front]
        scores[members] = crowding(objectives[members]) / 4 - number
    return scores


def fronts(objectives: Objectives) -> list[Ids]:
    """Return the fronts from the best: the images that none of those left dominates, in the order of their rows."""
    no_worse = np.all(objectives[:, None] >= objectives[None], axis=2)
    dominates: NDArray[np.bool_] = no_worse & ~no_worse.T
    found, left = [], np.ones(len(objectives), np.bool_)
    while left.any():
        front = left & ~np.any(dominates[left], axis=0)
        found.append(np.flatnonzero(front))
        left &= ~front
    return found


def crowding(front: Objectives) -> NDArray[np.float64]:
    """Return [n_images] how far apart the neighbours of each image of a front are, 0 to 1, or `END` at its ends.

    The mean over objectives of the distance between the two neighbours, as a share of the front's range. Images with
    equal objectives count as one place (Fortin and Parizeau, GECCO 2013): else ties would depend on the order of rows.
    """
    places, which = np.unique(front, axis=0, return_inverse=True)
    distances = np.zeros(len(places))
    ends = np.zeros(len(places), np.bool_)
    for column in places.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        ends |= (column == column[order[-1]]) | (column == column[order[0]])
        if span > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span / front.shape[1]
    return np.asarray(np.where(ends, END, distances)[which.reshape(-1)])
