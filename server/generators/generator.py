"""What a generator is, and what each says of codes that it cannot draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from protocol.arrays import Codes, Images

N_STEPS = 200
"""Of a search for the codes of images: twice as many find little more."""


class GeneratorError(ValueError):
    """Something a generator cannot do; says which generator, what, and what would do instead."""


@dataclass(frozen=True, slots=True)
class CodeStatistics:
    """How the numbers of the codes that a generator was made for are spread: N(mean, sd)."""

    mean: float
    sd: float
    clipped: bool
    """At zero, because the layer that the codes are of is rectified."""


class Generator(Protocol):
    """Turns codes into images, the same code into the same image; it knows no search and no spikes."""

    @property
    def code_shape(self) -> tuple[int, ...]:
        """Shape of one code."""

    def render(self, codes: Codes) -> Images:
        """Return the images, uint8 [n_codes, height_px, width_px, 3], of codes [n_codes, *code_shape]."""


@runtime_checkable
class Sized(Protocol):
    """A generator that says how long its codes usually are; a search that must have one length takes this one."""

    @property
    def usual_norm(self) -> float:
        """Euclidean length of a usual code."""


class Inverting(Generator, Protocol):
    """A generator that can also find the codes of given images."""

    def invert(self, images: Images, n_steps: int = N_STEPS) -> Codes:
        """Return codes [n_images, *code_shape] float32 whose pictures are these images, or near in so many steps."""


def check_codes(generator: str, codes: Codes, code_shape: Sequence[int]) -> None:
    """Raise GeneratorError unless these are finite codes of that shape."""
    check_shape(generator, codes, code_shape)
    if not np.isfinite(codes).all():
        raise GeneratorError(f"generator {generator!r} renders finite codes; these hold NaN or infinity.")


def check_shape(generator: str, codes: Codes, code_shape: Sequence[int]) -> None:
    """Raise GeneratorError unless these are codes of that shape."""
    shape = list(np.shape(codes))
    if shape[1:] != list(code_shape):
        wanted = ", ".join(["n_codes", *map(str, code_shape)])
        raise GeneratorError(f"generator {generator!r} renders codes of shape [{wanted}], got {shape}.")
