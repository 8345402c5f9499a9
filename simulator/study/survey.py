"""The reference set shown to all units of a study, part by part: what was seen of it is in the store at once."""

import hashlib
import json
from collections.abc import Sequence

from server.pictures import to_png
from simulator.study import parts
from simulator.study.cluster import Executor
from simulator.study.parts import GeneratorSpec, NetworkSpec
from simulator.study.plan import Networks, References
from simulator.study.recording import Target
from simulator.study.references import Reference, Scan, scans, summed_up
from simulator.study.store import Store
from simulator.study.tables import Study
from simulator.study.watch import Watch


def references_of(study: Study, networks: Networks, store: Store, executor: Executor, watch: Watch) -> References:
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
        scan = _show(tasks, store, executor, watch)
        with store.transaction():
            every = store.seen(scan, len(wanted))
            for target, reference in summed_up(every, wanted, networks.images.count, budget):
                known[spec, target] = reference
                [best] = networks.images.pictures([reference.ranked["best"][0]], size_px)
                store.add_reference(_key(spec, target, networks, size_px, budget), reference, to_png(best))
        store.forget_seen(scan)
    return known


def _show(tasks: Sequence[Scan], store: Store, executor: Executor, watch: Watch) -> str:
    """Show the images that the store does not know the effect of; return what it calls these scans."""
    first = tasks[0]
    scan = _name(first)
    seen = store.starts_seen(scan)
    left = [task for task in tasks if task.numbers.start not in seen]
    n_left = sum(len(task.numbers) for task in left)
    watch.begins("reference images", first.images.count, first.images.count - n_left)
    for task, found in executor.run(Scan.run, left):
        unreadable = [(first.images.name(number), why) for number, why in found.unreadable.items()]
        with store.transaction():
            store.add_seen(scan, found)
            store.add_unreadable(first.images.digest, unreadable)
        for picture, why in unreadable:
            watch.notices(f"reference picture {picture} is left out, it cannot be read: {why}")
        watch.advances(len(task.numbers))
    return scan


def _name(task: Scan) -> str:
    """Name the showing of a whole set to units of a network, by all that determines what they answer."""
    units = [[layer, str(unit)] for layer, unit in task.targets]
    determines = [task.network.identity, units, task.images.digest, task.size_px, len(task.numbers)]
    return hashlib.sha256(json.dumps(determines, sort_keys=True).encode()).hexdigest()


def _key(
    spec: NetworkSpec, target: Target, networks: Networks, size_px: tuple[int, int], budget: int
) -> tuple[str, str, str, str, int, int, int]:
    identity = json.dumps(spec.identity, sort_keys=True)
    return identity, target[0], str(target[1]), networks.images.digest, *size_px, budget
