"""`python -m benchmarks.render`: images a second in one batch, beside one at a time, and beside the network alone.

DeePSiM generators without `--weights` get random weights of the published shapes, made for the run: they draw nothing
worth seeing, and take as long.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from rich.console import Console
from safetensors.torch import save_file

from benchmarks.figures import Comparison, add_threads, print_table, set_threads
from protocol.arrays import Codes, Images
from server.generators import Generator, GeneratorError, create
from server.generators.deepsim_networks import VARIANTS, Variant
from server.generators.embedded import WEIGHTS
from server.generators.processor import Processor, processor

BY_DEFAULT = ("embedded", "raw_pixel", "deepsim-fc6")
CPU = processor("", "cpu", "float32", 64)
"""Where a generator runs that has no processor of its own."""


@dataclass(frozen=True, slots=True)
class Made:
    """A generator to time, and what the table calls it."""

    name: str
    generator: Generator
    network: torch.nn.Module | None
    """None where there is none, as for raw pixels."""
    processor: Processor


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Time the generators that are asked for, and print a table."""
    parser = _parser()
    options = parser.parse_args(arguments)
    set_threads(options.threads)
    names = [options.generator] if options.generator else [n for n in BY_DEFAULT if n != "embedded" or WEIGHTS.exists()]
    rows: list[Comparison] = []
    for name in names:
        own = bool(options.generator) or name in VARIANTS
        placed = {key: value for key in ("device", "dtype") if own and (value := getattr(options, key))}
        try:
            rows += compare(make(name, options.weights, placed), options.codes, options.seconds)
        except GeneratorError as wrong:
            parser.error(str(wrong))
    print_table(console or Console(width=160), "Rendering", rows)


def make(name: str, weights: str = "", parameters: dict[str, Any] | None = None) -> Made:
    """Return the generator of that name, with random weights where it needs some and none are given."""
    parameters, title = dict(parameters or {}), name
    with TemporaryDirectory() as folder:
        if name in VARIANTS and not weights:
            weights, title = str(_random_weights(Path(folder), name)), f"{name} (random weights)"
        if weights:
            parameters["weights"] = weights
        generator = create(name, **parameters)
    place: Processor = getattr(generator, "processor", CPU)
    network: torch.nn.Module | None = getattr(generator, "network", None)
    numbers = f" {str(place.dtype).removeprefix('torch.')}" if network else ""
    return Made(f"{title}, {place.device.type}{numbers}", generator, network, place)


def compare(made: Made, n_codes: int, seconds: float) -> list[Comparison]:
    """Return the images a second in one batch beside the other ways, all taken in turn for so long."""
    codes = np.random.default_rng(0).standard_normal((n_codes, *made.generator.code_shape), np.float32)
    ways: dict[str, Callable[[], object]] = {
        "": partial(_render, made.generator, [codes]),
        "one image at a time": partial(_render, made.generator, [codes[i : i + 1] for i in range(n_codes)]),
    }
    if made.network is not None:
        ways["the network alone, no picture made"] = partial(_run, made.network, made.processor, codes)
    times_s: dict[str, list[float]] = {way: [] for way in ways}
    for once in ways.values():
        once()  # the first time is for memory to be found and kernels to be chosen
    until_s = time.perf_counter() + seconds
    while not times_s[""] or time.perf_counter() < until_s:
        for way, once in ways.items():
            times_s[way].append(_time(once, made.processor.device))
    here, *others = ((way, n_codes / float(np.median(each))) for way, each in times_s.items())
    what = f"{made.name}, {n_codes} in one batch"
    return [Comparison(what, _rate(here[1]), way, _rate(there), here[1] / there) for way, there in others]


def _render(generator: Generator, batches: Sequence[Codes]) -> list[Images]:
    return [generator.render(codes) for codes in batches]  # all are held: a generation is shown when it is complete


def _run(network: torch.nn.Module, place: Processor, codes: Codes) -> None:
    """Run the plain module on one batch: from codes on the device to what it returns, left there."""
    with torch.inference_mode():
        network(place.taken(torch.from_numpy(codes)))


def _time(once: Callable[[], object], device: torch.device) -> float:
    began_s = time.perf_counter()
    once()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began_s


def _rate(images_per_s: float) -> str:
    return f"{images_per_s:.3g} images/s" if images_per_s < 10 else f"{images_per_s:.0f} images/s"


def _random_weights(folder: Path, name: str) -> Path:
    """Write weights of a variant's shapes that keep activations about as large from layer to layer."""
    path, random, variant = folder / f"{name}.safetensors", torch.Generator().manual_seed(0), VARIANTS[name]
    shapes = {key: shape for key, shape in variant.shapes.items() if key not in variant.may_lack}
    save_file({key: torch.randn(shape, generator=random) * _scale(variant, key) for key, shape in shapes.items()}, path)
    return path


def _scale(variant: Variant, key: str) -> float:
    shape = variant.shapes[key]
    n_summed = 1 if len(shape) == 1 else shape[1] if len(shape) == 2 else shape[0] * shape[-1]
    return float((2 / n_summed) ** 0.5)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.render", description=__doc__, allow_abbrev=False)
    parser.add_argument("--generator", metavar="NAME", help="a generator's name, or package.module:Class")
    parser.add_argument("--weights", metavar="PATH", default="", help="the file of its weights, where it needs one")
    parser.add_argument(
        "--device", default="", help="cpu, cuda or auto, for a generator that takes one (default: auto)"
    )
    parser.add_argument("--dtype", default="", help="float32 or bfloat16, likewise (default: float32)")
    parser.add_argument("--codes", type=int, default=40, help="images of one batch (default: 40)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each generator (default: 5)")
    add_threads(parser)
    return parser


if __name__ == "__main__":
    main()
