"""What the searches around one point share: where it begins, and how it stays at a fixed norm."""

from typing import ClassVar, TypeVar

import numpy as np

from server.optimizers.ranking import best_first, log_weights
from server.optimizers.search import Search, Vectors

P = TypeVar("P")


class CentreSearch(Search[P]):
    """Samples around a centre, the code it recommends, and moves the centre.

    A subclass gives `_sample` and `_move`. The search begins at zero; or, where there are initial codes or a
    fixed norm, by showing a first generation whose weighted mean becomes the centre.
    """

    KEPT: ClassVar[tuple[str, ...]] = ("centre",)
    centre: Vectors | None = None

    def _sample(self, centre: Vectors) -> Vectors:
        """Return codes [n, d] around the centre."""
        raise NotImplementedError

    def _move(self, centre: Vectors, codes: Vectors, scores: Vectors) -> Vectors:
        """Return the next centre, and keep what else was learnt."""
        raise NotImplementedError

    def _size(self) -> int:
        """Return how many codes a generation has."""
        raise NotImplementedError

    def _propose(self) -> Vectors:
        if self.centre is None or self._is_nowhere(self.centre):
            self.centre = self._begin()
        return self._first(self._size()) if self.centre is None else self._sample(self.centre)

    def _learn(self, codes: Vectors, scores: Vectors) -> None:
        if self.centre is None:
            order = best_first(scores, self.random)
            self.centre = log_weights(len(order)) @ codes[order[: len(order) // 2]]
            self.initial = None
        else:
            self.centre = self._move(self.centre, codes, scores)
        self.centre = self._at_norm(self.centre[None])[0]

    def _centre(self) -> Vectors | None:
        return self.centre

    def _begin(self) -> Vectors | None:
        """Return the centre to begin at, or None to show a first generation and let scores decide."""
        if self.initial is not None and (self._compatible or len(self.initial) == 1):
            chosen = int(self.random.random() * len(self.initial))
            start, self.initial = self.initial[[chosen]], None
            return None if self._is_nowhere(start) else np.asarray(self._at_norm(start)[0])
        return np.zeros(self.n_genes) if self.initial is None and self.norm is None else None

    def _is_nowhere(self, centre: Vectors) -> bool:
        """Return whether nothing can be sampled around a centre: at a fixed norm it must have a direction."""
        return self.norm is not None and not centre.any()

    def _first(self, n: int) -> Vectors:
        """Return the first generation: the initial codes, or every direction alike."""
        if self.initial is None:
            return self.random.standard_normal((n, self.n_genes))
        return self._beginners(self.initial, n)

    def _around(self, centre: Vectors, steps: Vectors) -> Vectors:
        """Return the codes [n, d] that lie these steps from the centre; at a fixed norm, sideways ones."""
        if self.norm is None or not centre.any():
            return centre + steps
        return centre + steps - np.outer(steps @ centre / (centre @ centre), centre)

    def _steps_to(self, centre: Vectors, codes: Vectors) -> Vectors:
        """Return the steps [n, d] of which `_around` made these codes, whatever became of their norm."""
        if self.norm is None or not centre.any():
            return codes - centre
        shrunk = codes @ centre / (centre @ centre)
        return codes / shrunk[:, None] - centre
