"""Random search: every generation is drawn as the first was. What selection must beat."""

from dataclasses import dataclass

from server.optimizers.parameters import parameter
from server.optimizers.ranking import best_first
from server.optimizers.search import Search, Vectors


@dataclass(frozen=True)
class RandomParameters:
    """What to draw."""

    population: int = parameter(40, at_least=1)
    sigma: float = parameter(1.0, above=0)
    """Of every gene; where there are initial codes, these are recombined instead."""
    norm: float | None = parameter(None, above=0)


class RandomSearch(Search[RandomParameters]):
    """Draws codes and learns nothing, but for which was best: having no centre, it recommends that one."""

    NAME = "random"
    Parameters = RandomParameters
    KEPT = ("best_code", "best_score")
    NEEDED = 1
    best_code: Vectors | None = None
    best_score: float | None = None

    def _propose(self) -> Vectors:
        n = self.parameters.population
        if self.initial is None:
            return self.random.normal(0.0, self.parameters.sigma, (n, self.n_genes))
        return self._beginners(self.initial, n) if self.generation == 0 else self._children(self.initial, n)

    def _learn(self, codes: Vectors, scores: Vectors) -> None:
        best = best_first(scores, self.random)[0]
        if self.best_score is None or scores[best] > self.best_score:
            self.best_code, self.best_score = codes[best], float(scores[best])

    def _centre(self) -> Vectors | None:
        return self.best_code
