"""`python -m benchmarks.loop`: dead time between generations, pace of a dry run, round trips on the wire.

Each figure stands beside another of the same run, because machines differ and are never quite alone.
"""

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.dead_time import Case, compare_dead_times
from benchmarks.dry_run import compare_paces
from benchmarks.figures import Comparison, add_threads, print_table, set_threads
from benchmarks.wire import compare_batches, compare_heartbeats, compare_locked
from server.generators.embedded import WEIGHTS

CASES = [
    Case("raw_pixel 8 x 8: no rendering to speak of", 'name = "raw_pixel", size = 8'),
    Case("embedded 64 x 64", 'name = "embedded"'),
    Case("256 x 256 from 4,096 numbers, as on a rig", 'name = "benchmarks.dead_time:Tiles"'),
]
LARGE = [Case("raw_pixel 256 x 256: 196,608 numbers a code", 'name = "raw_pixel", size = 256')]


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Run what is asked for, and print a table of each."""
    options = _parser().parse_args(arguments)
    set_threads(options.threads)
    console = console or Console(width=160)
    with _quiet():
        for part in options.parts or PARTS:
            title, compare = PARTS[part]
            with tempfile.TemporaryDirectory(prefix="xdream-benchmark-") as folder:
                print_table(console, title, compare(options, Path(folder)))


@contextmanager
def _quiet() -> Iterator[None]:
    """That the peers come one after the other is no news here."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _dead_times(options: argparse.Namespace, folder: Path) -> Iterator[Comparison]:
    for number, case in enumerate(LARGE if options.large_codes else CASES):
        if "embedded" not in case.generator or WEIGHTS.exists():
            yield compare_dead_times(case, folder / str(number), options.seconds)


def _paces(options: argparse.Namespace, folder: Path) -> Iterator[Comparison]:
    yield compare_paces(folder, options.generations)


def _wire(options: argparse.Namespace, folder: Path) -> Iterator[Comparison]:
    yield from compare_batches(40, 256, options.trips)
    yield compare_locked(40, 256, options.trips)
    yield compare_heartbeats(10 * options.trips)


Part = tuple[str, Callable[[argparse.Namespace, Path], Iterator[Comparison]]]
PARTS: dict[str, Part] = {
    "dead-time": ("Dead time: last spikes sent -> first new image at the display, p50 / p99, 40 codes", _dead_times),
    "pace": ("Pace of the whole loop", _paces),
    "wire": ("Round trips over TCP on this machine, p50 / p99", _wire),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.loop", description=__doc__, allow_abbrev=False)
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *PARTS], help=", ".join(PARTS))
    parser.add_argument("--seconds", type=float, default=5.0, help="of each dead time (default: 5)")
    parser.add_argument(
        "--large-codes", action="store_true", help="dead time with 40 codes of 196,608 numbers: a minute or more"
    )
    parser.add_argument("--generations", type=int, default=10, help="of the dry run (default: 10)")
    parser.add_argument("--trips", type=int, default=100, help="round trips of images; ten times of heartbeats")
    add_threads(parser)
    return parser


if __name__ == "__main__":
    main()
