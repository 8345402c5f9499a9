"""Units of a network: how their names are written, and how strongly images drive them."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from adapters.source import SourceError
from protocol.arrays import Images
from simulator.models import channels_first, layer_shape, list_layers, usual_place


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: a channel of the layer and, where the layer is a map, a place in it; None is the centre.

    In a transformer's layer the place is a token, and None the first.
    """

    channel: int
    place: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.channel}" if self.place is None else f"{self.channel}@{','.join(map(str, self.place))}"


@dataclass(frozen=True, slots=True)
class Preparation:
    """What is done to images, RGB from 0 to 1, before they pass a network."""

    mean: tuple[float, ...] = ()
    """[1 or 3] taken off; what networks trained on ImageNet want is 0.485, 0.456, 0.406."""
    std: tuple[float, ...] = ()
    """[1 or 3] and then divided by: 0.229, 0.224, 0.225."""
    size_px: int = 0
    """Side that they are resized to, smoothly; 0 = as they come."""
    device: str = "cpu"
    """Where the network is: cpu, cuda, cuda:1, mps."""

    def __call__(self, images: Images) -> Tensor:
        """Return [n, 3, height_px, width_px]."""
        # A view of [n, height, width, 3] with its axes named anew is what torch calls channels last: the fast way.
        pixels = torch.from_numpy(np.multiply(images, 1 / 255, dtype=np.float32)).permute(0, 3, 1, 2).to(self.device)
        if self.size_px and pixels.shape[2:] != (self.size_px, self.size_px):
            side = (self.size_px, self.size_px)
            pixels = F.interpolate(pixels, side, mode="bilinear", antialias=True, align_corners=False)
        if self.mean:
            pixels = pixels - self._three(self.mean)
        return pixels / self._three(self.std) if self.std else pixels

    def _three(self, values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, device=self.device)[:, None, None]


def parse_units(text: str) -> list[Unit]:
    """Return the units that a text names: "3", "3,17" or "12@7,7;30@c", channel@row,column; c is the centre.

    In a transformer's layer "12@5" is a channel at a token.
    """
    pieces = [piece for part in text.split(";") for piece in ([part] if "@" in part else part.split(","))]
    units = [_parse_unit(piece.strip(), text) for piece in pieces]
    if len(set(units)) < len(units):
        raise SourceError(f"units {text!r} name a unit twice.")
    return units


def parse_unit(piece: str) -> Unit:
    """Return the unit that is written "3", "3@c" or "3@7,7"."""
    return _parse_unit(piece, piece)


class NetworkUnits:
    """Units of any layers, recorded while images pass through the network."""

    def __init__(self, network: nn.Module, units: list[tuple[str, Unit]], preparation: Preparation) -> None:
        self._network = _moved(network, preparation.device)
        self._preparation = preparation
        self._places = {layer: [n for n, (where, _) in enumerate(units) if where == layer] for layer, _ in units}
        self._units = [unit for _, unit in units]
        self._recorded: dict[str, Tensor] = {}
        modules = dict(network.named_modules())
        for layer in self._places:
            modules[layer].register_forward_hook(self._recorder(layer))

    def activations(self, images: Images) -> NDArray[np.float64]:
        """Return [n_images, n_units] activations, from one pass of all images through the network."""
        self._recorded.clear()
        try:
            with torch.inference_mode():
                self._network(self._preparation(images))
        except (RuntimeError, ValueError, IndexError) as wrong:
            _, height_px, width_px, _ = images.shape
            raise SourceError(f"the network fails on images of {height_px} x {width_px} px: {wrong}") from wrong
        found = np.empty((len(images), len(self._units)))
        for layer, places in self._places.items():
            found[:, places] = self._recorded[layer].float().cpu().numpy()
        return found

    def _recorder(self, layer: str) -> Any:
        units = [self._units[n] for n in self._places[layer]]
        channels = [unit.channel for unit in units]

        def record(module: nn.Module, given: Any, output: Tensor) -> None:
            """Copy the units' activations at once: what follows may rectify them in place."""
            if layer in self._recorded:
                return
            output = channels_first(output)
            usual = usual_place(output.shape[1:])
            places = zip(*(unit.place or usual for unit in units), strict=True)
            wanted: tuple[Any, ...] = (slice(None), channels, *map(list, places))
            self._recorded[layer] = output[wanted]

        return record


class LayerUnits(NetworkUnits):
    """Some units of one layer."""

    def __init__(self, network: nn.Module, layer: str, units: list[Unit]) -> None:
        shape = layer_shape(list_layers(network), layer)
        for unit in units:
            check_unit(unit, layer, shape)
        self.names = tuple(f"{layer}/{unit}" for unit in units)
        super().__init__(network, [(layer, unit) for unit in units], Preparation())


def check_unit(unit: Unit, layer: str, shape: tuple[int, ...]) -> None:
    """Raise SourceError unless a layer of this shape has that unit."""
    if unit.channel >= shape[0]:
        raise SourceError(f"layer {layer!r} has channels 0 to {shape[0] - 1}, so no unit {unit}.")
    if unit.place is None:
        return
    if len(shape) == 1:
        raise SourceError(f"layer {layer!r} is no map, so its unit {unit.channel} has no place: write {unit.channel}.")
    if len(unit.place) == len(shape) - 1 and all(at < n for at, n in zip(unit.place, shape[1:], strict=True)):
        return
    kinds = ("tokens",) if len(shape) == 2 else ("rows", "columns")
    there = " and ".join(f"{kind} 0 to {n - 1}" for kind, n in zip(kinds, shape[1:], strict=True))
    raise SourceError(f"layer {layer!r} has {there}: no unit {unit}.")


def _moved(network: nn.Module, device: str) -> nn.Module:
    if device == "cpu":
        return network
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as wrong:
        raise SourceError(
            f"device {device!r} cannot be used: {str(wrong).splitlines()[0]} Write device = cpu."
        ) from wrong


def _parse_unit(piece: str, text: str) -> Unit:
    match = re.fullmatch(r"(\d+)(?:@(?:c|(\d+)(?:,(\d+))?))?", piece)
    if match is None:
        raise SourceError(f"units {text!r}: {piece!r} is no unit. Write 3 or 3,17 or 12@7,7;30@c (channel@row,column).")
    channel, *place = match.groups()
    return Unit(int(channel), tuple(int(at) for at in place if at is not None) or None)
