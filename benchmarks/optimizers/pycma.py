"""pycma's diagonal CMA-ES, the strongest under noise in the published comparison, as a search like those here."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Codes = NDArray[np.float32]


class Pycma:
    """`cma.CMAEvolutionStrategy` with CMA_diagonal, from the zero code with sigma 2; a lost trial counts as the worst.

    With a `norm`, its codes are free and what is shown of them has that length.
    """

    def __init__(
        self,
        code_shape: Sequence[int],
        seed: Sequence[int],
        population: int = 40,
        sigma: float = 2.0,
        norm: float | None = None,
    ) -> None:
        import cma  # type: ignore[import-untyped]

        self.n_genes, self.norm = int(np.prod(code_shape)), norm
        random = np.random.default_rng(seed)
        options: dict[str, Any] = {
            "CMA_diagonal": True,
            "popsize": population,
            "verbose": -9,
            "seed": np.nan,  # it draws from `randn`, not from the global stream
            "randn": lambda *shape: random.standard_normal(shape),
            "tolfun": 0, "tolfunhist": 0, "tolx": 0, "tolflatfitness": np.inf, "tolstagnation": np.inf,
        }  # fmt: skip
        self.strategy = cma.CMAEvolutionStrategy(np.zeros(self.n_genes), sigma, options)
        self.pending: list[Any] = []

    def ask(self) -> Codes:
        """Return the codes [n, d] to show next."""
        self.pending = self.strategy.ask()
        return self._shown(np.array(self.pending))

    def tell(self, scores: ArrayLike) -> None:
        """Take the scores [n]; pycma minimizes, and knows no lost trials."""
        told = np.array(scores, np.float64)
        if np.isnan(told).all():
            return
        self.strategy.tell(self.pending, -np.where(np.isnan(told), np.nanmin(told), told))

    def recommend(self) -> Codes:
        """Return the mean [d]."""
        [code] = self._shown(np.array(self.strategy.mean)[None])
        return np.asarray(code)

    def _shown(self, codes: NDArray[Any]) -> Codes:
        if self.norm is not None:
            lengths = np.linalg.norm(codes, axis=1, keepdims=True)
            codes = codes * (self.norm / np.maximum(lengths, np.finfo(float).tiny))
        shown: Codes = codes.astype(np.float32)
        return shown
