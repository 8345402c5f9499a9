"""The DeePSiM networks of Dosovitskiy & Brox (2016), as tables of their layers.

Each was trained to draw, from what one layer of CaffeNet says of a picture, that picture. "fc6" and "fc7" are
the same network with other weights, and so are "conv3" and "conv4". Layers are named as XDream names them;
what the original Caffe files call them is `Layer.caffe_name`.

    fc...     multiplies by a matrix
    conv...   convolves
    tconv...  convolves transposed, where it says so to twice the size
"""

import re
from dataclasses import dataclass
from functools import cached_property
from math import prod, sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from server.generators.generator import CodeStatistics

SLOPE = 0.3
"""Of every rectification, below zero."""
MEAN_BGR = (104.0, 117.0, 123.0)
"""Mean colour of the training images, which the networks leave out."""
FIRST_MAP_PX = 4
"""Side of the map that a code becomes after the fully connected layers."""
FC6 = CodeStatistics(-15.18, 15.08, clipped=True)
"""Of CaffeNet's layer fc6 over images, as XDream's experiments began with."""

Window = tuple[int, int, int]
"""Kernel, stride and padding."""
SAME: Window = (3, 1, 1)
SMALLER: Window = (3, 1, 0)
DOUBLE: Window = (4, 2, 1)


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, and whether a rectification follows."""

    name: str
    n_in: int
    n_out: int
    window: Window = (1, 1, 0)
    rectified: bool = True

    @property
    def caffe_name(self) -> str:
        """What the original files, and circuit_toolkit's, call it: deconv5 for tconv5_0, Rconv6 for conv6."""
        if self.name.endswith("_1"):
            return self.name.removeprefix("t")
        return re.sub("^(fc|t?conv)", lambda kind: CAFFE_PREFIX[kind[1]], self.name).removesuffix("_0")

    @property
    def biased(self) -> bool:
        """Whether it was trained with a bias; the others' is zero."""
        return re.fullmatch("fc[567]|conv[678]", self.name) is not None

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of its weights, in PyTorch's order, which is also Caffe's."""
        if self.name.startswith("fc"):
            return (self.n_out, self.n_in)
        ends = (self.n_in, self.n_out) if self.name.startswith("t") else (self.n_out, self.n_in)
        return (*ends, self.window[0], self.window[0])

    def module(self) -> nn.Module:
        """Return it, always with a bias: adding zero changes nothing."""
        if self.name.startswith("fc"):
            return nn.Linear(self.n_in, self.n_out)
        kind = nn.ConvTranspose2d if self.name.startswith("t") else nn.Conv2d
        return kind(self.n_in, self.n_out, *self.window)


CAFFE_PREFIX = {"fc": "defc", "conv": "Rconv", "tconv": "deconv"}


@dataclass(frozen=True)
class Variant:
    """One network, and the codes it was made for."""

    code_shape: tuple[int, ...]
    code_rms: float
    """Root mean square of the numbers in a code of layer statistics."""
    layers: tuple[Layer, ...]
    squashed: bool = False
    """Whether the last layer ends in 255 tanh."""
    published: CodeStatistics | None = None
    """Of the codes, where more than their length is known."""
    rectified: bool = True
    """Whether the layer that the codes are of has no negative numbers."""
    published_norm: float | None = None
    """Length of the codes with which searches at a fixed one were published."""

    @property
    def code_statistics(self) -> CodeStatistics:
        """Those published; else those that draw codes of the usual length: half of N(0, sd), or all where not cut."""
        sd = self.code_rms * sqrt(2) if self.rectified else self.code_rms
        return self.published or CodeStatistics(0.0, sd, self.rectified)

    @property
    def usual_norm(self) -> float:
        """Length of the codes for a search at a fixed one: as published, or else that of layer statistics."""
        return self.published_norm or self.code_rms * prod(self.code_shape) ** 0.5

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of all weights and biases, by XDream's names."""
        weights = {f"{layer.name}.weight": layer.weight_shape for layer in self.layers}
        return weights | {f"{layer.name}.bias": (layer.n_out,) for layer in self.layers}

    @cached_property
    def may_lack(self) -> frozenset[str]:
        """Names of biases that are zero, and that XDream's files do not hold."""
        return frozenset(f"{layer.name}.bias" for layer in self.layers if not layer.biased)


def norm(n_in: int, n_first: int, first: Window) -> tuple[Layer, ...]:
    """Return the layers from a normalised layer to a picture of 240 pixels."""
    return (
        Layer("conv6", n_in, n_first, first),
        Layer("conv7", n_first, 128, SAME),
        Layer("conv8", 128, 128, SAME),
        Layer("tconv4_0", 128, 128, DOUBLE),
        Layer("conv4_1", 128, 128, SAME),
        Layer("tconv3_0", 128, 64, DOUBLE),
        Layer("conv3_1", 64, 64, SAME),
        Layer("tconv2_0", 64, 32, DOUBLE),
        Layer("conv2_1", 32, 32, SAME),
        Layer("tconv1_0", 32, 16, DOUBLE, rectified=False),
        Layer("conv1_1", 16, 3, SAME, rectified=False),
    )


CONV34 = (
    Layer("conv6", 384, 384, SMALLER),
    Layer("conv7", 384, 512, SMALLER),
    Layer("conv8", 512, 512, (2, 1, 0)),
    Layer("tconv5_0", 512, 256, DOUBLE),
    Layer("tconv5_1", 256, 256, SAME),
    Layer("tconv4_0", 256, 128, DOUBLE),
    Layer("tconv4_1", 128, 128, SAME),
    Layer("tconv3_0", 128, 128, DOUBLE),
    Layer("tconv3_1", 128, 128, SAME),
    Layer("tconv2_0", 128, 64, DOUBLE),
    Layer("conv2_1", 64, 32, SAME),
    Layer("tconv1_0", 32, 16, DOUBLE),
    Layer("conv1_1", 16, 3, SAME, rectified=False),
)
FROM_MAPS_OF_8 = (
    Layer("tconv5_1", 256, 512, SAME),
    Layer("tconv4_0", 512, 256, DOUBLE),
    Layer("tconv4_1", 256, 256, SAME),
    Layer("tconv3_0", 256, 128, DOUBLE),
    Layer("tconv3_1", 128, 128, SAME),
    Layer("tconv2", 128, 64, DOUBLE),
    Layer("tconv1", 64, 32, DOUBLE),
    Layer("tconv0", 32, 3, DOUBLE, rectified=False),
)
POOL5 = (
    Layer("conv6", 256, 512, SAME),
    Layer("conv7", 512, 512, SAME),
    Layer("conv8", 512, 512, SMALLER),
    Layer("tconv5_0", 512, 256, DOUBLE),
    *FROM_MAPS_OF_8,
)


def fc(n_in: int) -> tuple[Layer, ...]:
    """Return the layers from a fully connected layer to a picture of 256 pixels."""
    connected = (Layer("fc7", n_in, 4096), Layer("fc6", 4096, 4096), Layer("fc5", 4096, 4096))
    return (*connected, Layer("tconv5_0", 256, 256, DOUBLE), *FROM_MAPS_OF_8)


FC6_NORM = 300.0
"""Of SphereCMA's codes (Wang & Ponce 2022)."""
VARIANTS = {
    "deepsim-norm1": Variant((96, 27, 27), 42.7, norm(96, 128, (3, 2, 2)), squashed=True),
    "deepsim-norm2": Variant((256, 13, 13), 28.6, norm(256, 256, (3, 1, 2)), squashed=True),
    "deepsim-conv3": Variant((384, 13, 13), 23.2, CONV34, squashed=True),
    "deepsim-conv4": Variant((384, 13, 13), 14.8, CONV34, squashed=True),
    "deepsim-pool5": Variant((256, 6, 6), 11.6, POOL5),
    "deepsim-fc6": Variant((4096,), 4.1, fc(4096), published=FC6, published_norm=FC6_NORM),
    "deepsim-fc7": Variant((4096,), 1.2, fc(4096)),
    "deepsim-fc8": Variant((1000,), 3.0, fc(1000), rectified=False),
    "deepsim-fc6-places": Variant((4096,), 4.1, fc(4096), published=FC6, published_norm=FC6_NORM),
}


class Network(nn.Module):
    """Codes [n, *code_shape] to pictures [n, 3, height, width], BGR, 0..255 less MEAN_BGR."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.variant = variant
        for layer in variant.layers:
            self.add_module(layer.name, layer.module())

    def forward(self, codes: Tensor) -> Tensor:
        maps = codes
        for layer in self.variant.layers:
            if maps.ndim == 2 and not layer.name.startswith("fc"):
                maps = maps.view(len(maps), layer.n_in, FIRST_MAP_PX, FIRST_MAP_PX)
            maps = self.get_submodule(layer.name)(maps)
            if layer.rectified:
                maps = F.leaky_relu(maps, SLOPE, inplace=True)
        return torch.tanh(maps) * 255 if self.variant.squashed else maps
