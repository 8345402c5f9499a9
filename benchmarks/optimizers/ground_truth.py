"""Neurons whose best picture is known, for the optimizers' benchmark: orientation, curvature, a whole picture.

All answer pictures [n, 3, height_px, width_px] in 0..1 with activations [n], 0 for a blank one, and are divided by the
contrast of what they see, as cortical neurons are: neither a brighter nor a stronger picture drives them without end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

LUMINANCE = (1 / 3, 1 / 3, 1 / 3)
RED_GREEN = (0.5, -0.5, 0.0)
HALF_SATURATION = 0.01
"""Of the division by contrast: the variance of a picture of low contrast."""
WEAKEST = 1e-3
"""Of an arc's energies: under it nothing is told from nothing, and its logarithm stays finite."""


class Neuron(Protocol):
    """Answers pictures of the window that it sees."""

    def respond(self, pictures: Tensor) -> Tensor:
        """Return the activations [n] by pictures [n, 3, height_px, width_px]."""


class Energy:
    """A complex cell: the energy of an even and an odd Gabor filter, in luminance or between two colours."""

    def __init__(
        self, side_px: int, angle: float, period_px: float, sd_px: float, colours: Sequence[float] = LUMINANCE
    ) -> None:
        self.colours = torch.tensor(colours)
        middle = (side_px - 1) / 2
        self.filters = quadrature(side_px, (middle, middle), angle, period_px, sd_px)
        self.envelope = envelope(side_px, (middle, middle), sd_px)

    def respond(self, pictures: Tensor) -> Tensor:
        """Return the activations [n] by pictures [n, 3, side_px, side_px]."""
        grey = torch.einsum("c,nchw->nhw", self.colours, pictures).flatten(1)
        energy = (grey @ self.filters.T).square().sum(1)
        return energy / (HALF_SATURATION + variance(grey, self.envelope))


class Arc:
    """A cell for curved contours, as in V4: edges along an arc, each as the arc runs there, all of them at once."""

    def __init__(self, side_px: int, angle: float, radius_px: float, n_parts: int = 5, period_px: float = 8.0) -> None:
        middle = (side_px - 1) / 2
        turns = [angle + (part / (n_parts - 1) - 0.5) * 2 * math.pi / 3 for part in range(n_parts)]
        # The arc's middle lies in the window's, and its centre one radius away.
        centre = (middle - radius_px * math.sin(angle), middle - radius_px * math.cos(angle))
        places = [(centre[0] + radius_px * math.sin(turn), centre[1] + radius_px * math.cos(turn)) for turn in turns]
        self.filters = torch.cat(
            [
                quadrature(side_px, place, turn, period_px, period_px / 2.5)
                for place, turn in zip(places, turns, strict=True)
            ]
        )
        self.envelopes = torch.stack([envelope(side_px, place, period_px / 2.5) for place in places])

    def respond(self, pictures: Tensor) -> Tensor:
        """Return the activations [n] by pictures [n, 3, side_px, side_px]: the geometric mean of the parts'."""
        grey = pictures.mean(1).flatten(1)
        energies = (grey @ self.filters.T).view(len(grey), -1, 2).square().sum(2)
        variances = torch.stack([variance(grey, each) for each in self.envelopes], 1)
        parts = energies / (HALF_SATURATION + variances)
        return (parts + WEAKEST).log().mean(1).exp() - WEAKEST


class Likeness:
    """A cell for one picture: the correlation with it over all pixels and colours, rectified and sharpened."""

    def __init__(self, picture: Tensor, exponent: float = 2.0) -> None:
        self.template = picture.flatten() - picture.mean()
        self.template /= self.template.norm()
        self.exponent = exponent

    def respond(self, pictures: Tensor) -> Tensor:
        """Return the activations [n] by pictures [n, 3, height_px, width_px]; 1 by the picture itself."""
        flat = pictures.flatten(1)
        flat = flat - flat.mean(1, keepdim=True)
        likeness = flat @ self.template / flat.norm(dim=1).clamp_min(HALF_SATURATION)
        activations: Tensor = likeness.clamp_min(0).pow(self.exponent)
        return activations


def quadrature(side_px: int, place: tuple[float, float], angle: float, period_px: float, sd_px: float) -> Tensor:
    """Return an even and an odd filter [2, side_px ** 2], of mean 0 and length 1; luminance changes along the angle."""
    y, x = torch.meshgrid(torch.arange(side_px) - place[0], torch.arange(side_px) - place[1], indexing="ij")
    phase = 2 * math.pi / period_px * (x * math.cos(angle) + y * math.sin(angle))
    weights = envelope(side_px, place, sd_px)
    pair = torch.stack([phase.cos(), phase.sin()]).flatten(1) * weights
    pair = pair - pair.sum(1, keepdim=True) * weights / weights.sum()
    return torch.nn.functional.normalize(pair)


def envelope(side_px: int, place: tuple[float, float], sd_px: float) -> Tensor:
    """Return a Gaussian [side_px ** 2] around a place."""
    y, x = torch.meshgrid(torch.arange(side_px) - place[0], torch.arange(side_px) - place[1], indexing="ij")
    return torch.exp(-(x.square() + y.square()) / (2 * sd_px**2)).flatten()


def variance(grey: Tensor, weights: Tensor) -> Tensor:
    """Return the variance [n] of pictures [n, n_pixels], each pixel counted by its weight."""
    shares = weights / weights.sum()
    return (grey.square() @ shares - (grey @ shares).square()).clamp_min(0)
