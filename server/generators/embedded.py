"""The embedded generator: inverts layer fc5 of the embedded ConvNet, 256 numbers to a 64 x 64 picture.

Trained by this project (`simulator.networks.train`), so that a fresh installation evolves pictures without
a download. docs/networks.md shows what it draws and how it was made.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from protocol.arrays import Codes, Images
from server.generators.generator import N_STEPS, CodeStatistics, check_codes
from server.generators.inversion import inverted
from server.generators.processor import processor
from server.generators.weights import sha256_of

WEIGHTS = Path(__file__).with_name("embedded.safetensors")
CODE_SIZE = 256
START = 192
"""Channels of the first, 4 x 4, map."""
LONGEST = 1.15
"""Longest code the network sees, in units of the typical length of an N(0, 1) code, sqrt(CODE_SIZE)."""


def limited(codes: Tensor) -> Tensor:
    """Shorten over-long codes [n, CODE_SIZE] to LONGEST, smoothly; shorter ones pass all but unchanged.

    A search by mutation drifts outwards for ever. Only the direction of a long code counts, so that a search
    stays among codes the generator was trained on; below the limit a longer code draws a stronger picture.
    """
    length = codes.square().mean(1, keepdim=True).sqrt()
    return codes * (1 + (length / LONGEST) ** 6) ** (-1 / 6)


def block(n_in: int, n_out: int) -> nn.Sequential:
    """Return convolution, batch normalisation and a leaky rectification."""
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.LeakyReLU(0.2))


class Network(nn.Module):
    """Codes [n, CODE_SIZE] to RGB pictures [n, 3, 64, 64] in 0..1; upsamples, then convolves."""

    def __init__(self) -> None:
        super().__init__()
        self.mixing: Tensor
        self.register_buffer("mixing", torch.eye(CODE_SIZE))
        self.start = nn.Sequential(
            nn.Linear(CODE_SIZE, START * 16, bias=False), nn.BatchNorm1d(START * 16), nn.LeakyReLU(0.2)
        )
        self.at8 = nn.Sequential(block(START, 128), block(128, 96))
        self.at16 = nn.Sequential(block(96, 64), block(64, 64))
        self.at32 = nn.Sequential(block(64, 32), block(32, 32))
        self.at64 = nn.Sequential(
            nn.Conv2d(32, 48, 3, padding=1),
            nn.PixelShuffle(2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(12, 3, 3, padding=1),
        )

    def activations(self, codes: Tensor) -> Tensor:
        """Return the activations of fc5 that the picture of each code should give, [n, CODE_SIZE].

        Units of fc5 are correlated over images; `mixing` is the square root of their covariance, so that
        codes of independent N(0, 1) numbers ask for activations as correlated as those of images.
        """
        return limited(codes) @ self.mixing

    def forward(self, codes: Tensor) -> Tensor:
        maps = self.start(self.activations(codes)).view(-1, START, 4, 4).contiguous(memory_format=torch.channels_last)
        for stage in (self.at8, self.at16, self.at32):
            maps = stage(F.interpolate(maps, scale_factor=2, mode="nearest"))
        return self.at64(maps).float().sigmoid()  # type: ignore[no-any-return]


class Embedded:
    """Codes of 256 numbers, about N(0, 1) each, to 64 x 64 RGB pictures."""

    code_shape = (CODE_SIZE,)
    code_statistics = CodeStatistics(0.0, 1.0, clipped=False)

    def __init__(self) -> None:
        self.network = Network()
        self.weights_sha256 = sha256_of(WEIGHTS)
        self.network.load_state_dict({name: t.float() for name, t in load_file(WEIGHTS).items()})
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def codes_for(self, activations: Codes) -> Codes:
        """Return the codes [n, 256] whose pictures should give these activations [n, 256] of fc5.

        An image's own activations give the code that draws it again: a search can start from an image.
        """
        return np.asarray(activations @ np.linalg.inv(self.network.mixing.numpy()))

    def render(self, codes: Codes) -> Images:
        """Return the pictures [n, 64, 64, 3] uint8 RGB of `codes` [n, 256], made in one batch."""
        check_codes("embedded", codes, self.code_shape)
        with torch.inference_mode():
            pictures = self.network(torch.from_numpy(np.array(codes, np.float32)))
            levels = (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return np.ascontiguousarray(levels.numpy())

    def invert(self, images: Images, n_steps: int = N_STEPS) -> Codes:
        """Return codes [n_images, 256] float32 whose pictures come near these images."""
        here = processor("embedded", "cpu", "float32", batch_size=64)
        return inverted(self.network, images, here, self.code_shape, code_rms=1.0, n_steps=n_steps)
