"""The networks and generators of a study: made once in each process, and named by the SHA-256 of their weights."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from adapters.source import SourceError
from server import generators
from server.config import ConfigError
from server.generators import Generator, GeneratorError
from simulator.models import Layers, create_network, list_layers
from simulator.study.tables import Generator as GeneratorTable
from simulator.study.tables import Network as NetworkTable

AT_ONCE = 2
"""Networks, and generators, that a process keeps: more would fill a worker's memory."""
WHERE_NOT_WHAT = ("weights", "device", "batch_size")
"""Parameters of a generator that say where it runs and not what it draws."""


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """How to make a network, and how it takes its images."""

    model: str
    weights: str
    size_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    order: str
    white: float

    @classmethod
    def of(cls, table: NetworkTable) -> "NetworkSpec":
        """Return that of a table."""
        return cls(table.model, table.weights, table.size_px, table.mean, table.std, table.order, table.white)

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines what it answers, as plain values."""
        found = asdict(self) | {"weights": network_digest(self)}
        return json.loads(json.dumps(found))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class GeneratorSpec:
    """How to make a generator."""

    name: str
    parameters: str
    """As JSON."""

    @classmethod
    def of(cls, table: GeneratorTable) -> "GeneratorSpec":
        """Return that of a table."""
        return cls(table.name, json.dumps(table.parameters, sort_keys=True))

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines what it draws, as plain values."""
        parameters = json.loads(self.parameters)
        kept = {key: value for key, value in parameters.items() if key not in WHERE_NOT_WHAT}
        return {"name": self.name, "parameters": kept, "weights": generator_digest(self)}


@lru_cache(maxsize=AT_ONCE)
def network(spec: NetworkSpec) -> nn.Module:
    """Return a network, ready to answer; raise ConfigError."""
    try:
        return create_network(spec.model, spec.weights)
    except SourceError as wrong:
        raise ConfigError(f"[[network]] {spec.model!r}: {wrong}") from wrong


@lru_cache(maxsize=AT_ONCE)
def layers(spec: NetworkSpec, rendered_px: int) -> Layers:
    """Return a network's layers in the order in which an image passes them; raise ConfigError.

    Their shapes are those for images of the size that it is shown: its own, or that which they were rendered in.
    """
    try:
        return list_layers(network(spec), spec.size_px or rendered_px)
    except SourceError as wrong:
        raise ConfigError(f"[[network]] {spec.model!r}: {wrong}") from wrong


@lru_cache(maxsize=AT_ONCE)
def generator(spec: GeneratorSpec) -> Generator:
    """Return a generator; raise ConfigError."""
    try:
        return generators.create(spec.name, **json.loads(spec.parameters))
    except GeneratorError as wrong:
        raise ConfigError(f"[[generator]] {spec.name!r}: {wrong}") from wrong


@lru_cache(maxsize=64)
def network_digest(spec: NetworkSpec) -> str:
    """Return the SHA-256 of a network's weights, whatever file they came from."""
    digest = hashlib.sha256()
    for name, weight in sorted(network(spec).state_dict().items()):
        digest.update(f"{name} {weight.dtype} {list(weight.shape)}".encode())
        digest.update(weight.contiguous().cpu().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@lru_cache(maxsize=64)
def generator_digest(spec: GeneratorSpec) -> str:
    """Return the SHA-256 of a generator's weights, empty if it has none."""
    return str(getattr(generator(spec), "weights_sha256", ""))


@lru_cache(maxsize=64)
def contents_digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files of a folder and their names."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file()):
        digest.update(file.name.encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def drawing_size(spec: GeneratorSpec) -> tuple[int, int]:
    """Return height and width of what a generator draws."""
    made = generator(spec)
    drawn = made.render(np.zeros((1, *made.code_shape), np.float32))
    return drawn.shape[1], drawn.shape[2]


def rendered_px(spec: GeneratorSpec) -> int:
    """Return the side of a generator's pictures; 0 where they are not square."""
    height_px, width_px = drawing_size(spec)
    return height_px if height_px == width_px else 0
