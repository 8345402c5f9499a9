"""FDGD: climbs a gradient estimated by finite differences (Xiao & Kreiman 2020).

Of n steps e_i from the centre x, scored s, as the `FDGD.step` that the paper used has it:

    (a)  d_i = (s(x + e_i) - s(x - e_i)) / 2,  or s(x + e_i) - s(x) where they are not antithetic
    (b)  g   = 1/n sum d_i e_i / |e_i|^2,      |e| being the mean of the absolute values of e
    (c)  x   <- x + learning_rate g
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.parameters import parameter
from server.optimizers.ranking import filled, standard_scores
from server.optimizers.search import Vectors


@dataclass(frozen=True)
class FdgdParameters:
    """The defaults are the paper's for fc6."""

    n_samples: int = parameter(20, at_least=2)
    """Codes a generation; antithetic ones come in pairs, so an odd number is rounded down."""
    search_radius: float = parameter(1.25, above=0)
    learning_rate: float = parameter(1.25, at_least=0)
    antithetic: bool = parameter(True, live=False)
    norm: float | None = parameter(None, above=0)
    xdream_compatible: bool = parameter(False, live=False)
    """XDream's own: raw scores, so that the step is as long as the score's unit is small."""


class Fdgd(CentreSearch[FdgdParameters]):
    """Tries steps to both sides of the centre, and goes where the scores differ."""

    NAME = "fdgd"
    Parameters = FdgdParameters

    def _size(self) -> int:
        n = self.parameters.n_samples
        return n - n % 2 if self.parameters.antithetic else n

    def _sample(self, centre: Vectors) -> Vectors:
        n_steps = self._size() // 2 if self.parameters.antithetic else self._size() - 1
        steps = self.random.normal(0.0, self.parameters.search_radius, (n_steps, self.n_genes))
        plus = self._around(centre, steps)
        minus = self._around(centre, -steps) if self.parameters.antithetic else centre[None]
        return np.concatenate([plus, minus])

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        steps = self._steps_to(centre, codes)
        told = filled(scores) if self._compatible else standard_scores(scores)
        if self.parameters.antithetic:
            (plus, minus), (above, below) = np.split(steps, 2), np.split(told, 2)
            steps, differences = (plus - minus) / 2, (above - below) / 2  # (a)
        else:
            steps, differences = steps[:-1], told[:-1] - told[-1]
        norms = np.abs(steps).mean(axis=1)
        gradient = (differences * norms**-2) @ steps / len(steps)  # (b)
        return np.asarray(centre + self.parameters.learning_rate * gradient)  # (c)
