"""sep-CMA-ES: CMA-ES whose covariance is diagonal, and so may learn faster (Ros & Hansen 2008).

Numbers in brackets are equations of Hansen's tutorial on CMA-ES, arXiv 1604.00772, whose summary this follows. The
constants are those of the library `cmaes`: the tutorial's for the damping and c_1, older ones for the others.
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.cma import expected_length
from server.optimizers.parameters import parameter
from server.optimizers.ranking import best_first
from server.optimizers.search import Vectors


@dataclass(frozen=True)
class SepCmaParameters:
    """All but the beginning follows from the dimension."""

    population: int | None = parameter(None, at_least=4)
    """By default 4 + 3 log2(d): 40 codes in 4096 dimensions."""
    sigma: float = parameter(2.0, above=0)
    norm: float | None = parameter(None, above=0)


@dataclass(frozen=True)
class Constants:
    """What follows from the dimension and the number of parents, by the tutorial's names."""

    weights: Vectors
    """[mu], summing to 1."""
    mueff: float
    c_s: float
    damping: float
    c_c: float
    c_1: float
    c_mu: float


def constants(d: int, mu: int) -> Constants:
    """Return the constants for mu parents in d dimensions."""
    weights = np.log(mu + 1) - np.log(np.arange(1, mu + 1))
    weights /= weights.sum()
    mueff = float(1 / np.sum(weights**2))
    c_s = (mueff + 2) / (d + mueff + 3)
    damping = 1 + c_s + 2 * max(0.0, np.sqrt((mueff - 1) / (d + 1)) - 1)  # as in (55)
    c_1 = 2 / ((d + 1.3) ** 2 + mueff)  # (57)
    share = min(1.0, (2 * mueff - 1) / ((d + 2) ** 2 + mueff))
    full = 2 / (mueff * (d + np.sqrt(2)) ** 2) + (1 - 1 / mueff) * share
    c_mu = (d + 2) / 3 * full  # a diagonal C has so much less to learn than a full one
    return Constants(weights, mueff, c_s, damping, 4 / (d + 4), c_1, c_mu)


class SepCma(CentreSearch[SepCmaParameters]):
    """Samples x = m + sigma D z with a diagonal D^2 = C, and learns m, sigma and C."""

    NAME = "sep_cma"
    Parameters = SepCmaParameters
    KEPT = (*CentreSearch.KEPT, "sigma", "variances", "path", "covariance_path", "n_moves")
    sigma: float
    variances: Vectors
    """C [d]."""
    path: Vectors
    """p_s [d]."""
    covariance_path: Vectors
    """p_c [d]."""
    n_moves: int = 0

    def _size(self) -> int:
        return self.parameters.population or 4 + int(3 * np.log2(self.n_genes))

    def _prepare(self) -> None:
        self.sigma = self.parameters.sigma
        self.variances = np.ones(self.n_genes)
        self.path, self.covariance_path = np.zeros((2, self.n_genes))

    def _adopt(self, wanted: SepCmaParameters) -> None:
        if wanted.sigma != self.parameters.sigma:
            self.sigma = wanted.sigma
        super()._adopt(wanted)

    def _sample(self, centre: Vectors) -> Vectors:
        z = self.random.standard_normal((self._size(), self.n_genes))
        return self._around(centre, self.sigma * np.sqrt(self.variances) * z)

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        order = best_first(scores, self.random)
        k = constants(self.n_genes, len(order) // 2)
        y = self._steps_to(centre, codes[order[: len(k.weights)]]) / self.sigma  # of the samples x = m + sigma y
        step = k.weights @ y  # (41), <y>
        moved = centre + self.sigma * step  # (42), with c_m = 1
        h = self._learn_sigma(step, k)
        self._learn_variances(y, step, h, k)
        return np.asarray(moved)

    def _learn_sigma(self, step: Vectors, k: Constants) -> float:
        """Control the step size; return h_sigma: 1, or 0 where p_s is so long that p_c must wait for sigma to grow."""
        pull = np.sqrt(k.c_s * (2 - k.c_s) * k.mueff)
        self.path = (1 - k.c_s) * self.path + pull * step / np.sqrt(self.variances)  # (43), C^(-1/2) being 1 / D
        self.n_moves += 1
        length = float(np.linalg.norm(self.path)) / expected_length(self.n_genes)
        self.sigma = float(self.sigma * np.exp(k.c_s / k.damping * (length - 1)))  # (44)
        young = 1 - (1 - k.c_s) ** (2 * (self.n_moves + 1))  # how long p_s^2 is at this age, beside an old one
        return float(length / np.sqrt(young) < 1.4 + 2 / (self.n_genes + 1))

    def _learn_variances(self, y: Vectors, step: Vectors, h: float, k: Constants) -> None:
        """Adapt C, gene by gene: to the path (rank one) and to the better half's steps (rank mu)."""
        pull = h * np.sqrt(k.c_c * (2 - k.c_c) * k.mueff)
        self.covariance_path = (1 - k.c_c) * self.covariance_path + pull * step  # (45)
        delta = (1 - h) * k.c_c * (2 - k.c_c)  # delta(h_sigma): makes up for what p_c did not get
        kept = 1 + k.c_1 * delta - k.c_1 - k.c_mu  # the weights sum to 1, and all are positive: (46) changes none
        self.variances = kept * self.variances + k.c_1 * self.covariance_path**2 + k.c_mu * (k.weights @ y**2)  # (47)
