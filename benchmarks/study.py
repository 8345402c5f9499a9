"""`python -m benchmarks.study`: what an experiment of a study costs beside a bare loop, and what more workers gain."""

import argparse
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import torch
from rich.console import Console

from benchmarks.figures import Comparison, add_threads, print_table, set_threads
from protocol.arrays import Images
from server.optimizers import create
from simulator.study import parts
from simulator.study.cluster import Dask, executor
from simulator.study.experiment import Batch
from simulator.study.files import load_study
from simulator.study.plan import expand, networks_of
from simulator.study.recording import precision
from simulator.study.references import Reference
from simulator.study.run import run_batch
from simulator.study.tables import Study

LAYER = "output"
MANY, PRESENTATIONS = 1000, 3000
"""Of the forecast."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one presentation, in ms."""

    cpu_ms: float
    wall_ms: float


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Measure, and print the tables."""
    options = _parser().parse_args(arguments)
    set_threads(options.threads)
    console = console or Console(width=150)
    batches = some_batches(options.presentations, options.batches, options.dtype)
    console.print(f"{options.dtype}, {len(batches[0].planned)} experiments a batch, embedded generator and ConvNet")
    rows = overheads(batches[0], options.rounds)
    print_table(console, "CPU time of a presentation", rows)
    if options.workers:
        print_table(console, "Workers", [speed_up(batches, options.workers)])
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"peak memory of this process {peak_mb:.0f} MB")
    own_ms = float(rows[0].here.split()[0])
    for cores in (1, 8, 64):
        hours = own_ms / 1000 * MANY * PRESENTATIONS / cores / 3600
        console.print(f"{MANY} experiments of {PRESENTATIONS} presentations on {cores} cores: {hours:.2f} h")


def some_batches(presentations: int, n: int, dtype: str) -> list[Batch]:
    """Return batches of searches in the output layer, every unit's best reference image being worth 5."""
    study = load_study("layers")
    settings = study.study.model_copy(update={"presentations": presentations, "dtype": dtype})
    network = study.networks[0].model_copy(update={"units": study.study.batch, "layers": {LAYER: LAYER}})
    grid = study.grids[0].model_copy(update={"seeds": tuple(range(n)), "layers": ()})
    changed: Study = study.model_copy(update={"study": settings, "networks": (network,), "grids": (grid,)})
    networks = networks_of(changed)
    [(label, layers)] = networks.targets.items()
    known = {(networks.specs[label], target): Reference(5.0, 4.0, 0.0, 100) for target in layers[LAYER]}
    return expand(changed, networks, known)


def overheads(batch: Batch, rounds: int) -> list[Comparison]:
    """Return the cost of a batch beside the same searches in a bare loop, together and one by one, turn by turn."""
    ours, together, alone = list[Cost](), list[Cost](), list[Cost]()
    for _ in range(rounds):
        ours.append(measured(lambda: run_batch(batch), batch.presentations))
        together.append(measured(lambda: bare(batch, range(len(batch.planned))), batch.presentations))
        alone.append(measured(lambda: [bare(batch, [i]) for i in range(len(batch.planned))], batch.presentations))
    return [
        _compared("a study's batch", ours, "bare loop, the searches together", together),
        _compared("a study's batch", ours, "bare loop, one search after the other", alone),
    ]


def measured(work: Callable[[], object], presentations: int) -> Cost:
    """Return what some work costs a presentation."""
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    work()
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return Cost(1000 * cpu_s / presentations, 1000 * wall_s / presentations)


def bare(batch: Batch, which: Sequence[int]) -> float:
    """Search with nothing between optimizer, generator and network; return the strongest activation."""
    generator, network = parts.generator(batch.generator), parts.network(batch.network)
    planned = [batch.planned[i] for i in which]
    searches = [
        create(
            e.experiment.optimizer["name"], generator.code_shape,
            (e.experiment.seed, crc32(f"{LAYER}/{e.experiment.unit}".encode())), **e.experiment.optimizer["parameters"],
        )
        for e in planned
    ]  # fmt: skip
    strongest, left = -np.inf, planned[0].experiment.presentations
    with precision(planned[0].experiment.dtype, "cpu"), torch.inference_mode():
        while left > 0:
            asked = [search.ask() for search in searches]
            seen = _outputs(network, generator.render(np.concatenate(asked)))
            for search, each, answers in zip(searches, planned, np.split(seen, len(searches)), strict=True):
                search.tell(answers[:, each.unit.channel])
            strongest, left = max(strongest, float(seen.max())), left - len(asked[0])
    return strongest


def _outputs(network: torch.nn.Module, images: Images) -> np.ndarray:
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return np.asarray(network(pixels).float().numpy())


def speed_up(batches: Sequence[Batch], workers: int) -> Comparison:
    """Return how fast that many workers are beside one, their start left out."""
    (pace, cpu_ms), (pace_of_1, cpu_ms_of_1) = (_pace(batches, n) for n in (workers, 1))
    form = "{:.0f} presentations/s, {:.3f} ms CPU each".format
    return Comparison(
        f"{workers} workers", form(pace, cpu_ms), "1 worker", form(pace_of_1, cpu_ms_of_1), pace / pace_of_1
    )


def _pace(batches: Sequence[Batch], workers: int) -> tuple[float, float]:
    """Return presentations a second, and the workers' CPU time for each; the networks are made before that."""
    with executor(workers) as where:
        assert isinstance(where, Dask)
        where.client.run(_ready, batches[0])
        began_s = time.perf_counter()
        results = [result for _, done in where.run(run_batch, batches) for result in done]
        spent_s = time.perf_counter() - began_s
    shown = sum(batch.presentations for batch in batches)
    return shown / spent_s, 1000 * sum(result.cpu_s for result in results) / shown


def _ready(batch: Batch) -> None:
    parts.network(batch.network)
    parts.generator(batch.generator)


def _compared(what: str, ours: Sequence[Cost], beside: str, theirs: Sequence[Cost]) -> Comparison:
    """Return the least cost of each side: what others on the machine took away is not theirs."""
    here, there = (min(each.cpu_ms for each in costs) for costs in (ours, theirs))
    return Comparison(what, f"{here:.3f} ms", beside, f"{there:.3f} ms", here / there)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.study", description=__doc__, allow_abbrev=False)
    parser.add_argument("--presentations", type=int, default=400, help="of an experiment (default: 400)")
    parser.add_argument("--batches", type=int, default=8, help="to share out among workers (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="of each loop (default: 3)")
    parser.add_argument("--workers", type=int, default=2, help="to compare with one; 0 = do not (default: 2)")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    add_threads(parser)
    return parser


if __name__ == "__main__":
    main()
