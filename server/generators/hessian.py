"""The directions of a generator's latent space in which its pictures change most: a subspace to search in.

In a GAN a code has thousands of numbers and a few hundred directions that show (Wang & Ponce 2021). They are the
leading eigenvectors of H = E[J^T J], where J is the slope of the picture's pixels by the code's numbers and codes are
usual ones. With a random v for each code, E[J^T v v^T J] = E[J^T J]: a slope J^T v costs one pass back, and no J
is made.

    python -m server.generators.hessian deepsim-fc6 axes.npz --axes 500
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich import progress
from rich.console import Console
from torch import Tensor

from server.generators.generator import GeneratorError
from server.npz import NpzError, content_of, named, read_npz

N_SLOPES = 2000
"""By default: a few for each direction that shows."""
AT_A_TIME = 16
"""Codes; a network's activations are kept for the slope."""

Pictures = Callable[[Tensor], Tensor]
Progress = Callable[[int, int], None]
"""Told how many slopes are taken, and of how many."""


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Orthonormal directions of the latent space, those that change the picture most first."""

    directions: NDArray[np.float32]
    """[n_axes, n_genes] a row each."""
    strengths: NDArray[np.float32]
    """[n_axes] the eigenvalue of each: mean squared change of the picture (summed over pixels) for a step of 1."""
    weights_sha256: str = ""
    """Of the generator they are of."""


def principal_axes(
    pictures: Pictures,
    code_shape: Sequence[int],
    n_axes: int,
    code_rms: float = 1.0,
    n_slopes: int = N_SLOPES,
    seed: int = 0,
    weights_sha256: str = "",
    tell: Progress = lambda done, total: None,
) -> Axes:
    """Return the axes of a generator, from as many random slopes at codes of N(0, code_rms) numbers.

    `pictures` maps codes [n, *code_shape] to anything [n, ...] that has a slope: pixels, or features of them where
    not all pixels are to count alike. Raise GeneratorError where there are fewer genes or slopes than axes.
    """
    n_genes = prod(code_shape)
    if not 1 <= n_axes <= min(n_genes, n_slopes):
        raise GeneratorError(
            f"the number of axes must be 1 to {min(n_genes, n_slopes)}: codes have {n_genes} numbers, "
            f"and {n_slopes} slopes are taken. Got {n_axes}."
        )
    random = torch.Generator().manual_seed(seed)
    sizes = [min(AT_A_TIME, n_slopes - done) for done in range(0, n_slopes, AT_A_TIME)]
    taken: list[Tensor] = []
    for n in sizes:
        tell(sum(map(len, taken)), n_slopes)
        taken.append(_slopes(pictures, tuple(code_shape), n, code_rms, random))
    tell(n_slopes, n_slopes)
    slopes = torch.cat(taken)
    _, lengths, directions = torch.linalg.svd(slopes, full_matrices=False)
    strengths = lengths[:n_axes].square() / n_slopes
    return Axes(directions[:n_axes].numpy(), strengths.numpy(), weights_sha256)


def _slopes(
    pictures: Pictures, code_shape: tuple[int, ...], n: int, code_rms: float, random: torch.Generator
) -> Tensor:
    """Return J^T v [n, n_genes] for as many codes, each with a v of its own."""
    with torch.inference_mode(False), torch.enable_grad():
        codes = (torch.randn(n, *code_shape, generator=random) * code_rms).requires_grad_()
        drawn = pictures(codes)
        probes = torch.randn(drawn.shape, generator=random).to(drawn.device, drawn.dtype)
        [slopes] = torch.autograd.grad((drawn * probes).sum(), codes)
    return slopes.flatten(1).float().cpu()


def save(axes: Axes, path: Path) -> None:
    """Write axes to an .npz file."""
    sha256 = np.array(axes.weights_sha256)
    with path.open("wb") as file:
        np.savez_compressed(file, directions=axes.directions, strengths=axes.strengths, weights_sha256=sha256)


def load(path: Path, weights_sha256: str = "") -> Axes:
    """Return the axes in a file; raise GeneratorError if there are none, or if they are of other weights."""
    make = "python -m server.generators.hessian"
    if not path.exists():
        raise GeneratorError(f"there is no file {path}. Make it: {make}")
    try:
        held = read_npz(content_of(path), path)
        named(held, ("directions", "strengths"), path)
        axes = Axes(held["directions"], held["strengths"], str(held.get("weights_sha256", "")))
    except NpzError as wrong:
        raise GeneratorError(f"{path} holds no axes: {wrong} Make them: {make}") from wrong
    if weights_sha256 and axes.weights_sha256 != weights_sha256:
        raise GeneratorError(
            f"{path} holds the axes of a generator with the weights {axes.weights_sha256[:12]}..., and these are "
            f"{weights_sha256[:12]}...: make them again with {make}."
        )
    return axes


def axes_of(
    generator: Any,
    n_axes: int,
    n_slopes: int = N_SLOPES,
    keep: Path | None = None,
    tell: Progress = lambda done, total: None,
) -> Axes:
    """Return the axes of a generator that is a network; those kept in a file, if it has enough, of the same weights.

    What is made anew is kept there.
    """
    sha256 = str(generator.weights_sha256)
    if keep is not None and keep.exists():
        kept = load(keep)
        if kept.weights_sha256 == sha256 and len(kept.directions) >= n_axes:
            return Axes(kept.directions[:n_axes], kept.strengths[:n_axes], sha256)
    pictures: Pictures | None = getattr(generator, "pictures", None) or getattr(generator, "network", None)
    if pictures is None:
        raise GeneratorError(f"{type(generator).__name__} is no network, so its pictures have no slope by the code.")
    code_rms = float(getattr(generator, "code_rms", 1.0))
    shape = generator.code_shape
    made = principal_axes(pictures, shape, n_axes, code_rms, n_slopes, weights_sha256=sha256, tell=tell)
    if keep is not None:
        save(made, keep)
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the axes of a generator and write them to a file."""
    from server.generators import create  # this module is one of those it imports by name

    parser = argparse.ArgumentParser("python -m server.generators.hessian", description=__doc__, allow_abbrev=False)
    parser.add_argument("generator", help="such as deepsim-fc6")
    parser.add_argument("file", type=Path, help="where to write the axes, an .npz")
    parser.add_argument("--axes", type=int, default=500)
    parser.add_argument("--slopes", type=int, default=N_SLOPES)
    parser.add_argument("--weights", help="of the generator, where they are not in the folder of weights")
    options = parser.parse_args(arguments)
    parameters = {"weights": options.weights} if options.weights else {}
    try:
        generator = create(options.generator, **parameters)
        with ExitStack() as drawn:
            axes = axes_of(generator, options.axes, options.slopes, tell=_bar(drawn))
    except GeneratorError as wrong:
        parser.error(str(wrong))
    save(axes, options.file)
    share = float(axes.strengths[-1] / axes.strengths[0])
    sys.stdout.write(f"{options.file}: {len(axes.directions)} axes; the last is {share:.2g} as strong as the first\n")


def _bar(drawn: ExitStack) -> Progress:
    """Return what draws a bar at the terminal from its first word on, so that a wish refused draws none."""
    bar = progress.Progress(console=Console(stderr=True))

    def show(done: int, total: int) -> None:
        if not bar.tasks:
            drawn.enter_context(bar).add_task(f"{total} slopes", total=total)
        bar.update(bar.task_ids[0], completed=done)

    return show


if __name__ == "__main__":
    main()
