"""sep-CMA-ES: CMA-ES whose covariance is diagonal (Ros & Hansen 2008; constants of Hansen's tutorial)."""

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
        mu = len(order) // 2
        weights = np.log(mu + 1) - np.log(np.arange(1, mu + 1))
        weights /= weights.sum()
        y = self._steps_to(centre, codes[order[:mu]]) / self.sigma
        mueff = float(1 / np.sum(weights**2))
        moved = centre + self.sigma * (weights @ y)
        self.n_moves += 1
        steady = self._learn_sigma(weights @ y, mueff)
        self._learn_variances(y, weights, mueff, steady)
        return np.asarray(moved)

    def _learn_sigma(self, y: Vectors, mueff: float) -> bool:
        """Cumulate the step and adapt sigma; tell whether the path is short enough to learn C from."""
        d = self.n_genes
        c_s = (mueff + 2) / (d + mueff + 3)
        damping = 1 + c_s + 2 * max(0.0, np.sqrt((mueff - 1) / (d + 1)) - 1)
        pull = np.sqrt(c_s * (2 - c_s) * mueff)
        self.path = (1 - c_s) * self.path + pull * y / np.sqrt(self.variances)
        length = float(np.linalg.norm(self.path)) / expected_length(d)
        self.sigma = float(self.sigma * np.exp(c_s / damping * (length - 1)))
        warm = np.sqrt(1 - (1 - c_s) ** (2 * (self.n_moves + 1)))
        return bool(length / warm < 1.4 + 2 / (d + 1))

    def _learn_variances(self, y: Vectors, weights: Vectors, mueff: float, steady: bool) -> None:
        """Learn C from the path (rank one) and from the better half's steps (rank mu), gene by gene."""
        d = self.n_genes
        c_c = 4 / (d + 4)
        c_1 = 2 / ((d + 1.3) ** 2 + mueff)
        share = min(1.0, (2 * mueff - 1) / ((d + 2) ** 2 + mueff))
        c_mu = (d + 2) / 3 * (2 / (mueff * (d + np.sqrt(2)) ** 2) + (1 - 1 / mueff) * share)
        pull = steady * np.sqrt(c_c * (2 - c_c) * mueff)
        self.covariance_path = (1 - c_c) * self.covariance_path + pull * (weights @ y)
        forgotten = c_1 + c_mu - c_1 * (not steady) * c_c * (2 - c_c)
        learnt = c_1 * self.covariance_path**2 + c_mu * (weights @ y**2)
        self.variances = (1 - forgotten) * self.variances + learnt
