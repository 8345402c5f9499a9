"""sphere_mirror: evolves a direction by mirrored steps and signed ranks, on a sphere of fixed contrast.

Each step is tried to both sides of the centre (Brockhoff et al. 2010), so that what both sides share - contrast,
drift, the curve of the sphere - cancels; and bad images repel as good ones attract, for under noise they say as much.
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.centre import CentreSearch
from server.optimizers.parameters import parameter
from server.optimizers.ranking import normal_scores
from server.optimizers.search import Vectors
from server.optimizers.sphere import NORM_PER_ROOT_GENE
from server.optimizers.sphere_geometry import exp_map, tangent, unit


@dataclass(frozen=True)
class SphereMirrorParameters:
    """What to show, and how far to go."""

    population: int = parameter(40, at_least=4)
    """Codes a generation, in pairs: an odd number is rounded down."""
    learning_rate: float = parameter(1.0, above=0)
    norm: float | None = parameter(None, above=0)
    """By default 300 at 4096 genes, and as the root of their number."""
    n_generations: int = parameter(75, at_least=2)
    """Those in which exploration gets to its last angle, which it then holds."""
    first_angle_deg: float = parameter(50.0, above=0, at_most=90)
    last_angle_deg: float = parameter(10.0, above=0, at_most=90)


class SphereMirror(CentreSearch[SphereMirrorParameters]):
    """Samples pairs of directions at an angle from the centre, and turns the centre by what their ranks say."""

    NAME = "sphere_mirror"
    Parameters = SphereMirrorParameters

    @property
    def norm(self) -> float:
        return self.parameters.norm or NORM_PER_ROOT_GENE * np.sqrt(self.n_genes)

    def angle_deg(self) -> float:
        """Return the angle at which this generation explores; the first to have a centre is number 1."""
        parameters, g = self.parameters, max(self.generation, 1)
        share = min(1.0, (g - 1) / (parameters.n_generations - 1))
        return float(parameters.first_angle_deg ** (1 - share) * parameters.last_angle_deg**share)

    def _size(self) -> int:
        return self.parameters.population // 2 * 2

    def _sample(self, centre: Vectors) -> Vectors:
        at = unit(centre)
        steps = np.radians(self.angle_deg()) * self._directions(at, self._size() // 2)
        return np.concatenate([exp_map(at, steps), exp_map(at, -steps)])

    def _directions(self, at: Vectors, n: int) -> Vectors:
        """Return tangents [n, d] of length 1 on average."""
        return tangent(self.random.standard_normal((n, self.n_genes)), at) / np.sqrt(self.n_genes)

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        at, measured = unit(centre), ~np.isnan(scores)
        weights = self._weigh(scores[measured])
        pull = tangent(weights @ unit(codes[measured]), at)
        return exp_map(at, self.parameters.learning_rate * pull)

    def _weigh(self, scores: Vectors) -> Vectors:
        """Return what each score is worth: its normal score, 1.3 in all."""
        worth = normal_scores(scores, self.random)
        return np.asarray(1.3 * worth / np.abs(worth).sum())
