"""CMA-ES in many dimensions: (mu/mu_w, lambda)-ES with cumulative step-size adaptation (Hansen 2001).

In 4096 dimensions and 3000 samples the covariance of the Cholesky CMA-ES (Wang & Ponce 2022) stays at the
identity, condition number 1.0002, so the default form leaves it out and costs O(d). The `exact` form has it.

Numbers in brackets are equations of Hansen's tutorial on CMA-ES, arXiv 1604.00772; the constants, where they differ
from its table 1, are those of Wang & Ponce's `CholeskyCMAES`.
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.cholesky import times_factor, times_inverse
from server.optimizers.parameters import parameter
from server.optimizers.ranking import best_first, log_weights
from server.optimizers.search import Vectors

MOST_GROWTH = 1.0
"""The most that ln sigma may grow in a generation, as in Hansen's own pycma: p_s may be long, but must not blow it up.

A bare slope of 40 codes reaches it in one or two dimensions. In 32 it comes to 0.32 and in 256 to 0.07, so that the
exact form, which has it too, differs nowhere that anybody searches from the published one, which has no such limit.
"""


@dataclass(frozen=True)
class CmaParameters:
    """The defaults are those of Wang & Ponce for fc6."""

    population: int | None = parameter(None, at_least=4)
    """By default 4 + 3 log2(d): 40 codes in 4096 dimensions."""
    sigma: float = parameter(3.0, above=0)
    exact: bool = parameter(False, live=False)
    update_every: int = parameter(10, at_least=1)
    """Generations' worth of samples that must be exceeded before the exact form's covariance is updated."""
    norm: float | None = parameter(None, above=0)


class Cma(CentreSearch[CmaParameters]):
    """Samples x = m + sigma z A with z ~ N(0, I), and moves m to the weighted mean of the better half."""

    NAME = "cma"
    Parameters = CmaParameters
    KEPT = (*CentreSearch.KEPT, "sigma", "path", "covariance_path", "axes", "n_unlearnt")

    sigma: float
    path: Vectors
    """p_s [d], where the centre has been going lately, as if the covariance were the identity."""
    covariance_path: Vectors
    """p_c [d], the same as it is; the exact form's alone."""
    axes: Vectors
    """[k, d] what the covariance's factor A was updated by; nothing in the O(d) form."""
    n_unlearnt: int = 0
    """Generations since A was updated."""

    def _size(self) -> int:
        return self.parameters.population or 4 + int(3 * np.log2(self.n_genes))  # (48), but with log2 for its ln

    def _prepare(self) -> None:
        self.sigma = self.parameters.sigma
        self.path, self.covariance_path = np.zeros((2, self.n_genes))
        self.axes = np.empty((0, self.n_genes))

    def _adopt(self, wanted: CmaParameters) -> None:
        if wanted.sigma != self.parameters.sigma:
            self.sigma = wanted.sigma
        super()._adopt(wanted)

    def _sample(self, centre: Vectors) -> Vectors:
        z = self.random.standard_normal((self._size(), self.n_genes))
        return self._around(centre, self.sigma * times_factor(z, self.axes, self._c_1))

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        order = best_first(scores, self.random)
        weights = log_weights(len(order))  # as in (49)
        mueff = float(1 / np.sum(weights**2))
        # The z of the samples are not kept: they would double a snapshot, which holds the codes that they made.
        step = weights @ self._steps_to(centre, codes[order[: len(weights)]])
        y = step / self.sigma  # (41), <y>
        z = times_inverse(y[None], self.axes, self._c_1)[0]
        if self.parameters.exact:
            self._learn_covariance(y, mueff)
        self._learn_sigma(z, mueff)
        return np.asarray(centre + step)  # (42), with c_m = 1

    def _learn_sigma(self, z: Vectors, mueff: float) -> None:
        """Let sigma grow while steps agree and shrink while they cancel: cumulative step-size adaptation."""
        d = self.n_genes
        c_s = np.sqrt(mueff) / (np.sqrt(mueff) + np.sqrt(d))
        damping = 1 + c_s + 2 * max(0.0, np.sqrt((mueff - 1) / (d + 1)) - 1)  # as in (55)
        self.path = (1 - c_s) * self.path + np.sqrt(c_s * (2 - c_s) * mueff) * z  # (43)
        growth = c_s / damping * (np.linalg.norm(self.path) / expected_length(d) - 1)
        self.sigma = float(self.sigma * np.exp(min(growth, MOST_GROWTH)))  # (44)

    def _learn_covariance(self, y: Vectors, mueff: float) -> None:
        """Stretch A along the covariance path, now and then: the rank-one part of (47), told to its factor."""
        c_c = 4 / (self.n_genes + 4)
        pull = np.sqrt(c_c * (2 - c_c) * mueff)
        self.covariance_path = (1 - c_c) * self.covariance_path + pull * y  # (45), h_sigma being always 1
        self.n_unlearnt += 1
        if self.n_unlearnt > self.parameters.update_every:
            axis = times_inverse(self.covariance_path[None], self.axes, self._c_1)  # v = p_c A^-1
            self.axes, self.n_unlearnt = np.concatenate([self.axes, axis]), 0

    @property
    def _c_1(self) -> float:
        """The share of the covariance that one update renews: 1.2e-7 in 4096 dimensions."""
        return float(2 / (self.n_genes + np.sqrt(2)) ** 2)


def expected_length(d: int) -> float:
    """Return the expected length of N(0, I_d), to the second order."""
    return float(np.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d**2)))
