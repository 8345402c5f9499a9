"""Running one search for many units and conditions side by side: their pictures are drawn in common batches."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.optimizers.conditions import CONDITIONS, Recording
from benchmarks.optimizers.contrast import EvenGenerator
from benchmarks.optimizers.rendering import FastGenerator
from benchmarks.optimizers.searches import Entry
from benchmarks.optimizers.units import Population, judged

N_PRESENTATIONS = 3000
MOST_AT_ONCE = 320
"""Pictures in one batch: more do not stay in the processor's cache."""


@dataclass(frozen=True, order=True)
class Key:
    """Which run: the rest follows from it."""

    seed: int
    search: str
    condition: str
    unit: str


@dataclass(frozen=True)
class Result:
    """What the recommended picture does without noise, judged in float32."""

    key: Key
    activation: float
    """1 is that of the best reference picture."""
    contrast: float
    """Standard deviation of the picture's grey, 0 to 0.5."""


class _Run:
    def __init__(self, key: Key, column: int, entry: Entry) -> None:
        self.key, self.column = key, column
        # The same noise and the same first codes for every search; a blind one's codes serve all units.
        own = () if entry.blind else (zlib.crc32(key.unit.encode()), zlib.crc32(key.condition.encode()))
        self.search = entry.start((key.seed, *own))
        seed = (key.seed, zlib.crc32(key.unit.encode()), zlib.crc32(key.condition.encode()), 77)
        self.recording = Recording(CONDITIONS[key.condition], seed)


def run(
    entry: Entry,
    population: Population,
    keys: Sequence[Key],
    generator: FastGenerator,
    n_presentations: int = N_PRESENTATIONS,
) -> Iterator[Result]:
    """Let a search evolve pictures for units of one population, each in its condition, and judge what it recommends."""
    drawing = generator if entry.rms_contrast is None else EvenGenerator(generator, entry.rms_contrast)
    runs = [_Run(key, population.names.index(key.unit), entry) for key in keys]
    n_generations = n_presentations // entry.n_shown
    for generation in range(n_generations):
        asked = [each.search.ask().astype(np.float32) for each in runs]
        different = {codes.tobytes(): codes for codes in asked}  # a blind search asks the same for all
        drawn = _activations(population, np.concatenate(list(different.values())), drawing)
        answers = dict(zip(different, np.split(drawn, len(different)), strict=True))
        for each, codes in zip(runs, asked, strict=True):
            activations = answers[codes.tobytes()][:, each.column]
            each.search.tell(each.recording.scores(activations, generation / n_generations))
    codes = np.stack([each.search.recommend() for each in runs]).astype(np.float32)
    found, contrasts = judged(population, codes, entry.rms_contrast)
    for each, by_unit, contrast in zip(runs, found, contrasts, strict=True):
        yield Result(each.key, float(by_unit[each.column]), float(contrast))


@torch.inference_mode()
def _activations(
    population: Population, codes: NDArray[np.float32], generator: FastGenerator | EvenGenerator
) -> NDArray[np.float64]:
    """Return the relative activations [n, n_units] by the pictures of codes [n, d]."""
    batches = torch.split(torch.from_numpy(codes), MOST_AT_ONCE)
    return np.concatenate(
        [population.relative(population.fast(generator.draw(batch, population.window))) for batch in batches]
    )
