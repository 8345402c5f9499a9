"""Searches of the latent space: ask for codes, tell their scores, sleep and wake.

    optimizer = create("genetic", code_shape=(4096,), seed=(7, 0), population=40)
    codes = optimizer.ask()                 # [n_codes, 4096]
    optimizer.tell(scores)                  # [n_codes], NaN where a code was not measured

Every one takes `initial_codes` [n, *code_shape] to begin with, and a `subspace` [n_axes, n_genes] to stay in, such as
`server.generators.hessian` finds.
A new one is a file, a name in `OPTIMIZERS` and a pass of `tests/contracts/test_optimizers.py`.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocol import plugins
from server.optimizers.parameters import OptimizerError

__all__ = ["ON_A_SPHERE", "OPTIMIZERS", "Codes", "Optimizer", "OptimizerError", "Scores", "Seed", "create"]

Codes = NDArray[np.floating[Any]]
Scores = NDArray[np.float64]
Seed = int | Sequence[int]

OPTIMIZERS: dict[str, str] = {
    "genetic": "server.optimizers.genetic:Genetic",
    "fdgd": "server.optimizers.fdgd:Fdgd",
    "nes": "server.optimizers.nes:Nes",
    "cma": "server.optimizers.cma:Cma",
    "sep_cma": "server.optimizers.sep_cma:SepCma",
    "separable": "server.optimizers.separable:Separable",
    "sphere": "server.optimizers.sphere:Sphere",
    "sphere_mirror": "server.optimizers.sphere_mirror:SphereMirror",
    "random": "server.optimizers.random_search:RandomSearch",
}

ON_A_SPHERE = ("sphere", "sphere_mirror")
"""Those whose codes must all be of one length, `norm`, even where none is given."""


class Optimizer(Protocol):
    """Searches the latent space by ask and tell; it maximizes, and knows no images and no spikes.

    `ask` and `tell` alternate. Two optimizers with equal snapshots ask the same codes for ever,
    which is what lets a session resume: the snapshot holds the random state and the pending ask too.
    """

    def ask(self) -> Codes:
        """Return the codes to show next, [n_codes, *code_shape]; the same ones until they are told."""

    def tell(self, scores: ArrayLike) -> None:
        """Take the score of every code asked, [n_codes]; NaN is not measured, all NaN asks the same again."""

    def recommend(self) -> Codes:
        """Return the one code, [*code_shape], that the search believes in: its centre, not a lucky sample."""

    def change(self, **parameters: Any) -> None:
        """Change parameters from the next generation on."""

    def snapshot(self) -> dict[str, Any]:
        """Return all there is to remember, as plain values and arrays."""

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go on from a snapshot as if nothing had happened since."""


def create(name: str, code_shape: Sequence[int], seed: Seed, **parameters: Any) -> Optimizer:
    """Return the optimizer of that name, or of that `package.module:Class`."""
    try:
        optimizer: Optimizer = plugins.create("optimizer", name, OPTIMIZERS, code_shape, seed, **parameters)
    except plugins.PluginError as wrong:
        raise OptimizerError(str(wrong)) from wrong
    return optimizer
