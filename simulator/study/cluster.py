"""Where tasks are run: in this process, on a local Dask cluster, or on whatever a Dask scheduler has."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol, TypeVar

from server.config import ConfigError

T = TypeVar("T")
R = TypeVar("R")
MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_ARENA_MAX": "1"}
"""Environment of a worker under glibc: keep what was freed. By Dask's own settings a convolution gives its pages back
to the system after every pass and spends more time on getting them again than on arithmetic."""
TASKS_A_CORE = 2
"""In flight: one at work and one waiting, so that no core is idle and no queue fills the memory."""
DEATHS = 3
"""Workers that may die of one task before the study is given up."""


class StudyError(RuntimeError):
    """A study that cannot go on; says why, and what would do. What was finished is in the store."""


class Executor(Protocol):
    """Runs tasks, and gives each back with its result as soon as it is done."""

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield every task with its result, in whatever order they are done."""
        ...


class Here:
    """This process, one task after the other."""

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield every task with its result, in their order."""
        for task in tasks:
            yield task, function(task)


class Dask:
    """The workers of a Dask client."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Yield every task with its result, in whatever order they are done; a few are in flight at a time."""
        from distributed import KilledWorker, as_completed

        left = iter(tasks)
        at_work = {self._submit(function, task): task for task in islice(left, self._n_in_flight())}
        done = as_completed(at_work)
        try:
            for future in done:
                task = at_work.pop(future)
                yield task, future.result()
                for more in islice(left, max(0, self._n_in_flight() - len(at_work))):
                    submitted = self._submit(function, more)
                    at_work[submitted] = more
                    done.add(submitted)
        except KilledWorker as wrong:
            raise StudyError(
                f"{DEATHS} workers died one after the other of the same experiments, most likely for want of memory: "
                "give each more of it, or write a smaller [study] batch. What was finished is in the store."
            ) from wrong
        finally:
            self.client.cancel(list(at_work))

    def _submit(self, function: Callable[[T], R], task: T) -> Any:
        return self.client.submit(function, task, pure=False)

    def _n_in_flight(self) -> int:
        """Return how many tasks to have submitted: workers may come and go."""
        n_threads: int = sum(self.client.nthreads().values())
        return max(1, TASKS_A_CORE * n_threads)


@contextmanager
def executor(workers: int, scheduler: str = "") -> Iterator[Executor]:
    """Give an executor: a scheduler's workers, so many of this machine's, or, with 0, this process."""
    if not workers and not scheduler:
        yield Here()
        return
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as missing:
        raise ConfigError("a study on several cores needs Dask: pip install 'xdream[study]'") from missing
    dask.config.set({"distributed.scheduler.allowed-failures": DEATHS})
    dask.config.set({f"distributed.nanny.pre-spawn-environ.{key}": value for key, value in MEMORY.items()})
    if scheduler:
        try:
            client = Client(scheduler, timeout=20)
        except OSError as wrong:
            raise ConfigError(f"no Dask scheduler answers at {scheduler}: {wrong}") from wrong
        with client:
            yield Dask(client)
        return
    options = {"threads_per_worker": 1, "dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with LocalCluster(n_workers=workers, processes=True, **options) as cluster, Client(cluster) as client:
        yield Dask(client)
