"""From a study file to its experiments: every combination that its grids name, each once."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from adapters.source import SourceError
from server import optimizers
from server.config import ConfigError
from server.optimizers import OptimizerError
from simulator.models import Layers, layer_shape
from simulator.study import parts
from simulator.study.beginnings import check_beginning
from simulator.study.experiment import Batch, Experiment, Labels, Planned, batches
from simulator.study.image_sets import ImageSet, image_set
from simulator.study.labels import Search, chosen, label_of, searches
from simulator.study.parts import GeneratorSpec, NetworkSpec
from simulator.study.recording import Target
from simulator.study.references import Reference
from simulator.study.tables import Generator, Grid, Initial, Network, Study
from simulator.units import Unit, check_unit, parse_units

References = Mapping[tuple[NetworkSpec, Target], Reference]
EMBEDDED = "embedded"


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of a study, and their units."""

    targets: dict[str, dict[str, list[Target]]]
    """By the network's label, then the layer's."""
    specs: dict[str, NetworkSpec]
    images: ImageSet


def networks_of(study: Study) -> Networks:
    """Return a study's networks with the units that it is about; raise ConfigError."""
    specs = {label_of(each): NetworkSpec.of(each) for each in study.networks}
    rendered_px = parts.rendered_px(GeneratorSpec.of(study.generators[0]))
    targets = {
        label_of(each): {
            label: _units(each, parts.layers(specs[label_of(each)], rendered_px), layer)
            for label, layer in each.layers.items()
        }
        for each in study.networks
    }
    return Networks(targets, specs, image_set(study.references))


def check(study: Study, networks: Networks) -> None:
    """Raise ConfigError for parts that cannot be had together: before hours are spent on the reference set."""
    for generator in study.generators:
        shape = parts.generator(GeneratorSpec.of(generator)).code_shape
        for way in (_with(generator, way) for way in searches(study.optimizers)):
            try:
                optimizers.create(way.name, shape, 0, **way.parameters)
            except OptimizerError as wrong:
                where = f"[[optimizer]] {way.label!r} with generator {label_of(generator)!r}"
                raise ConfigError(f"{where}: {wrong}") from wrong
    for generator, network in product(study.generators, study.networks):
        for each in study.initials:
            if any(_meet(grid, network, generator) and chosen(grid.initials, [each.label]) for grid in study.grids):
                spec = networks.specs[label_of(network)]
                check_beginning(label_of(each), _initial(each, generator), spec, GeneratorSpec.of(generator))


def expand(study: Study, networks: Networks, references: References) -> list[Batch]:
    """Return all experiments of a study in batches; those of units that no reference image excites are left out."""
    found: list[Batch] = []
    for network, generator in product(study.networks, study.generators):
        spec, drawing = networks.specs[label_of(network)], GeneratorSpec.of(generator)
        ways = {way.label: _with(generator, way) for way in searches(study.optimizers)}
        planned: dict[tuple[str, Labels], Planned] = {}
        for grid in study.grids:
            for each in _of_grid(study, grid, network, generator, ways, networks, references):
                planned.setdefault((each.hash, each.labels), each)
        settings, size_px = study.study, parts.drawing_size(drawing)
        found += batches(
            list(planned.values()), settings.batch, spec, drawing, networks.images, size_px, settings.device
        )
    return found


def _units(table: Network, layers: Layers, layer: str) -> list[Target]:
    """Return the units of a layer: those named, or as many at random, the same ones in every study."""
    where = f"[[network]] {label_of(table)!r}, layer {layer!r}"
    try:
        shape = layer_shape(layers, layer)
        named = [] if isinstance(table.units, int) else parse_units(";".join(table.units))
    except SourceError as wrong:
        raise ConfigError(f"{where}: {wrong}") from wrong
    try:
        for unit in named:
            check_unit(unit, layer, shape)
    except SourceError as wrong:
        raise ConfigError(f"[[network]] {label_of(table)!r}, units: {wrong}") from wrong
    order = np.random.default_rng(crc32(layer.encode())).permutation(shape[0])
    drawn = [Unit(int(channel)) for channel in sorted(order[: table.units])] if isinstance(table.units, int) else []
    return [(layer, unit) for unit in named or drawn]


def _with(generator: Generator, way: Search) -> Search:
    """Return a way of searching with the parameters that suit a generator's codes beneath its own."""
    suits = generator.optimizers.get(way.name, {}) | generator.optimizers.get(way.of, {})
    return replace(way, parameters=suits | way.parameters)


def _initial(table: Initial, generator: Generator) -> dict[str, Any]:
    """Return the name and parameters of a beginning; one without a name is the generator's own."""
    own = table if table.name else generator.initial
    return {"name": own.name, "parameters": own.parameters}


def _meet(grid: Grid, network: Network, generator: Generator) -> bool:
    """Return whether a grid has this network and this generator."""
    return bool(chosen(grid.networks, [label_of(network)]) and chosen(grid.generators, [label_of(generator)]))


def _of_grid(
    study: Study,
    grid: Grid,
    network: Network,
    generator: Generator,
    ways: Mapping[str, Search],
    networks: Networks,
    references: References,
) -> Iterator[Planned]:
    """Yield the experiments of one grid with one network and generator."""
    if not _meet(grid, network, generator):
        return
    here = label_of(network)
    spec, targets = networks.specs[here], networks.targets[here]
    seeds_and_noise = product(
        chosen(grid.optimizers, ways), [each for each in study.initials if chosen(grid.initials, [each.label])],
        grid.spikes, grid.seeds,
    )  # fmt: skip
    qualitative = not network.pretrained or generator.name == EMBEDDED
    for (way, initial, spikes, seed), layer in product(seeds_and_noise, chosen(grid.layers, targets)):
        labels = Labels(here, layer, label_of(generator), way, initial.label, qualitative)
        make = _Maker(study, spec, GeneratorSpec.of(generator), networks.images)
        for target in targets[layer]:
            reference = references[spec, target]
            if reference.alive:
                yield make(labels, target, ways[way], _initial(initial, generator), spikes, seed, reference)


@dataclass(frozen=True, slots=True)
class _Maker:
    """Makes the experiments of one study, network and generator."""

    study: Study
    network: NetworkSpec
    generator: GeneratorSpec
    images: ImageSet

    def __call__(
        self,
        labels: Labels,
        target: Target,
        way: Search,
        initial: dict[str, Any],
        spikes: float,
        seed: int,
        reference: Reference,
    ) -> Planned:
        layer, unit = target
        settings = self.study.study
        experiment = Experiment(
            network=self.network.identity,
            layer=layer,
            unit=str(unit),
            generator=self.generator.identity,
            optimizer={"name": way.name, "parameters": way.parameters},
            initial=_without_paths(initial),
            spikes=float(spikes),
            repeats=settings.repeats,
            presentations=settings.presentations,
            seed=seed,
            images=self.images.digest,
            dtype=settings.dtype,
        )
        return Planned(labels, experiment, experiment.hash, unit, initial, reference)


def _without_paths(initial: dict[str, Any]) -> dict[str, Any]:
    """Return a beginning with what files and folders hold in the place of where they are."""
    parameters = {
        key: parts.contents_digest(Path(value)) if key in ("folder", "file", "session") and value else value
        for key, value in initial["parameters"].items()
    }
    return json.loads(json.dumps({"name": initial["name"], "parameters": parameters}))  # type: ignore[no-any-return]
