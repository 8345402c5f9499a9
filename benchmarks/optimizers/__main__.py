"""`python -m benchmarks.optimizers`: run what is not on record yet, then print the tables and draw the plot."""

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rich.console import Console

from benchmarks.optimizers import report
from benchmarks.optimizers.conditions import CONDITIONS
from benchmarks.optimizers.rendering import FastGenerator
from benchmarks.optimizers.runs import N_PRESENTATIONS, Key, run
from benchmarks.optimizers.searches import COMPARED, ENTRIES
from benchmarks.optimizers.store import Store
from benchmarks.optimizers.units import SEEDS, Population, units

RESULTS = Path(__file__).parent.parent / "results" / "optimizers.csv"


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Run the searches that are asked for, seed by seed, and report."""
    options = _parser().parse_args(arguments)
    console = console or Console(width=140)
    torch.set_num_threads(options.threads)
    store = Store(options.results)
    if not options.report:
        _run_missing(options, store, console)
    results = store.read()
    compared = [result for result in results if result.key.search in COMPARED]
    if len({result.key.search for result in results}) > 1:
        found = report.ratios(compared)
        tables = [report.ratio_table(found, own) for own in report.OURS if any(key[0] == own for key in found)]
        if even := report.ratios_at_one_contrast(results):
            tables.append(report.ratio_table(even, report.OURS_AT_ONE_CONTRAST))
        for text in (*tables, *map(report.activation_table, (results, report.shared(compared)))):
            console.print(text, end="\n\n", markup=False, highlight=False, soft_wrap=True)
        if options.plot:
            report.draw(found, options.plot)


def _run_missing(options: argparse.Namespace, store: Store, console: Console) -> None:
    """Run and record all that is missing, a search and a population of units at a time."""
    done = {result.key for result in store.read()}
    generator = FastGenerator()
    for seed, search, population in _jobs(options):
        wanted = [
            Key(seed, search, condition, unit)
            for unit in population.names
            if not options.only or any(unit.startswith(start) for start in options.only)
            for condition in options.conditions
        ]
        missing = [key for key in wanted if key not in done]
        if missing:
            began_s = time.perf_counter()
            store.add(run(ENTRIES[search], population, missing, generator, options.presentations))
            done.update(missing)
            what = f"seed {seed}, {search}, {population.names[0]}: {len(missing)} runs"
            console.print(f"{what} in {time.perf_counter() - began_s:.0f} s", highlight=False)


def _jobs(options: argparse.Namespace) -> Iterator[tuple[int, str, Population]]:
    for seed in options.seeds:
        for search in options.searches:
            for population in units(options.units):
                yield seed, search, population


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.optimizers", description=__doc__, allow_abbrev=False)
    parser.add_argument("--report", action="store_true", help="run nothing: only table and plot")
    parser.add_argument("--searches", nargs="+", choices=ENTRIES, default=list(ENTRIES), metavar="NAME")
    parser.add_argument("--conditions", nargs="+", choices=CONDITIONS, default=list(CONDITIONS), metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], help="default: 0 1 2")
    parser.add_argument("--units", choices=SEEDS, default="test", help="the set of units (default: test)")
    parser.add_argument("--only", nargs="+", metavar="START", help="units whose names begin so")
    parser.add_argument("--presentations", type=int, default=N_PRESENTATIONS, help="of a run (default: 3000)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where results are kept")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="where to draw the ratios")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    return parser


if __name__ == "__main__":
    main()
