"""The units that the searches are compared on: of the embedded ConvNet from early to late, and of known preference.

`units("test")` are those of the published comparison; `units("tuning")` are others, for whoever tries out settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.optimizers.contrast import evened
from benchmarks.optimizers.ground_truth import LUMINANCE, RED_GREEN, Arc, Energy, Likeness, Neuron
from benchmarks.optimizers.rendering import WHOLE, Span, Window, ready
from server.generators.embedded import CODE_SIZE, Embedded
from simulator.networks.convnet import EmbeddedConvNet, embedded_convnet
from simulator.networks.images import procedural_images

N_OF_LAYER = {"conv1": 3, "conv2": 5, "conv3": 5, "conv4": 1, "fc5": 1, "fc6": 1, "output": 2}
N_OF_KIND = {"orientation": 6, "curvature": 4, "picture": 2}
WINDOWS = {
    "conv1": Window(Span(30, 35), Span(30, 35)),
    "conv2": Window(Span(27, 39), Span(27, 39)),
    "conv3": Window(Span(21, 47), Span(21, 47)),
    "conv4": Window(Span(9, 63), Span(9, 63)),
}
"""What the middle unit of a layer sees; units of the others see all."""
SIGNED = ("fc5", "output")
"""Layers whose units go below zero too: they begin to fire above their median over the reference pictures."""
N_REFERENCES = 1000
SEEDS = {"test": 1, "tuning": 2}

Activations = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Units that see the same window, answered for in one pass."""

    names: tuple[str, ...]
    window: Window
    fast: Callable[[Tensor], Tensor]
    """Pictures of the window, [n, 3, height_px, width_px] bfloat16, to [n, n_units]."""
    exact: Callable[[Tensor], Tensor]
    """The same of whole pictures, in float32."""
    zero: Activations
    """[n_units] what is worth no spikes."""
    best: Activations
    """[n_units] the highest by a reference picture."""

    def relative(self, activations: Tensor) -> Activations:
        """Return activations as shares of the best by a reference picture, nothing below 0."""
        return np.maximum((activations.double().numpy() - self.zero) / (self.best - self.zero), 0)


@cache
def units(which: str) -> tuple[Population, ...]:
    """Return the units of that set, the same ones every time."""
    random = np.random.default_rng(SEEDS[which])
    with torch.inference_mode():
        return (*_of_network(random), *_of_known_preference(random))


@torch.inference_mode()
def judged(
    population: Population, codes: NDArray[np.float32], rms_contrast: float | None = None
) -> tuple[Activations, Activations]:
    """Return relative activations [n, n_units] by the pictures of codes, and the pictures' RMS contrasts [n]."""
    pictures = _generator().network(torch.from_numpy(codes))
    pictures = pictures if rms_contrast is None else evened(pictures, rms_contrast)
    contrasts = pictures.mean(1).flatten(1).double().std(1, correction=0)
    return population.relative(population.exact(pictures)), contrasts.numpy()


@cache
def _references() -> Tensor:
    images = procedural_images(N_REFERENCES, seed=5).images
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


@cache
def _generator() -> Embedded:
    return Embedded()


@cache
def _network() -> EmbeddedConvNet:
    return embedded_convnet()


def _of_network(random: np.random.Generator) -> Iterator[Population]:
    """Yield units of each layer, drawn among those that pictures of random codes drive."""
    codes = torch.from_numpy(random.standard_normal((200, CODE_SIZE), np.float32)) * 2
    by_codes, by_references = _layers(_generator().network(codes)), _by_references()
    fast = FastConvNet(_network())
    for layer, n in N_OF_LAYER.items():
        driven = by_codes[layer]
        if layer in SIGNED:
            driven = driven - driven.median(0).values
        lively = np.flatnonzero((driven > 0.02 * driven.amax(0)).float().mean(0).numpy() > 0.2)
        channels = sorted(random.choice(lively, n, replace=False).tolist())
        found = by_references[layer][:, channels].double().numpy()
        yield Population(
            tuple(f"{layer}/{channel}" for channel in channels),
            WINDOWS.get(layer, WHOLE),
            _chosen(fast.layer(layer), channels),
            _chosen(partial(_layer, layer), channels),
            np.median(found, axis=0) if layer in SIGNED else np.zeros(n),
            found.max(axis=0),
        )


def _chosen(layer: Callable[[Tensor], Tensor], channels: list[int]) -> Callable[[Tensor], Tensor]:
    return lambda pictures: layer(pictures)[:, channels].float()


def _layer(name: str, pictures: Tensor) -> Tensor:
    return _layers(pictures)[name]


def _layers(pictures: Tensor) -> dict[str, Tensor]:
    """Return the activations [n, n_channels] of each layer, of maps those in the middle, by whole pictures."""
    network = _network()
    maps = network.maps(pictures)
    middles = {f"conv{i}": each[:, :, each.shape[2] // 2, each.shape[3] // 2] for i, each in enumerate(maps, 1)}
    codes = network.fc5(maps[-1])
    return {**middles, "fc5": codes, "fc6": network.fc6(codes), "output": network.decide(codes)}


@cache
def _by_references() -> dict[str, Tensor]:
    parts = [_layers(part) for part in torch.split(_references(), 100)]
    return {name: torch.cat([part[name] for part in parts]) for name in N_OF_LAYER}


class FastConvNet:
    """The embedded ConvNet in bfloat16 with its batch norms folded; of a window, only the unit in its middle."""

    def __init__(self, network: EmbeddedConvNet) -> None:
        layers: list[Any] = [network.conv1, network.conv2, network.conv3, network.conv4]
        self.convolutions = [ready(fuse_conv_bn_eval(layer[-3], layer[-2]), torch.bfloat16) for layer in layers]
        self.late = {"fc5": network.fc5[1:], "fc6": nn.Sequential(network.fc5[1:], network.fc6)}
        self.late["output"] = nn.Sequential(self.late["fc6"], network.output)

    def layer(self, name: str) -> Callable[[Tensor], Tensor]:
        """Return what gives the activations [n, n_channels] of a layer by pictures of its window."""
        depth = int(name[-1]) if name.startswith("conv") else 4

        def of(pictures: Tensor) -> Tensor:
            local = pictures.shape[-1] < 64
            maps = (pictures - 0.5) * 4
            for number, convolution in enumerate(self.convolutions[:depth]):
                if number:
                    maps = F.avg_pool2d(maps, 4, 2, 0 if local else 1, count_include_pad=False)
                padding = 0 if local else convolution.padding
                maps = F.conv2d(maps, convolution.weight, convolution.bias, padding=padding).relu_()
            if name.startswith("conv"):
                return maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
            late: Tensor = self.late[name](F.avg_pool2d(maps.float(), 4, 2, 1, count_include_pad=False))
            return late

        return of


def _of_known_preference(random: np.random.Generator) -> Iterator[Population]:
    """Yield cells for orientation, for curvature and for a picture."""
    for number in range(N_OF_KIND["orientation"]):
        colours = RED_GREEN if number % 3 == 2 else LUMINANCE
        sd_px = float(random.uniform(2.5, 4.5))
        energy = Energy(24, random.uniform(0, math.pi), 2.2 * sd_px, sd_px, colours)
        yield _known(f"orientation/{number}", energy, _somewhere(random, 24))
    for number in range(N_OF_KIND["curvature"]):
        arc = Arc(32, random.uniform(0, 2 * math.pi), random.uniform(7, 11))
        yield _known(f"curvature/{number}", arc, _somewhere(random, 32))
    for number in range(N_OF_KIND["picture"]):
        code = torch.from_numpy(random.standard_normal((1, CODE_SIZE), np.float32)) * 10
        yield _known(f"picture/{number}", Likeness(_generator().network(code)[0]), WHOLE)


def _known(name: str, neuron: Neuron, window: Window) -> Population:
    rows, columns = window

    def to_window(pictures: Tensor) -> Tensor:
        return neuron.respond(pictures.float())[:, None]

    def to_whole(pictures: Tensor) -> Tensor:
        return to_window(pictures[:, :, rows.first : rows.last, columns.first : columns.last])

    best = to_whole(_references()).amax(0).double().numpy()
    return Population((name,), window, to_window, to_whole, np.zeros(1), best)


def _somewhere(random: np.random.Generator, side_px: int) -> Window:
    """Return a square window away from the picture's margin, at an even pixel."""
    top, left = (4 + 2 * random.integers(0, (56 - side_px) // 2 + 1, 2)).tolist()
    return Window(Span(top, top + side_px), Span(left, left + side_px))
