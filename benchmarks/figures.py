"""Figures of one run beside what they are compared with: a plain table, its last column a ratio."""

import argparse
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measurement, and the same of something simpler or slower in the same run."""

    what: str
    here: str
    beside: str
    """What it is compared with."""
    there: str
    ratio: float
    """Here over there."""


def durations(what: str, here_s: Sequence[float], beside: str, there_s: Sequence[float]) -> Comparison:
    """Return two samples of durations side by side, their medians as the ratio."""
    ratio = float(np.median(here_s) / np.median(there_s)) if len(here_s) and len(there_s) else float("nan")
    return Comparison(what, spread(here_s), beside, spread(there_s), ratio)


def spread(times_s: Sequence[float]) -> str:
    """Return the median and the 99th percentile in milliseconds, and of how many."""
    if not len(times_s):
        return "none"
    middle, tail = 1000 * np.percentile(times_s, (50, 99))
    return f"{middle:.2f} / {tail:.2f} ms (n {len(times_s)})"


def print_table(console: Console, title: str, rows: Iterable[Comparison]) -> None:
    """Print comparisons, one a line."""
    table = Table("what", "here", "compared with", "there", "here / there", title=title, title_justify="left", box=None)
    for row in rows:
        table.add_row(row.what, row.here, row.beside, row.there, f"{row.ratio:.3g}")
    console.print(table)
    console.print()


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Let the user say how many threads torch may use."""
    parser.add_argument("--threads", type=int, default=1, help="of torch, on both sides of a comparison (default: 1)")


def set_threads(n_threads: int) -> None:
    """Give torch so many threads, here and in the processes started from here: both sides of a ratio have the same."""
    torch.set_num_threads(n_threads)
    os.environ["OMP_NUM_THREADS"] = str(n_threads)
