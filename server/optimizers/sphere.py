"""SphereCMA: evolves directions on a sphere, with exploration that narrows on schedule (Wang & Ponce 2022).

As `ZOHA_Sphere_lr_euclid` of their code has it, with a centre c and codes x of one norm, c and x at length 1:

    (a)  u_i ~ N(0, I),  v_i = alpha / sqrt(d) (u_i - (u_i c) c),  |v_i| being about the angle alpha
    (b)  x_i = cos|v_i| c + sin|v_i| v_i / |v_i|
    (c)  m   = unit(sum w_i x_(i)),  w_i ~ ln(mu + 1/2) - ln i, of the mu best, not of the centre
    (d)  c   <- (sin((1 - a) t) c + sin(a t) m) / sin t,  t the angle between them and a the learning rate
    (e)  exp: alpha = first (last / first)^((g - 1) / (n - 1)), then the last;  inv: 15 + 1 / (0.0017 g + 0.0146) deg
"""

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
    """By default 300 at 4096 genes, and as the root of their number; a session gives that of the generator's codes."""
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
            return float(15 + 1 / (0.0017 * g + 0.0146))  # (e)
        share = min(1.0, (g - 1) / (parameters.n_generations - 1))
        return float(parameters.first_angle_deg ** (1 - share) * parameters.last_angle_deg**share)  # (e)

    def _size(self) -> int:
        return self.parameters.population

    def _sample(self, centre: Vectors) -> Vectors:
        at = unit(centre)
        steps = tangent(self.random.standard_normal((self._size(), self.n_genes)), at)
        codes = exp_map(at, np.radians(self.angle_deg()) / np.sqrt(self.n_genes) * steps)  # (a), (b)
        self.shows_centre = self.parameters.show_centre
        return np.concatenate([at[None], codes]) if self.shows_centre else codes

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        candidates = codes[1:] if self.shows_centre else codes
        order = best_first(scores[-len(candidates) :], self.random)
        if len(order) < self.NEEDED:
            return centre
        weights = log_weights(len(order), self._n_parents(len(order), len(candidates)))
        goal = weights @ candidates[order[: len(weights)]]  # (c)
        return slerp(unit(centre), unit(goal), self.parameters.learning_rate)  # (d)

    def _n_parents(self, n_measured: int, n_shown: int) -> int:
        """Return how many to select: as large a share of the measured as it would be of all."""
        return max(1, round(self.parameters.n_parents * n_measured / n_shown))
