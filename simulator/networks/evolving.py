"""Many evolutions at once, without noise: what a genetic search makes of each unit of the embedded ConvNet."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from server.generators.embedded import CODE_SIZE, Embedded
from server.optimizers import create
from simulator.networks.convnet import embedded_convnet

LAYERS = ("conv1", "conv2", "conv3", "conv4", "fc5", "fc6", "output")
UNITS_AT_ONCE = 7
"""Searches that one process runs side by side, a batch of 140 pictures."""
GENETIC = {
    "population": 20,
    "mutation_rate": 0.5,
    "mutation_size": 0.5,
    "selectivity": 2.0,
    "heritability": 0.5,
}
"""XDream's settings for codes of a fully connected layer."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit of a layer: a channel, at the map's centre where the layer has maps."""

    layer: str
    channel: int


@dataclass(frozen=True, slots=True, eq=False)
class Evolved:
    """The best image of one evolution, and how strongly it drove the unit."""

    unit: Unit
    image: NDArray[np.uint8]
    activation: float
    curve: NDArray[np.float64]
    """[n_generations] best activation of each generation."""


def name_of(unit: Unit) -> tuple[int, int]:
    """Return the unit's layer and channel as numbers."""
    return LAYERS.index(unit.layer), unit.channel


def centre(activation: Tensor) -> Tensor:
    """Return [n, n_channels]: maps [n, n_channels, height, width] at their centre, the rest as it is."""
    return activation if activation.ndim == 2 else activation[:, :, activation.shape[2] // 2, activation.shape[3] // 2]


def responses(network: nn.Module, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    """Return every layer's activations [n, n_channels] to images [n, height, width, 3]."""
    seen: dict[str, list[Tensor]] = {layer: [] for layer in LAYERS}

    def record(layer: str) -> torch.utils.hooks.RemovableHandle:
        return network.get_submodule(layer).register_forward_hook(lambda *event: seen[layer].append(centre(event[2])))

    hooks = [record(layer) for layer in LAYERS]
    with torch.inference_mode():
        for batch in torch.split(torch.from_numpy(images), 256):
            network(batch.permute(0, 3, 1, 2).float() / 255)
    for hook in hooks:
        hook.remove()
    return {layer: torch.cat(parts).float().numpy() for layer, parts in seen.items()}


def evolve(
    generator: Embedded, network: nn.Module, units: Sequence[Unit], seed: int, generations: int = 150
) -> list[Evolved]:
    """Return the outcome of one search a unit, 20 presentations a generation.

    A search's random numbers depend on the seed and its unit, not on the other units. Searches run in bfloat16,
    twice as fast on a CPU that has it; the activation returned is that of the best image in float32.
    """
    searches = [create("genetic", (CODE_SIZE,), (seed, *name_of(unit)), **GENETIC) for unit in units]
    highest, curves = np.full(len(units), -np.inf), np.zeros((len(units), generations))
    best = np.zeros((len(units), 64, 64, 3), np.uint8)
    for generation in range(generations):
        codes = np.concatenate([search.ask() for search in searches])
        with torch.autocast("cpu", torch.bfloat16):
            images = generator.render(codes)
            seen = responses(network, images)
        images = images.reshape(len(units), -1, *images.shape[1:])
        for number, unit in enumerate(units):
            scores = seen[unit.layer][:, unit.channel].reshape(len(units), -1)[number].astype(np.float64)
            searches[number].tell(scores)
            curves[number, generation] = scores.max()
            if scores.max() > highest[number]:
                highest[number], best[number] = scores.max(), images[number, scores.argmax()]
    exact = responses(network, best)
    return [
        Evolved(unit, best[number], float(exact[unit.layer][number, unit.channel]), curves[number])
        for number, unit in enumerate(units)
    ]


def evolve_embedded(units: Sequence[Unit], seed: int, generations: int, processes: int) -> list[Evolved]:
    """Return the outcome of one search a unit of the embedded networks, shared out among processes."""
    shares = [list(units[first : first + UNITS_AT_ONCE]) for first in range(0, len(units), UNITS_AT_ONCE)]
    work = partial(_evolve_share, seed=seed, generations=generations)
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return [each for share in pool.map(work, shares) for each in share]


def _evolve_share(units: Sequence[Unit], seed: int, generations: int) -> list[Evolved]:
    torch.set_num_threads(1)
    return evolve(Embedded(), embedded_convnet(), units, seed, generations)
