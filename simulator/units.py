"""Units of one layer of a network: how their names are written, and how strongly images drive them."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from adapters.source import SourceError
from protocol.arrays import Images
from simulator.models import layer_shape, list_layers


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit: a channel of the layer and, where the layer is a map, a place in it; None is the centre."""

    channel: int
    place: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.channel}" if self.place is None else f"{self.channel}@{self.place[0]},{self.place[1]}"


def parse_units(text: str) -> list[Unit]:
    """Return the units that a text names: "3", "3,17" or "12@7,7;30@c", channel@row,column; c is the centre."""
    pieces = [piece for part in text.split(";") for piece in ([part] if "@" in part else part.split(","))]
    units = [_parse_unit(piece.strip(), text) for piece in pieces]
    if len(set(units)) < len(units):
        raise SourceError(f"units {text!r} name a unit twice.")
    return units


class LayerUnits:
    """Some units of a layer, recorded while images pass through the network."""

    def __init__(self, network: nn.Module, layer: str, units: list[Unit]) -> None:
        shape = layer_shape(list_layers(network), layer)
        for unit in units:
            _check_unit(unit, layer, shape)
        self.names = tuple(f"{layer}/{unit}" for unit in units)
        self._units = units
        self._network = network
        self._recorded: list[Tensor] = []
        dict(network.named_modules())[layer].register_forward_hook(self._record)

    def activations(self, images: Images) -> NDArray[np.float64]:
        """Return [n_images, n_units] activations, from one pass of all images through the network."""
        # A view of [n, height, width, 3] with its axes named anew is what torch calls channels last: the fast way.
        pixels = torch.from_numpy(np.multiply(images, 1 / 255, dtype=np.float32)).permute(0, 3, 1, 2)
        self._recorded.clear()
        try:
            with torch.inference_mode():
                self._network(pixels)
        except (RuntimeError, ValueError, IndexError) as wrong:
            _, height_px, width_px, _ = images.shape
            raise SourceError(f"the network fails on images of {height_px} x {width_px} px: {wrong}") from wrong
        return self._recorded[0].numpy().astype(np.float64)

    def _record(self, module: nn.Module, given: Any, output: Tensor) -> None:
        """Copy the units' activations at once: what follows may rectify them in place."""
        channels = [unit.channel for unit in self._units]
        if output.ndim == 2:
            self._recorded.append(output[:, channels])
            return
        centre = (output.shape[2] // 2, output.shape[3] // 2)
        rows, columns = zip(*(unit.place or centre for unit in self._units), strict=True)
        self._recorded.append(output[:, channels, list(rows), list(columns)])


def _parse_unit(piece: str, text: str) -> Unit:
    match = re.fullmatch(r"(\d+)(?:@(?:c|(\d+),(\d+)))?", piece)
    if match is None:
        raise SourceError(f"units {text!r}: {piece!r} is no unit. Write 3 or 3,17 or 12@7,7;30@c (channel@row,column).")
    channel, row, column = match.groups()
    return Unit(int(channel), None if row is None else (int(row), int(column)))


def _check_unit(unit: Unit, layer: str, shape: tuple[int, ...]) -> None:
    if unit.channel >= shape[0]:
        raise SourceError(f"layer {layer!r} has channels 0 to {shape[0] - 1}, so no unit {unit}.")
    if unit.place is None:
        return
    if len(shape) == 1:
        raise SourceError(f"layer {layer!r} is no map, so its unit {unit.channel} has no place: write {unit.channel}.")
    if unit.place[0] >= shape[1] or unit.place[1] >= shape[2]:
        raise SourceError(
            f"layer {layer!r} has rows 0 to {shape[1] - 1} and columns 0 to {shape[2] - 1}: no unit {unit}."
        )
