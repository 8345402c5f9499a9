"""XDream's genetic algorithm (Ponce, Xiao et al. 2019; Xiao & Kreiman 2020).

The defaults are the second paper's for fc6, with the best code conserved. Under `xdream_compatible` the
random stream and every draw's order are XDream's own, and so is its best score, clipped like the others.
"""

from dataclasses import dataclass

import numpy as np

from server.optimizers.parameters import OptimizerError, parameter
from server.optimizers.ranking import best_first
from server.optimizers.search import Codes, Search, Vectors

COLDEST = 1e-8
"""The least temperature: equal scores make equal parents."""
OUTLIER_PERCENTILE = 95.0


@dataclass(frozen=True)
class GeneticParameters:
    """How a population begets the next."""

    population: int = parameter(20, at_least=2)
    mutation_rate: float = parameter(0.5, at_least=0, at_most=1)
    mutation_size: float = parameter(0.5, at_least=0)
    selectivity: float = parameter(2.0, above=0)
    """Greed: fitness is softmax(selectivity * z-score)."""
    heritability: float = parameter(0.5, at_least=0, at_most=1)
    """Share of its genes that a child has from its first parent (below one half: from its second)."""
    n_conserve: int = parameter(1, at_least=0)
    norm: float | None = parameter(None, above=0)
    xdream_compatible: bool = parameter(False, live=False)

    def __post_init__(self) -> None:
        if self.n_conserve >= self.population:
            raise OptimizerError(
                f"n_conserve must be less than the population of {self.population}, got {self.n_conserve}."
            )


class Genetic(Search[GeneticParameters]):
    """Breeds each generation from the last: select, mate, mutate; the unmeasured are shown again."""

    NAME = "genetic"
    Parameters = GeneticParameters
    KEPT = ("codes", "scores", "best_code", "best_score")
    NEEDED = 1

    codes: Codes | None = None
    scores: Vectors | None = None
    best_code: Codes | None = None
    """The code [*code_shape] of the highest score ever told: a lucky one if scores are noisy."""
    best_score: float | None = None

    def _propose(self) -> Vectors:
        if self.codes is None or self.scores is None:
            return self._found()
        codes, fitness = self._select(self.codes, self.scores)
        population, n_conserve = self.parameters.population, min(self.parameters.n_conserve, len(codes))
        unmeasured = self.codes[np.isnan(self.scores)][: population - n_conserve]
        n_children = population - n_conserve - len(unmeasured)
        children = self._mutate(self._mate(codes, fitness, n_children))
        return np.concatenate([codes[:n_conserve], children, unmeasured], dtype=np.float64)

    def _learn(self, codes: Vectors, scores: Vectors) -> None:
        # As float32 they are what was shown, and half the snapshot.
        self.codes = codes if self._compatible else codes.astype(np.float32)
        self.scores = scores
        self.initial = None
        best = int(np.nanargmax(scores))
        score = float(min(scores[best], _ceiling(scores)) if self._compatible else scores[best])
        if self.best_score is None or score > self.best_score:
            self.best_score, self.best_code = score, self._shaped(codes[best])[0]

    def _centre(self) -> Vectors | None:
        """Return the expected child: the mean of the last generation, weighted by fitness."""
        if self.codes is None or self.scores is None:
            return None
        measured = ~np.isnan(self.scores)
        return np.asarray(self._fitness(self.scores[measured]) @ self.codes[measured], np.float64)

    def _found(self) -> Vectors:
        """Return the first population: the initial codes, or N(0, 1) in every gene."""
        n = self.parameters.population
        if self.initial is None:
            return self.random.normal(size=(n, self.n_genes))
        return self._beginners(self.initial, n)

    def _select(self, codes: Codes, scores: Vectors) -> tuple[Codes, Vectors]:
        """Return the measured codes, best first, and their shares in the next generation."""
        if self._compatible:
            order = np.argsort(scores)[::-1][np.count_nonzero(np.isnan(scores)) :]
        else:
            order = best_first(scores, self.random)
        return codes[order], self._fitness(scores[order])

    def _fitness(self, scores: Vectors) -> Vectors:
        """Return softmax(selectivity * z), with scores clipped at their 95th percentile as outliers."""
        temperature = max(float(np.std(scores)) / self.parameters.selectivity, COLDEST)
        clipped = np.minimum(scores, _ceiling(scores))
        fitness = np.exp((clipped - clipped.max()) / temperature)
        fitness[fitness == 0] = fitness[fitness > 0].min()
        return np.asarray(fitness / fitness.sum(), np.float64)

    def _mate(self, codes: Codes, fitness: Vectors, n_children: int) -> Vectors:
        """Return children of two parents each, drawn by fitness with replacement, gene by gene."""
        shares = np.cumsum(fitness)
        shares /= shares[-1]
        first = np.digitize(self.random.random(n_children), shares)
        second = np.digitize(self.random.random(n_children), shares)
        heritability = max(self.parameters.heritability, 1 - self.parameters.heritability)
        from_first = self.random.random((n_children, self.n_genes)) < heritability
        return np.where(from_first, codes[first], codes[second]).astype(np.float64)

    def _mutate(self, children: Vectors) -> Vectors:
        """Return the children with N(0, mutation_size) added to some genes."""
        mutated = self.random.random(children.shape) < self.parameters.mutation_rate
        children[mutated] += self.random.normal(0.0, self.parameters.mutation_size, np.count_nonzero(mutated))
        return children


def _ceiling(scores: Vectors) -> float:
    return float(np.nanpercentile(scores, OUTLIER_PERCENTILE))
