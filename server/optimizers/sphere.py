"""SphereCMA: evolves directions on a sphere, with exploration that narrows on schedule (Wang & Ponce 2022)."""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.parameters import parameter
from server.optimizers.ranking import best_first, log_weights
from server.optimizers.search import Vectors
from server.optimizers.sphere_geometry import exp_map, slerp, tangent, unit

NORM_PER_ROOT_GENE = 300 / 64
"""The norm of the paper, 300 in fc6's 4096 dimensions, for other dimensions: as long in each gene."""


@dataclass(frozen=True)
class SphereParameters:
    """The defaults are the paper's for fc6."""

    population: int = parameter(40, at_least=4)
    n_parents: int = parameter(20, at_least=1)
    learning_rate: float = parameter(1.5, above=0)
    """The share of the way to the parents' mean that the centre goes; beyond 1 it goes past it."""
    norm: float | None = parameter(None, above=0)
    """By default 300 at 4096 genes, and as the root of their number."""
    schedule: str = parameter("exp", one_of=("exp", "inv"))
    n_generations: int = parameter(75, at_least=2)
    """Those in which the exp schedule gets to its last angle, which it then holds."""
    first_angle_deg: float = parameter(50.0, above=0, at_most=90)
    last_angle_deg: float = parameter(7.33, above=0, at_most=90)
    show_centre: bool = parameter(True)
    """Whether the centre is shown too, first in each generation but the very first, and not selected."""


class Sphere(CentreSearch[SphereParameters]):
    """Samples directions some angle from the centre, and turns the centre to the mean of the better half."""

    NAME = "sphere"
    Parameters = SphereParameters
    KEPT = (*CentreSearch.KEPT, "shows_centre")
    shows_centre: bool = False
    """Whether the first of the codes now shown is the centre itself."""

    @property
    def norm(self) -> float:
        return self.parameters.norm or NORM_PER_ROOT_GENE * np.sqrt(self.n_genes)

    def angle_deg(self) -> float:
        """Return the angle at which this generation explores; the first to have a centre is number 1."""
        parameters, g = self.parameters, max(self.generation, 1)
        if parameters.schedule == "inv":
            return float(15 + 1 / (0.0017 * g + 0.0146))
        share = min(1.0, (g - 1) / (parameters.n_generations - 1))
        return float(parameters.first_angle_deg ** (1 - share) * parameters.last_angle_deg**share)

    def _size(self) -> int:
        return self.parameters.population

    def _sample(self, centre: Vectors) -> Vectors:
        at = unit(centre)
        steps = tangent(self.random.standard_normal((self._size(), self.n_genes)), at)
        codes = exp_map(at, np.radians(self.angle_deg()) / np.sqrt(self.n_genes) * steps)
        self.shows_centre = self.parameters.show_centre
        return np.concatenate([at[None], codes]) if self.shows_centre else codes

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        candidates = codes[1:] if self.shows_centre else codes
        order = best_first(scores[-len(candidates) :], self.random)
        if len(order) < self.NEEDED:
            return centre
        weights = log_weights(len(order), self._n_parents(len(order), len(candidates)))
        goal = weights @ candidates[order[: len(weights)]]
        return slerp(unit(centre), unit(goal), self.parameters.learning_rate)

    def _n_parents(self, n_measured: int, n_shown: int) -> int:
        """Return how many to select: as large a share of the measured as it would be of all."""
        return max(1, round(self.parameters.n_parents * n_measured / n_shown))
