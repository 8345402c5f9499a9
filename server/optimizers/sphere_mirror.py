"""sphere_mirror, the house's own: turns a direction by mirrored steps and signed ranks, at a fixed contrast.

Each step is tried to both sides of the centre (Brockhoff et al. 2010), so that what both sides share - contrast,
drift, the curve of the sphere - cancels. Bad images repel as good ones attract: under noise they say as much.

In generation g, with the centre c and the codes x at length 1, Exp_c(v) = cos|v| c + sin|v| v / |v|, and [.]_c the part
at right angles to c:

    (a)  alpha = max(first / sqrt(1 + (g - 1) / steady), last)
    (b)  e_k ~ N(0, I),  v_k = alpha / sqrt(d) [e_k]_c,  x_k = Exp_c(v_k),  x_(n/2+k) = Exp_c(-v_k)
    (c)  q_i = Phi^-1((rank_i - 3/8) / (L + 1/4)),  the worst of the L measured being of rank 1;  0 if not measured
    (d)  w   = q / |q| sqrt(L / n)
    (e)  c   <- Exp_c(learning_rate [sum w_i x_i]_c)
    (f)  r   <- r + newest (c - r),  the running mean of the centres, which is recommended
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.parameters import parameter
from server.optimizers.ranking import normal_scores
from server.optimizers.search import Vectors
from server.optimizers.sphere import NORM_PER_ROOT_GENE
from server.optimizers.sphere_geometry import exp_map, tangent, unit

TINY = 1e-9
"""The least length of weights to divide by: all of them are 0 where all scores are equal."""


@dataclass(frozen=True)
class SphereMirrorParameters:
    """What to show, and how far to go."""

    population: int = parameter(40, at_least=4)
    """Codes a generation, in pairs: an odd number is rounded down."""
    learning_rate: float = parameter(0.4, above=0)
    """How far the centre turns in a generation, as a share of the angle of exploration."""
    norm: float | None = parameter(None, above=0)
    """By default 300 at 4096 genes, and as the root of their number; a session gives that of the generator's codes."""
    first_angle_deg: float = parameter(50.0, above=0, at_most=90)
    last_angle_deg: float = parameter(10.0, above=0, at_most=90)
    """Where narrowing ends: any closer, and neighbours differ by less than spikes do."""
    steady_generations: float = parameter(8.0, above=0)
    """After so many the angle is 0.7 of the first, after three times as many 0.5."""
    newest: float = parameter(0.2, above=0, at_most=1)
    """Share of the newest centre in the code that is recommended, the rest being centres before it; 1 = it alone."""


class SphereMirror(CentreSearch[SphereMirrorParameters]):
    """Samples pairs of directions at an angle from the centre, and turns the centre by what their ranks say."""

    NAME = "sphere_mirror"
    Parameters = SphereMirrorParameters
    KEPT = (*CentreSearch.KEPT, "average")
    average: Vectors | None = None
    """Running mean of the centres [d], off the sphere: steps that noise made cancel in it (Polyak & Juditsky 1992)."""

    @property
    def norm(self) -> float:
        return self.parameters.norm or NORM_PER_ROOT_GENE * np.sqrt(self.n_genes)

    def angle_deg(self) -> float:
        """Return the angle at which this generation explores.

        A sum of g equal steps at random angles is turned by the next by 1 / sqrt(g): so narrowed, every
        generation's evidence weighs alike in the centre, and nobody need say when the session will end.
        """
        parameters, age = self.parameters, max(self.generation - 1, 0)
        angle = parameters.first_angle_deg / np.sqrt(1 + age / parameters.steady_generations)  # (a)
        return float(max(angle, min(parameters.first_angle_deg, parameters.last_angle_deg)))

    def _size(self) -> int:
        return self.parameters.population // 2 * 2

    def _sample(self, centre: Vectors) -> Vectors:
        at = unit(centre)
        directions = tangent(self.random.standard_normal((self._size() // 2, self.n_genes)), at)
        steps = np.radians(self.angle_deg()) / np.sqrt(self.n_genes) * directions
        return np.concatenate([exp_map(at, steps), exp_map(at, -steps)])  # (b)

    def _learn(self, codes: Vectors, scores: Vectors) -> None:
        super()._learn(codes, scores)
        assert self.centre is not None
        before = self.centre if self.average is None else self.average
        self.average = before + self.parameters.newest * (self.centre - before)  # (f)

    def _centre(self) -> Vectors | None:
        return self.centre if self.average is None else self.average

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        at = unit(centre)
        pull = tangent(self._weigh(scores) @ codes / self.norm, at)
        return exp_map(at, self.parameters.learning_rate * pull)  # (e)

    def _weigh(self, scores: Vectors) -> Vectors:
        """Return what each code counts for, [n]: signed, so a broken pair needs no care; squares summing to 1.

        Fewer where some were not measured: half the evidence is worth a step shorter by the root of two.
        """
        measured = ~np.isnan(scores)
        worth = np.zeros(len(scores))
        worth[measured] = normal_scores(scores[measured])  # (c)
        return np.asarray(worth * np.sqrt(measured.mean()) / max(float(np.linalg.norm(worth)), TINY))  # (d)
