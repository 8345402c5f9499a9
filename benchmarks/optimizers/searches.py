"""The searches that are compared: each at one norm with the others, some at one contrast, some free, as published."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmarks.optimizers.pycma import Pycma
from server.generators.embedded import CODE_SIZE, Embedded
from server.generators.hessian import axes_of
from server.optimizers import create

N_SHOWN = 40
"""Images a generation."""
NORM = 300 / 64 * CODE_SIZE**0.5
"""Each gene as large as in the published codes of norm 300 in 4096 dimensions, where the settings are at home.

The embedded generator draws any code longer than 1.3 a gene at one length.
"""
N_AXES = 48
"""Directions with 99 % of what changes in the embedded generator's pictures."""
NORM_IN_SUBSPACE = 14.0
"""Chosen on the tuning units: pictures of random codes have no more contrast than those of the full space.

In the subspace all of a code shows, of a code in the full space a fifth does.
"""
RMS_CONTRAST = 0.2
"""Of the pictures of those that are compared at one contrast: about what the others' best have."""
EQUAL, PUBLISHED = "equal norm", "published settings"
CELL_2019 = {
    "population": 40,
    "mutation_rate": 0.25,
    "mutation_size": 0.75,
    "selectivity": 0.5,
    "heritability": 0.75,
    "n_conserve": 10,
}


class Asking(Protocol):
    """What the benchmark needs of a search."""

    def ask(self) -> NDArray[np.floating[Any]]:
        """Return the codes to show next, [n, d]."""

    def tell(self, scores: ArrayLike) -> None:
        """Take their scores, [n]."""

    def recommend(self) -> NDArray[np.floating[Any]]:
        """Return the code [d] it believes in."""


@dataclass(frozen=True)
class Entry:
    """A search as it enters the comparison."""

    optimizer: str
    parameters: dict[str, Any] = field(default_factory=dict)
    arm: str = EQUAL
    n_shown: int = N_SHOWN
    blind: bool = False
    """Whether it shows the same whatever it is told."""
    in_subspace: bool = False
    """Whether it is confined to the directions that show."""
    rms_contrast: float | None = None
    """What every picture is brought to; None leaves it to the code."""

    def start(self, seed: Sequence[int]) -> Asking:
        """Return the search at its beginning."""
        given = dict(self.parameters)
        if self.arm == EQUAL:
            given["norm"] = NORM_IN_SUBSPACE if self.in_subspace else NORM
        if self.in_subspace:
            given["subspace"] = _subspace()
        if self.optimizer == "pycma":
            return Pycma((CODE_SIZE,), seed, **given)
        return create(self.optimizer, (CODE_SIZE,), tuple(seed), **given)


@cache
def _subspace() -> NDArray[np.float32]:
    return axes_of(Embedded(), N_AXES).directions


def _sized(n: int = N_SHOWN) -> dict[str, Any]:
    return {"population": n}


COMPARED: dict[str, Entry] = {
    "sphere_mirror": Entry("sphere_mirror", _sized()),
    "sphere_mirror, axes": Entry("sphere_mirror", _sized(), in_subspace=True),
    "cma": Entry("cma", _sized()),
    "sphere": Entry("sphere", _sized(39)),
    "genetic, Cell 2019": Entry("genetic", CELL_2019),
    "pycma diagonal": Entry("pycma", _sized()),
    "separable": Entry("separable", _sized()),
    "sep_cma": Entry("sep_cma", _sized()),
    "random": Entry("random", _sized(), blind=True),
    "genetic, fc6": Entry("genetic", _sized()),
    "nes": Entry("nes", {"n_samples": N_SHOWN}),
    "fdgd": Entry("fdgd", {"n_samples": N_SHOWN}),
    "cma, free": Entry("cma", _sized(), PUBLISHED),
    "cma, axes, free": Entry("cma", _sized(), PUBLISHED, in_subspace=True),
    "genetic, Cell 2019, free": Entry("genetic", CELL_2019, PUBLISHED),
    "pycma diagonal, free": Entry("pycma", _sized(), PUBLISHED),
    "sep_cma, free": Entry("sep_cma", _sized(), PUBLISHED),
    "separable, free": Entry("separable", _sized(), PUBLISHED),
    "genetic, fc6, free": Entry("genetic", _sized(20), PUBLISHED, n_shown=20),
    "nes, free": Entry("nes", {"n_samples": 20}, PUBLISHED, n_shown=20),
    "fdgd, free": Entry("fdgd", {"n_samples": 20}, PUBLISHED, n_shown=20),
}
ONE_CONTRAST = {
    f"{name}, one contrast": replace(COMPARED[name], rms_contrast=RMS_CONTRAST)
    for name in ("sphere_mirror, axes", "sphere_mirror", "sphere", "cma", "genetic, Cell 2019")
}
"""Compared with one another only."""
ENTRIES = COMPARED | ONE_CONTRAST
