"""SNES: an evolution strategy with a step size for every gene (Schaul, Glasmachers & Schmidhuber 2011).

Of samples x = m + sigma z, ranked from best to worst, the natural gradient moves m and sigma, gene by gene:

    (a)  u_i   = max(0, ln(n/2 + 1) - ln i) / sum_j max(0, ln(n/2 + 1) - ln j) - 1/n
    (b)  m     <- m + eta_m sigma sum u_i z_(i),                        eta_m = 1
    (c)  sigma <- sigma exp(eta_sigma / 2 sum u_i (z_(i)^2 - 1)),       eta_sigma = (3 + ln d) / (5 sqrt d)
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.parameters import parameter
from server.optimizers.ranking import best_first
from server.optimizers.search import Vectors


@dataclass(frozen=True)
class SeparableParameters:
    """The paper has no free parameter but where to begin."""

    population: int | None = parameter(None, at_least=4)
    """By default 4 + 3 log2(d): 40 codes in 4096 dimensions."""
    sigma: float = parameter(3.0, above=0)
    norm: float | None = parameter(None, above=0)


class Separable(CentreSearch[SeparableParameters]):
    """Samples x = m + sigma * z gene by gene, and follows the natural gradient in m and in log sigma."""

    NAME = "separable"
    Parameters = SeparableParameters
    KEPT = (*CentreSearch.KEPT, "sigma")
    sigma: Vectors
    """[d]"""

    def _size(self) -> int:
        return self.parameters.population or 4 + int(3 * np.log2(self.n_genes))

    def _prepare(self) -> None:
        self.sigma = np.full(self.n_genes, self.parameters.sigma)

    def _adopt(self, wanted: SeparableParameters) -> None:
        if wanted.sigma != self.parameters.sigma:
            self.sigma = np.full(self.n_genes, wanted.sigma)
        super()._adopt(wanted)

    def _sample(self, centre: Vectors) -> Vectors:
        return self._around(centre, self.sigma * self.random.standard_normal((self._size(), self.n_genes)))

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        order = best_first(scores, self.random)
        z = self._steps_to(centre, codes[order]) / self.sigma
        utility = utilities(len(order))
        moved = centre + self.sigma * (utility @ z)  # (b)
        rate = (3 + np.log(self.n_genes)) / (5 * np.sqrt(self.n_genes))
        self.sigma = self.sigma * np.exp(rate / 2 * (utility @ (z**2 - 1)))  # (c)
        return np.asarray(moved)


def utilities(n: int) -> Vectors:
    """Return what each rank is worth, [n], best first: the u_i of (a), summing to 0."""
    worth = np.maximum(0, np.log(n / 2 + 1) - np.log(np.arange(1, n + 1)))
    return np.asarray(worth / worth.sum() - 1 / n)
