"""`python -m benchmarks.render`: images a second of a generator, in one batch beside one image at a time."""

import argparse
import time
from collections.abc import Sequence

import numpy as np
from rich.console import Console

from benchmarks.figures import Comparison, add_threads, print_table, set_threads
from protocol.arrays import Codes
from server.generators import Generator, create
from server.generators.embedded import WEIGHTS


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Time the generators that are asked for, and print a table."""
    options = _parser().parse_args(arguments)
    set_threads(options.threads)
    if options.generator:
        parameters = {"weights": options.weights} if options.weights else {}
        made = [(options.generator, create(options.generator, **parameters))]
    else:
        made = [("embedded", create("embedded"))] if WEIGHTS.exists() else []
        made.append(("raw_pixel, 256 x 256", create("raw_pixel")))
    rows = [compare(name, generator, options.codes, options.seconds) for name, generator in made]
    print_table(console or Console(width=160), "Rendering", rows)


def compare(name: str, generator: Generator, n_codes: int, seconds: float) -> Comparison:
    """Return the images a second in one batch beside those one at a time, taken in turn for so long."""
    codes = np.random.default_rng(0).standard_normal((n_codes, *generator.code_shape), np.float32)
    generator.render(codes)  # the first time is for memory to be found and kernels to be chosen
    until_s = time.perf_counter() + seconds
    together_s: list[float] = []
    singly_s: list[float] = []
    while not singly_s or time.perf_counter() < until_s:
        together_s.append(_time(generator, [codes]))
        singly_s.append(_time(generator, [codes[i : i + 1] for i in range(n_codes)]))
    together, singly = (n_codes / float(np.median(times_s)) for times_s in (together_s, singly_s))
    return Comparison(
        f"{name}, {n_codes} images in one batch",
        f"{together:.0f} images/s",
        "one image at a time",
        f"{singly:.0f} images/s",
        together / singly,
    )


def _time(generator: Generator, batches: Sequence[Codes]) -> float:
    began_s = time.perf_counter()
    for codes in batches:
        generator.render(codes)
    return time.perf_counter() - began_s


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.render", description=__doc__, allow_abbrev=False)
    parser.add_argument("--generator", metavar="NAME", help="a generator's name, or package.module:Class")
    parser.add_argument("--weights", metavar="PATH", help="the file of its weights, where it needs one")
    parser.add_argument("--codes", type=int, default=40, help="images of one batch (default: 40)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each generator (default: 5)")
    add_threads(parser)
    return parser


if __name__ == "__main__":
    main()
