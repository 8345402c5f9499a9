"""`xdream study`: run a study file, list those that come with XDream, say what one comes to."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from server.config import ConfigError
from simulator.study.cluster import StudyError, executor
from simulator.study.conduct import conduct
from simulator.study.files import load_study, shipped
from simulator.study.store import Store
from simulator.study.watch import Watch


def main(
    file: str = "",
    store: Path | None = None,
    laid_over: Sequence[str] = (),
    workers: int | None = None,
    scheduler: str = "",
    list_: bool = False,
    quiet: bool = False,
) -> int:
    """Do what `xdream study` was asked for; return the exit status."""
    console = Console(soft_wrap=True, quiet=quiet, markup=False)
    if list_ or not file:
        _list(console)
        return 0
    study = load_study(file, laid_over)
    path = store or Path(f"{study.study.name}.study")
    try:
        n_started = n_workers(workers, scheduler, study.study.device)
        with executor(n_started, scheduler) as where, Store(path) as opened, _bar(console) as watch:
            n = conduct(study, opened, where, watch)
    except KeyboardInterrupt:
        console.print(f"Stopped. What was finished is in {path}: the same command goes on from there.")
        return 130
    except ConfigError as wrong:
        # what is found wrong with a table once the networks are there
        names = ", ".join((file, *laid_over))
        raise ConfigError(*(f"{names}, {each}" if each.startswith("[") else each for each in wrong.problems)) from wrong
    except StudyError as wrong:
        raise ConfigError(str(wrong)) from wrong
    console.print(f"{study.study.name}: {n} experiments are in {path}. Look at them: xdream report {path}")
    return 0


def _list(console: Console) -> None:
    table = Table("name", "what", box=None)
    for name, about in shipped():
        table.add_row(name, about)
    console.print(table)
    console.print("Run one: xdream study NAME. On your own networks: xdream study NAME --with FILE (docs/studies.md).")


def n_workers(asked: int | None, scheduler: str, device: str) -> int:
    """Return how many workers to start: as many as there are cores, unless told; none beside this process on a GPU."""
    if scheduler or (device == "cuda" and asked is None):
        return 0
    return asked if asked is not None else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


class _Bar(Watch):
    """A progress bar with the time that is left."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.task: TaskID | None = None

    def begins(self, what: str, total: int, done: int) -> None:
        """Show another bar."""
        self.task = self.progress.add_task(what, total=total, completed=done)

    def advances(self, by: int) -> None:
        """Move the bar on."""
        if self.task is not None:
            self.progress.advance(self.task, by)

    def notices(self, sentence: str) -> None:
        """Say it above the bar."""
        self.progress.console.print(sentence)


@contextmanager
def _bar(console: Console) -> Iterator[Watch]:
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("for"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress)
