"""Arrays: many channels, each of which hears one unit of a network or several, where some may be dead or hot.

3, 17                three channels' worth of units of the layer, at the centre of a map: two channels
12@7,7; conv2/30@c   a unit at a place (row, column) of a map; a unit of another layer
3+17+21              one channel that hears three units
random 32            32 units of the layer at random places, each with a neighbour or two if `mixture` says so
map 12 5             channel 12 of the layer at 5 x 5 places: receptive fields side by side
gabor x=0.3; curve   with network = "known": neurons whose best image is known (simulator/ground_truth.py)
gabor 8              the same: eight of a kind, at random places
"""

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from adapters.source import SourceError
from protocol.arrays import Images
from protocol.plugins import PluginError
from simulator.ground_truth import KINDS, KnownNeuron, create_neuron, random_neuron
from simulator.models import layer_shape, list_layers
from simulator.units import NetworkUnits, Preparation, Unit, check_unit, parse_unit

MEMBER = re.compile(r"(?:(?P<layer>[A-Za-z_][\w.]*)/)?(?P<unit>\d+(?:@(?:c|\d+(?:,\d+)?))?)")
GROUP = re.compile(r"(?P<how>random|map)\s+(?P<first>\d+)(?:\s+(?P<second>\d+))?")
MAX_CHANNELS = 4096
Placed = tuple[str, Unit]
"""A unit and its layer."""


class Listens(Protocol):
    """Units that look at images."""

    def activations(self, images: Images) -> NDArray[np.float64]:
        """Return [n_images, n_units] activations."""


@dataclass(frozen=True, slots=True, eq=False)
class Array:
    """Channels, and what each hears."""

    names: tuple[str, ...]
    """[n_channels]"""
    units: Listens
    mixture: NDArray[np.float64]
    """[n_channels, n_units] how much of each unit a channel hears; rows sum to 1."""


class KnownUnits:
    """Neurons whose best image is known."""

    def __init__(self, neurons: list[KnownNeuron]) -> None:
        self.neurons = neurons

    def activations(self, images: Images) -> NDArray[np.float64]:
        """Return [n_images, n_units] activations."""
        return np.stack([neuron.respond(images) for neuron in self.neurons], axis=1)


def network_array(
    network: nn.Module, layer: str, text: str, mixture: int = 1, seed: int = 0, preparation: Preparation | None = None
) -> Array:
    """Return the array that a text describes; raise SourceError for units that there are not."""
    preparation = preparation or Preparation()
    layers = list_layers(network, preparation.size_px)
    shape = layer_shape(layers, layer)
    channels = _channels(text, layer, shape, mixture, np.random.default_rng((seed, 11)))
    for where, unit in (member for members in channels for member in members):
        check_unit(unit, where, layer_shape(layers, where))
    placed = list(dict.fromkeys(member for members in channels for member in members))
    names = tuple("+".join(_name(member, members[0]) for member in members) for members in channels)
    _check_names(names, text)
    return Array(names, NetworkUnits(network, placed, preparation), _mixed(channels, placed))


def known_array(text: str, seed: int = 0) -> Array:
    """Return the array of neurons whose best image is known; raise SourceError for what a text cannot mean."""
    try:
        neurons = [each for piece in re.split("[;,]", text) for each in _known(piece.strip(), seed)]
    except PluginError as wrong:
        raise SourceError(str(wrong)) from wrong
    names = tuple(neuron.name for neuron in neurons)
    _check_names(names, text)
    return Array(names, KnownUnits(neurons), np.eye(len(neurons)))


def channel_numbers(key: str, text: str, n_channels: int) -> list[int]:
    """Return the channels that a text such as "3,7" names by their places in the array."""
    pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
    wrong = [piece for piece in pieces if not (piece.isdecimal() and int(piece) < n_channels)]
    if wrong:
        raise SourceError(f"{key}: {wrong[0]!r} is no channel's place: this array has 0 to {n_channels - 1}.")
    return [int(piece) for piece in pieces]


def _known(piece: str, seed: int) -> list[KnownNeuron]:
    kind, _, rest = piece.partition(" ")
    if kind in KINDS and rest.isdecimal():
        return [random_neuron(kind, seed * MAX_CHANNELS + number) for number in range(int(rest))]
    return [create_neuron(piece)]


def _channels(
    text: str, layer: str, shape: tuple[int, ...], mixture: int, random: np.random.Generator
) -> list[list[Placed]]:
    group = GROUP.fullmatch(text.strip())
    if group is not None and group["how"] == "random":
        return _random(layer, shape, int(group["first"]), mixture, random)
    if group is not None:
        return _map(layer, shape, int(group["first"]), int(group["second"] or 3))
    # A place's comma is no comma between channels.
    pieces = re.split("[;,]", re.sub(r"@(\d+),(\d+)", r"@\1:\2", text))
    return [[_member(each, layer, text) for each in piece.replace(":", ",").split("+")] for piece in pieces]


def _member(piece: str, layer: str, text: str) -> Placed:
    match = MEMBER.fullmatch(piece.strip())
    if match is None:
        raise SourceError(
            f"units {text!r}: {piece.strip()!r} is no unit. Write 3 or 3,17 or 12@7,7;30@c (channel@row,column), "
            "conv2/5 for another layer, 3+17 for one channel that hears both, random 32, or map 12 5."
        )
    return match["layer"] or layer, parse_unit(match["unit"])


def _random(
    layer: str, shape: tuple[int, ...], n_channels: int, mixture: int, random: np.random.Generator
) -> list[list[Placed]]:
    """Return channels that hear one to `mixture` units of the same place, no two channels the same."""
    n_units = shape[0]
    if not 1 <= n_channels <= MAX_CHANNELS:
        raise SourceError(f"an array has 1 to {MAX_CHANNELS} channels, not {n_channels}.")
    firsts = np.concatenate([random.permutation(n_units) for _ in range(-(-n_channels // n_units))])[:n_channels]
    channels: list[list[Placed]] = []
    for first in firsts.tolist():
        place = tuple(int(random.integers(n)) for n in shape[1:]) or None
        n = min(int(random.integers(1, mixture + 1)), n_units)
        others = [int(unit) for unit in random.permutation(n_units) if unit != first][: n - 1]
        channels.append([(layer, Unit(unit, place)) for unit in (first, *others)])
    unique = {str(members): members for members in channels}
    return list(unique.values())


def _map(layer: str, shape: tuple[int, ...], channel: int, n_places: int) -> list[list[Placed]]:
    if len(shape) != 3:
        raise SourceError(f"layer {layer!r} is no map, so it has no places to put an array at.")
    n_places = min(n_places, *shape[1:])
    rows, columns = (((np.arange(n_places) + 0.5) * n / n_places).astype(int).tolist() for n in shape[1:])
    return [[(layer, Unit(channel, (row, column)))] for row in rows for column in columns]


def _name(member: Placed, first: Placed) -> str:
    layer, unit = member
    return str(unit) if member is not first and layer == first[0] else f"{layer}/{unit}"


def _check_names(names: tuple[str, ...], text: str) -> None:
    if len(set(names)) < len(names):
        raise SourceError(f"units {text!r} name a unit twice.")


def _mixed(channels: list[list[Placed]], placed: list[Placed]) -> NDArray[np.float64]:
    """Return how much of each unit a channel hears: the first one most, a second half as much, ..."""
    mixture = np.zeros((len(channels), len(placed)))
    for row, members in enumerate(channels):
        for rank, member in enumerate(members):
            mixture[row, placed.index(member)] += 1 / (1 + rank)
    return np.asarray(mixture / mixture.sum(axis=1, keepdims=True))
