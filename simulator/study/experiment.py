"""One experiment: all that determines its result, and the hash that names it."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from simulator.study.image_sets import ImageSet
from simulator.study.parts import GeneratorSpec, NetworkSpec
from simulator.study.references import Reference
from simulator.units import Unit

MEANING = 1
"""Raised when the same experiment would come out otherwise than before: then all hashes change."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One search for one unit. Weights are named by their SHA-256, so it matters not where files are."""

    network: dict[str, Any]
    layer: str
    unit: str
    generator: dict[str, Any]
    optimizer: dict[str, Any]
    initial: dict[str, Any]
    spikes: float
    """Expected at the best reference image; 0 = no noise."""
    repeats: int
    presentations: int
    seed: int
    images: str
    """The reference set, by its digest."""
    dtype: str
    meaning: int = MEANING

    @property
    def text(self) -> str:
        """All of it as JSON, the same text for the same experiment."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def hash(self) -> str:
        """Name it: 32 hexadecimal digits of a SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Labels:
    """What a study calls the parts of an experiment."""

    network: str
    layer: str
    generator: str
    optimizer: str
    initial: str
    qualitative: bool
    """Whether the network or the generator knows no photographs: the paper's numbers cannot be asked of it."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment of a study, and what it takes to run it."""

    labels: Labels
    experiment: Experiment
    hash: str
    unit: Unit
    initial: dict[str, Any]
    """Name and parameters, with the paths that the experiment itself does not know."""
    reference: Reference


@dataclass(frozen=True, slots=True)
class Batch:
    """Experiments of one network and generator that share forward passes."""

    network: NetworkSpec
    generator: GeneratorSpec
    images: ImageSet
    size_px: tuple[int, int]
    device: str
    planned: tuple[Planned, ...]

    @property
    def presentations(self) -> int:
        """How many images it shows."""
        return sum(each.experiment.presentations for each in self.planned)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What an experiment came to; activations are without noise."""

    hash: str
    evolved: float
    """The strongest activation by any of its images, by the network in float32."""
    chosen: float
    """Activation by the image that scored best: what somebody who sees noisy scores would keep."""
    recommended: float
    """Activation by the image that the optimizer recommends at the end."""
    shown: int
    code: bytes
    """Of the strongest image, float32 [*code_shape]."""
    image: bytes
    """The strongest image, as PNG."""
    best: bytes
    """float32 [n_generations] strongest activation in each."""
    mean: bytes
    """float32 [n_generations] mean activation in each."""
    presentations: bytes
    """float32 [n_generations] images shown up to its end."""
    cpu_s: float
    """Of the process, shared out among the experiments of the batch."""


def batches(
    planned: list[Planned],
    size: int,
    network: NetworkSpec,
    generator: GeneratorSpec,
    images: ImageSet,
    size_px: tuple[int, int],
    device: str,
) -> list[Batch]:
    """Return the experiments of one network and generator in batches, those of one layer together.

    Who is with whom follows from the whole plan, not from what is missing of it: convolutions may round otherwise
    in another company, and a study that was killed and resumed is to end with the same numbers.
    """
    by_layer: dict[str, list[Planned]] = {}
    for each in planned:
        by_layer.setdefault(each.experiment.layer, []).append(each)
    parts = [group[i : i + size] for group in by_layer.values() for i in range(0, len(group), size)]
    return [Batch(network, generator, images, size_px, device, tuple(part)) for part in parts]
