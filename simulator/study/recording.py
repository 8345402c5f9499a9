"""Activations of chosen units, whatever layers they are of, from passes that go no deeper than they must."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from protocol.arrays import Images
from server.config import ConfigError
from simulator.models import channels_first, usual_place
from simulator.study import parts
from simulator.study.parts import NetworkSpec
from simulator.units import Unit

IMAGES_A_PASS = 20
"""On a CPU, where more at once leave a core's cache: 40 are a third slower in float32."""
IMAGES_A_PASS_ON_GPU = 512

Target = tuple[str, Unit]
"""A layer and a unit of it."""


class _Enough(Exception):
    """All wanted layers have answered: what follows in the network need not be computed."""


class Recording:
    """Units of a network, any of any layers."""

    def __init__(self, spec: NetworkSpec, targets: Sequence[Target], device: str = "cpu") -> None:
        if device == "cuda" and not torch.cuda.is_available():
            raise ConfigError(
                '[study], device: PyTorch finds no CUDA device here. Write "cpu", or go where there is one.'
            )
        self.spec, self.device = spec, torch.device(device)
        self.targets = list(targets)
        self._network: nn.Module = parts.network(spec).to(self.device)
        self.images_a_pass = IMAGES_A_PASS if device == "cpu" else IMAGES_A_PASS_ON_GPU
        """Of the generator too."""

    def every(self, images: Images) -> NDArray[np.float32]:
        """Return [n_images, n_targets] activations of every target by every image."""
        return np.concatenate([self._seen(part) for part in self.passes(images)])

    def own(self, images: Images, owners: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return [n_images] activations, by each image, of the target whose number is its owner's."""
        return np.asarray(self.every(images)[np.arange(len(images)), owners], np.float64)

    def whole(self, layer: str, images: Images) -> NDArray[np.float32]:
        """Return [n_images, ...] activations of a whole layer."""
        found = [self._layers([layer], part)[layer] for part in self.passes(images)]
        return torch.cat(found).float().cpu().numpy()

    def passes(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """Return codes or images in parts of as many as pass at once."""
        return [rows[i : i + self.images_a_pass] for i in range(0, len(rows), self.images_a_pass)]

    def _seen(self, images: Images) -> NDArray[np.float32]:
        found = self._layers(list(dict.fromkeys(layer for layer, _ in self.targets)), images)
        return torch.stack([_column(found[layer], unit) for layer, unit in self.targets], 1).float().cpu().numpy()

    def _layers(self, names: Sequence[str], images: Images) -> dict[str, Tensor]:
        """Return the outputs of layers for images [n, height_px, width_px, 3]."""
        found: dict[str, Tensor] = {}

        def note(name: str) -> Any:
            def hook(module: nn.Module, given: Any, output: Tensor) -> None:
                # a copy: what follows may rectify the output in place
                found.setdefault(name, output if len(found) + 1 == len(names) else output.clone())
                if len(found) == len(names):
                    raise _Enough

            return hook

        hooks = [self._network.get_submodule(name).register_forward_hook(note(name)) for name in names]
        try:
            with torch.inference_mode():
                self._network(self._prepared(images))
        except _Enough:
            pass
        except (RuntimeError, ValueError, IndexError) as wrong:
            size = " x ".join(map(str, images.shape[1:3]))
            raise ConfigError(
                f"[[network]] {self.spec.model!r} fails on images of {size} px (size_px = {self.spec.size_px}): {wrong}"
            ) from wrong
        finally:
            for hook in hooks:
                hook.remove()
        return found

    def _prepared(self, images: Images) -> Tensor:
        """Return the images as the network takes them, [n, 3, height_px, width_px]."""
        spec = self.spec
        pixels = torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).float() / 255
        if spec.size_px and pixels.shape[2:] != (spec.size_px, spec.size_px):
            pixels = F.interpolate(pixels, (spec.size_px, spec.size_px), mode="bilinear", antialias=True)
        mean, std = (torch.tensor(each, device=self.device).view(3, 1, 1) for each in (spec.mean, spec.std))
        pixels = (pixels - mean) / std if any(spec.mean) or spec.std != (1.0, 1.0, 1.0) else pixels
        pixels = pixels.flip(1) if spec.order == "BGR" else pixels
        return pixels * spec.white if spec.white != 1 else pixels


def _column(output: Tensor, unit: Unit) -> Tensor:
    """Return [n_images] the activations of a unit: at its place, or where units without one are."""
    channels = channels_first(output)
    wanted: tuple[Any, ...] = (slice(None), unit.channel, *(unit.place or usual_place(channels.shape[1:])))
    return channels[wanted]


def precision(dtype: str, device: str) -> AbstractContextManager[Any]:
    """Return what makes networks reckon with these numbers for a while."""
    return nullcontext() if dtype == "float32" else torch.autocast(device, torch.bfloat16)
