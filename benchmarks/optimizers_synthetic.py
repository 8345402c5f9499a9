"""`python -m benchmarks.optimizers_synthetic`: every search in the same synthetic world, as ratios of one run.

A search is judged by the noise-free activation of what it recommends, never by its best score. All searches
get the same neurons, as many presentations, and codes of one norm, which is to say images of like contrast.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.world import RECORDINGS, Generator, Neuron, Recording
from server.optimizers import create

CELL_2019 = {"mutation_rate": 0.25, "mutation_size": 0.75, "selectivity": 0.5, "heritability": 0.75, "n_conserve": 10}
SEARCHES: dict[str, tuple[str, dict[str, Any]]] = {
    "cma": ("cma", {}),
    "sphere": ("sphere", {"population": 39}),
    "sphere_mirror": ("sphere_mirror", {}),
    "separable": ("separable", {}),
    "sep_cma": ("sep_cma", {}),
    "genetic, Cell 2019": ("genetic", CELL_2019),
    "genetic, fc6": ("genetic", {}),
    "fdgd": ("fdgd", {}),
    "nes": ("nes", {}),
    "random": ("random", {}),
}
N_SHOWN = 40
"""Images a generation; with its centre, sphere's 39 are as many."""
SIZE = {"fdgd": "n_samples", "nes": "n_samples"}


@dataclass(frozen=True)
class Run:
    """What one search of one neuron came to."""

    activation: float
    contrast: float
    """RMS of the recommended image."""
    ms: float
    """Of the optimizer's own time, each generation."""


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Run the searches that are asked for in each condition, and print a table for each."""
    options = _parser().parse_args(arguments)
    console = console or Console(width=120)
    generator = Generator(n_genes=options.genes)
    for kind in options.kinds:
        neurons = [Neuron(kind, seed, generator) for seed in range(options.neurons)]
        for condition in options.recordings:
            results = {
                name: [
                    search(name, generator, each, condition, options.generations, n) for n, each in enumerate(neurons)
                ]
                for name in options.searches
            }
            print_results(console, f"{kind}, {condition}, {len(neurons)} neurons", results)


def search(name: str, generator: Generator, neuron: Neuron, condition: str, n_generations: int, seed: int) -> Run:
    """Evolve images for one neuron, and return what the recommended one does without noise."""
    kind, given = SEARCHES[name]
    size = {} if "population" in given else {SIZE.get(kind, "population"): N_SHOWN}
    optimizer = create(kind, (generator.n_genes,), seed, norm=generator.norm, **size, **given)
    random, recording, slow, spent_s = np.random.default_rng((seed, 77)), RECORDINGS[condition], 0.0, 0.0
    for generation in range(n_generations):
        began_s = time.perf_counter()
        codes = optimizer.ask()
        spent_s += time.perf_counter() - began_s
        slow = 0.8 * slow + 0.6 * random.normal()
        activations = neuron.respond(generator.render(codes))
        scores = measured(activations, recording, generation / n_generations, slow, random)
        began_s = time.perf_counter()
        optimizer.tell(scores)
        spent_s += time.perf_counter() - began_s
    image = generator.render(optimizer.recommend()[None])
    contrast = float(np.sqrt(np.mean(image**2)))
    return Run(float(neuron.respond(image)[0]), contrast, 1000 * spent_s / n_generations)


def measured(
    activations: NDArray[np.float32],
    recording: Recording | None,
    progress: float,
    slow: float,
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Return the scores as recorded, or as they are where nothing records; a drifting rig loses a fifth."""
    if recording is None:
        return activations
    counts = recording.count(activations, progress, slow, random)
    lost = random.random(len(counts)) < (0.2 if recording.drift else 0.0)
    return np.where(lost, np.float32(np.nan), counts)


def print_results(console: Console, title: str, results: dict[str, list[Run]]) -> None:
    """Print each search's activation and its ratio to the first's, paired by neuron, with a 95 % interval."""
    headings = ("search", "activation", "ratio", "95 % interval", "RMS contrast", "ms a generation")
    table = Table(*headings, title=title, title_justify="left", box=None)
    reference = np.log([run.activation for run in next(iter(results.values()))])
    for name, runs in results.items():
        ratios = np.log([run.activation for run in runs]) - reference
        middle, half = ratios.mean(), 1.96 * ratios.std(ddof=1) / np.sqrt(len(ratios))
        table.add_row(
            name,
            f"{np.mean([run.activation for run in runs]):.2f}",
            f"{np.exp(middle):.2f}",
            f"{np.exp(middle - half):.2f} to {np.exp(middle + half):.2f}",
            f"{np.mean([run.contrast for run in runs]):.2f}",
            f"{np.median([run.ms for run in runs]):.1f}",
        )
    console.print(table)
    console.print()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.optimizers_synthetic", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=list(SEARCHES), metavar="NAME")
    parser.add_argument("--kinds", nargs="+", choices=["IT", "V1"], default=["IT", "V1"], help="of neurons")
    parser.add_argument("--recordings", nargs="+", choices=RECORDINGS, default=list(RECORDINGS), metavar="NAME")
    parser.add_argument("--neurons", type=int, default=10, help="of each kind (default: 10)")
    parser.add_argument("--generations", type=int, default=75, help="of 40 images (default: 75)")
    parser.add_argument("--genes", type=int, default=4096, help="dimensions of a code (default: 4096)")
    return parser


if __name__ == "__main__":
    main()
