"""NES: climbs the gradient of the mean score of its search distribution (Wierstra 2014; Ilyas et al. 2018).

That is the plain search gradient, not the natural one: algorithm 2 of Wierstra et al., for N(m, r^2 I). Of a score s at
x = m + r z it estimates the slopes

    (a)  by m: E[s z] / r        (b)  by r: E[s (z^2 - 1)] / r, gene by gene, or its mean over genes
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.parameters import parameter
from server.optimizers.ranking import filled, standard_scores
from server.optimizers.search import Vectors


@dataclass(frozen=True)
class NesParameters:
    """The defaults are the paper's for fc6 (Xiao & Kreiman 2020)."""

    n_samples: int = parameter(20, at_least=2)
    """Codes a generation; antithetic ones come in pairs, so an odd number is rounded down."""
    search_radius: float = parameter(1.25, above=0)
    learning_rate: float = parameter(1.75, at_least=0)
    antithetic: bool = parameter(True, live=False)
    search_radius_learning_rate: float = parameter(0.05, at_least=0)
    min_search_radius: float = parameter(0.01, above=0)
    learn_search_radius_eltwise: bool = parameter(False, live=False)
    """Whether every gene has a search radius of its own."""
    norm: float | None = parameter(None, above=0)
    xdream_compatible: bool = parameter(False, live=False)
    """XDream's own: raw scores, so that the step is as long as the score's unit is small."""


class Nes(CentreSearch[NesParameters]):
    """Samples x = centre + radius * z with z ~ N(0, I), and follows the mean of score * z."""

    NAME = "nes"
    Parameters = NesParameters
    KEPT = (*CentreSearch.KEPT, "radius")
    radius: Vectors
    """[1], or [d] where it is learnt gene by gene."""

    def _size(self) -> int:
        n = self.parameters.n_samples
        return n - n % 2 if self.parameters.antithetic else n

    def _prepare(self) -> None:
        parameters = self.parameters
        n_radii = self.n_genes if parameters.learn_search_radius_eltwise else 1
        self.radius = np.full(n_radii, max(parameters.search_radius, parameters.min_search_radius))

    def _adopt(self, wanted: NesParameters) -> None:
        if wanted.search_radius != self.parameters.search_radius:
            self.radius = np.full_like(self.radius, max(wanted.search_radius, wanted.min_search_radius))
        super()._adopt(wanted)

    def _sample(self, centre: Vectors) -> Vectors:
        n_steps = self._size() // 2 if self.parameters.antithetic else self._size()
        steps = self.random.standard_normal((n_steps, self.n_genes)) * self.radius
        plus = self._around(centre, steps)
        return np.concatenate([plus, self._around(centre, -steps)]) if self.parameters.antithetic else plus

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        parameters, radius = self.parameters, self.radius
        z = self._steps_to(centre, codes) / radius
        told = filled(scores) if self._compatible else standard_scores(scores)
        if parameters.search_radius_learning_rate > 0:
            slope = told @ (z**2 - 1) / len(z) / radius  # (b)
            slope = slope if len(radius) > 1 else slope.mean(keepdims=True)
            self.radius = np.maximum(
                radius + parameters.search_radius_learning_rate * slope, parameters.min_search_radius
            )
        gradient = told @ z / len(z) / radius  # (a)
        return np.asarray(centre + parameters.learning_rate * gradient)
