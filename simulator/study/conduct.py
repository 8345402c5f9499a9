"""A study from beginning to end: its units' reference activations, its experiments, the lines between optima."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain, combinations

import numpy as np
from numpy.typing import NDArray

from simulator.study import parts
from simulator.study.cluster import Executor
from simulator.study.experiment import Batch, Planned
from simulator.study.files import text_of
from simulator.study.parts import GeneratorSpec, NetworkSpec
from simulator.study.plan import check, expand, networks_of
from simulator.study.recording import Recording, Target
from simulator.study.run import run_batch
from simulator.study.store import Store
from simulator.study.survey import references_of
from simulator.study.tables import Study
from simulator.study.watch import Watch


def conduct(study: Study, store: Store, executor: Executor, watch: Watch) -> int:
    """Run what a store lacks of a study; return how many experiments the study has."""
    networks = networks_of(study)
    check(study, networks)
    references = references_of(study, networks, store, executor, watch)
    batches = expand(study, networks, references)
    store.add_study(study.study.name, text_of(study), [each for batch in batches for each in batch.planned])
    _run(batches, store, executor, watch)
    if study.study.interpolate:
        _interpolate(batches, study.study.interpolate, store, executor, watch)
    return len({each.hash for batch in batches for each in batch.planned})


def missing(batches: Iterable[Batch], done: set[str]) -> list[Batch]:
    """Return the batches with what is not done of them; each experiment once, however often it is planned."""
    seen, found = set(done), []
    for batch in batches:
        new = []
        for each in batch.planned:
            if each.hash not in seen:
                seen.add(each.hash)
                new.append(each)
        if new:
            found.append(Batch(batch.network, batch.generator, batch.images, batch.size_px, batch.device, tuple(new)))
    return found


def _run(batches: list[Batch], store: Store, executor: Executor, watch: Watch) -> None:
    """Run the experiments that are missing; each batch is written down before the next is taken in."""
    todo = missing(batches, store.done())
    total = sum(batch.presentations for batch in missing(batches, set()))
    watch.begins("experiments", total, total - sum(batch.presentations for batch in todo))
    for batch, results in executor.run(run_batch, todo):
        store.add_results(batch.planned, results)
        watch.advances(batch.presentations)


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines between the optima of searches for one unit that differ in their seeds alone."""

    network: NetworkSpec
    generator: GeneratorSpec
    target: Target
    device: str
    positions: tuple[float, ...]
    pairs: list[tuple[str, str]]
    codes: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def run(self) -> list[NDArray[np.float32]]:
        """Return the activations [n_positions] along each line."""
        generator, recording = parts.generator(self.generator), Recording(self.network, [self.target], self.device)
        places = np.array(self.positions, np.float32)[:, None]
        found = []
        for first, second in self.pairs:
            codes = (1 - places) * self.codes[first] + places * self.codes[second]
            images = generator.render(codes.reshape(-1, *generator.code_shape))
            found.append(recording.every(images)[:, 0])
        return found


@dataclass(frozen=True, slots=True)
class Alike:
    """Searches for one unit that differ in their seeds alone, and which two of them have a line to be seen."""

    batch: Batch
    planned: list[Planned]
    pairs: list[tuple[str, str]]

    def lines(self, positions: tuple[float, ...], store: Store) -> Lines:
        """Return the lines, with the codes that they are between."""
        batch, first = self.batch, self.planned[0]
        codes = {hash_: store.code(hash_) for hash_ in dict.fromkeys(chain(*self.pairs))}
        target = first.experiment.layer, first.unit
        return Lines(batch.network, batch.generator, target, batch.device, positions, self.pairs, codes)


def _missing_lines(batches: list[Batch], positions: tuple[float, ...], store: Store) -> list[Alike]:
    """Return the searches between whose optima the store lacks lines, those of one unit and condition together."""
    at = np.array(positions, np.float32)
    done = {(first, second) for first, second, where, _ in store.lines() if np.array_equal(where, at)}
    alike: dict[str, Alike] = {}
    for batch in batches:
        for each in batch.planned:
            condition = f"{each.labels} {each.experiment.unit} {each.experiment.spikes}"
            alike.setdefault(condition, Alike(batch, [], [])).planned.append(each)
    for searches in alike.values():
        pairs = combinations([each.hash for each in searches.planned], 2)
        searches.pairs.extend(pair for pair in pairs if pair not in done)
    return [searches for searches in alike.values() if searches.pairs]


def _interpolate(
    batches: list[Batch], positions: tuple[float, ...], store: Store, executor: Executor, watch: Watch
) -> None:
    """Look along the lines that are missing; the codes of only those under way are in memory."""
    left = _missing_lines(batches, positions, store)
    watch.begins("lines between optima", sum(len(each.pairs) for each in left), 0)
    for task, found in executor.run(Lines.run, (each.lines(positions, store) for each in left)):
        with store.transaction():
            for pair, activations in zip(task.pairs, found, strict=True):
                store.add_line(*pair, np.array(task.positions, np.float32), activations)
        watch.advances(len(task.pairs))
