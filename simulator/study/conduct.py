"""A study from beginning to end: its units' reference activations, its experiments, the lines between optima."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from server.pictures import to_png
from simulator.study import parts
from simulator.study.cluster import Executor
from simulator.study.experiment import Batch, Planned
from simulator.study.files import text_of
from simulator.study.parts import GeneratorSpec, NetworkSpec
from simulator.study.plan import Networks, References, expand, networks_of
from simulator.study.recording import Recording, Target
from simulator.study.references import Activations, Reference, Scan, scans, summed_up
from simulator.study.run import run_batch
from simulator.study.store import Store
from simulator.study.tables import Study


class Watch:
    """Is told how far a study is; this one says nothing."""

    def begins(self, what: str, total: int, done: int) -> None:
        """Take note that so much is to be done, of which so much was done before."""

    def advances(self, by: int) -> None:
        """Take note that so much more is done."""


def conduct(study: Study, store: Store, executor: Executor, watch: Watch) -> int:
    """Run what a store lacks of a study; return how many experiments the study has."""
    networks = networks_of(study)
    references = _references(study, networks, store, executor, watch)
    batches = expand(study, networks, references)
    store.add_study(study.study.name, text_of(study), [each for batch in batches for each in batch.planned])
    _run(batches, store, executor, watch)
    if study.study.interpolate:
        _interpolate(_pairs(batches, study.study.interpolate, store), store, executor, watch)
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


def _references(study: Study, networks: Networks, store: Store, executor: Executor, watch: Watch) -> References:
    """Return what the reference set does to every unit of a study, from the store or by showing it."""
    size_px = parts.drawing_size(GeneratorSpec.of(study.generators[0]))
    budget = max(1, study.study.presentations // study.study.repeats)
    known: dict[tuple[NetworkSpec, Target], Reference] = {}
    for label, spec in networks.specs.items():
        targets = list(dict.fromkeys(each for layer in networks.targets[label].values() for each in layer))
        wanted = []
        for target in targets:
            found = store.reference(_key(spec, target, networks, size_px, budget))
            if found is None:
                wanted.append(target)
            else:
                known[spec, target] = found
        if not wanted:
            continue
        tasks = scans(spec, tuple(wanted), networks.images, size_px, study.study.device)
        watch.begins("reference images", networks.images.count, 0)
        done = _watched(executor.run(Scan.run, tasks), watch)
        with store.transaction():
            for target, reference in summed_up(done, networks.images.count, budget):
                known[spec, target] = reference
                [best] = networks.images.pictures([reference.ranked["best"][0]], size_px)
                store.add_reference(_key(spec, target, networks, size_px, budget), reference, to_png(best))
    return known


def _key(
    spec: NetworkSpec, target: Target, networks: Networks, size_px: tuple[int, int], budget: int
) -> tuple[str, str, str, str, int, int, int]:
    identity = json.dumps(spec.identity, sort_keys=True)
    return identity, target[0], str(target[1]), networks.images.digest, *size_px, budget


def _watched(done: Iterator[tuple[Scan, Activations]], watch: Watch) -> Iterator[tuple[Scan, Activations]]:
    for scan, activations in done:
        watch.advances(len(scan.numbers))
        yield scan, activations


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


def _pairs(batches: list[Batch], positions: tuple[float, ...], store: Store) -> list[Lines]:
    """Return the lines between optima that the store lacks, those of one unit and condition together."""
    at = np.array(positions, np.float32)
    done = {(first, second) for first, second, where, _ in store.lines() if np.array_equal(where, at)}
    alike: dict[str, tuple[Batch, list[Planned]]] = {}
    for batch in batches:
        for each in batch.planned:
            condition = f"{each.labels} {each.experiment.unit} {each.experiment.spikes}"
            alike.setdefault(condition, (batch, []))[1].append(each)
    found = []
    for batch, planned in alike.values():
        pairs = [pair for pair in combinations([each.hash for each in planned], 2) if pair not in done]
        if pairs:
            target = planned[0].experiment.layer, planned[0].unit
            codes = {each.hash: store.code(each.hash) for each in planned}
            found.append(Lines(batch.network, batch.generator, target, batch.device, positions, pairs, codes))
    return found


def _interpolate(tasks: list[Lines], store: Store, executor: Executor, watch: Watch) -> None:
    watch.begins("lines between optima", sum(len(task.pairs) for task in tasks), 0)
    for task, found in executor.run(Lines.run, tasks):
        with store.transaction():
            for pair, activations in zip(task.pairs, found, strict=True):
                store.add_line(*pair, np.array(task.positions, np.float32), activations)
        watch.advances(len(task.pairs))
