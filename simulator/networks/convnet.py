"""The embedded ConvNet: four convolutional and three fully connected layers that tell procedural images apart.

A stand-in for a stretch of visual cortex in dry runs and tests, small enough to answer a generation of
images in milliseconds. A forward hook on a child's name gives what an experiment would record from that
layer: `conv1` to `conv4` and `fc6` are rectified, `fc5` is the signed code that the embedded generator
inverts, `output` gives logits, one for each of KINDS and then one for each of COLOURS.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from simulator.networks.drawing import SIZE_PX
from simulator.networks.images import COLOURS, KINDS

WEIGHTS = Path(__file__).with_name("convnet.safetensors")
CODE_SIZE = 256


class BlurPool(nn.Module):
    """Halve a map after smoothing it over 4 x 4 pixels: stripes too fine for the smaller map vanish, not alias."""

    def forward(self, maps: Tensor) -> Tensor:
        return F.avg_pool2d(maps, 4, 2, 1, count_include_pad=False)


def convolution(n_in: int, n_out: int, size: int, *before: nn.Module) -> nn.Sequential:
    """Return blur (where given), convolution, batch normalisation and rectification as one layer."""
    return nn.Sequential(
        *before, nn.Conv2d(n_in, n_out, size, padding=size // 2, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()
    )


class EmbeddedConvNet(nn.Module):
    """Map RGB images, [n, 3, height, width] float in 0..1, to [n, n_kinds + n_colours] logits."""

    def __init__(self, widths: tuple[int, int, int, int] = (24, 48, 80, 128), n_hidden: int = 256) -> None:
        super().__init__()
        self.conv1 = convolution(3, widths[0], 5)
        self.conv2 = convolution(widths[0], widths[1], 3, BlurPool())
        self.conv3 = convolution(widths[1], widths[2], 3, BlurPool())
        self.conv4 = convolution(widths[2], widths[3], 3, BlurPool())
        self.fc5 = nn.Sequential(
            BlurPool(),
            nn.Flatten(),
            nn.Linear(widths[3] * (SIZE_PX // 16) ** 2, CODE_SIZE, bias=False),
            nn.BatchNorm1d(CODE_SIZE, affine=False),
        )
        self.fc6 = nn.Sequential(nn.Linear(CODE_SIZE, n_hidden), nn.ReLU())
        self.output = nn.Linear(n_hidden, len(KINDS) + len(COLOURS))

    def forward(self, images: Tensor) -> Tensor:
        return self.decide(self.encode(images))

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the activations of conv1 to conv4."""
        maps = [self.conv1((resized(images) - 0.5) * 4)]
        for layer in (self.conv2, self.conv3, self.conv4):
            maps.append(layer(maps[-1]))
        return maps

    def encode(self, images: Tensor) -> Tensor:
        """Return codes [n, CODE_SIZE], each dimension about N(0, 1) over procedural images."""
        return self.fc5(self.maps(images)[-1])  # type: ignore[no-any-return]

    def decide(self, codes: Tensor) -> Tensor:
        """Return the logits that images with these codes get."""
        return self.output(self.fc6(codes))  # type: ignore[no-any-return]


def resized(images: Tensor) -> Tensor:
    """Return the images at the size the network was trained on, smoothed before they shrink."""
    if images.shape[-2:] == (SIZE_PX, SIZE_PX):
        return images
    return F.interpolate(images, (SIZE_PX, SIZE_PX), mode="bilinear", antialias=True, align_corners=False)


def embedded_convnet() -> EmbeddedConvNet:
    """Return the trained network, ready to answer."""
    network = EmbeddedConvNet()
    network.load_state_dict({name: t.float() for name, t in load_file(WEIGHTS).items()})
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network.eval().requires_grad_(False)
