"""What the reference set does to each unit: its best, the best that so many random ones may be expected to hold."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.config import ConfigError
from simulator.study.image_sets import ImageSet
from simulator.study.parts import NetworkSpec
from simulator.study.recording import Recording, Target

CHUNK = 500
"""Images a task: seconds of work, and nothing that a worker could not hold."""
N_RANKED = 40
"""Images kept by number at either end and in the middle: enough for a generation to begin with."""
Activations = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What some images of a set, from the number `start` on, did to some units."""

    start: int
    activations: Activations
    """[n_images, n_targets]; NaN where an image cannot be read."""
    unreadable: dict[int, str]
    """Why not, by number."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Some images of a set shown to some units."""

    network: NetworkSpec
    targets: tuple[Target, ...]
    images: ImageSet
    size_px: tuple[int, int]
    numbers: range
    device: str

    def run(self) -> Seen:
        """Return what the images do, those that can be read."""
        readable, pictures, unreadable = self.images.readable(self.numbers, self.size_px)
        activations = np.full((len(self.numbers), len(self.targets)), np.nan, np.float32)
        if readable:
            rows = np.array(readable) - self.numbers.start
            activations[rows] = Recording(self.network, self.targets, self.device).every(pictures)
        return Seen(self.numbers.start, activations, unreadable)


@dataclass(frozen=True, slots=True)
class Reference:
    """One unit and a reference set."""

    best: float
    """The strongest activation by any image of the set."""
    expected_best: float
    """The mean of the best of as many images, drawn at random, as an experiment shows."""
    median: float
    n_images: int
    ranked: dict[str, list[int]] = field(default_factory=dict)
    """Numbers of the "best", "middle" and "worst" images, the most extreme (or most middling) first."""

    @property
    def alive(self) -> bool:
        """Whether any image excites the unit: else nothing can be relative to the best."""
        return self.best > 0


def scans(
    network: NetworkSpec, targets: tuple[Target, ...], images: ImageSet, size_px: tuple[int, int], device: str
) -> list[Scan]:
    """Return the tasks that show a whole set to units of a network."""
    starts = range(0, images.count, CHUNK)
    return [Scan(network, targets, images, size_px, range(i, min(i + CHUNK, images.count)), device) for i in starts]


def summed_up(
    seen: Iterable[Seen], targets: Sequence[Target], n_images: int, budget: int
) -> Iterator[tuple[Target, Reference]]:
    """Yield what a network's scans, in whatever order, say of each unit; they wait on disk, not in memory."""
    readable = np.ones(n_images, bool)
    with tempfile.TemporaryFile() as file:
        table = np.memmap(file, np.float32, "w+", shape=(len(targets), n_images))
        for each in seen:
            table[:, each.start : each.start + len(each.activations)] = each.activations.T
            readable[list(each.unreadable)] = False
        numbers = np.flatnonzero(readable)
        if len(numbers) < 2:
            raise ConfigError(
                f"[references]: {len(numbers)} pictures of {n_images} can be read, and two are the least."
            )
        for target, values in zip(targets, table, strict=True):
            yield target, _reference(np.array(values[numbers], np.float64), numbers, budget)


def _reference(values: NDArray[np.float64], numbers: NDArray[np.int64], budget: int) -> Reference:
    """Return what activations by the images of these numbers come to."""
    order = np.argsort(-values, kind="stable")
    middle = order[np.argsort(np.abs(np.arange(len(order)) - len(order) / 2), kind="stable")]
    ranked = {"best": order, "middle": middle, "worst": order[::-1]}
    return Reference(
        float(values.max()),
        expected_best(values, budget),
        float(np.median(values)),
        len(values),
        {name: numbers[places[:N_RANKED]].tolist() for name, places in ranked.items()},
    )


def expected_best(values: NDArray[np.float64], n: int) -> float:
    """Return the mean of the largest of n values drawn at random, each at most once.

    The r-th largest of M, from 0, is the largest drawn with probability C(M-1-r, n-1) / C(M, n).
    """
    m = len(values)
    if n >= m:
        return float(values.max())
    r = np.arange(m - n)
    share = np.concatenate([[1.0], np.cumprod((m - n - r) / (m - 1 - r))]) * n / m
    return float(share @ np.sort(values)[::-1][: len(share)])
