"""Training batches: images drawn at random, flipped, degraded; and a clock that shares out the time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from simulator.networks.images import ProceduralImages


@dataclass(frozen=True, slots=True)
class Batch:
    """Images [n, 3, 64, 64] float in 0..1, and the kind and colour [n] of each."""

    images: Tensor
    kinds: Tensor
    colours: Tensor


def batches(images: ProceduralImages, size: int, seed: int, device: str) -> Iterator[Batch]:
    """Yield random batches for ever."""
    random = np.random.default_rng(seed)
    while True:
        chosen = random.integers(len(images.images), size=size)
        pictures = torch.from_numpy(images.images[chosen]).to(device)
        kinds, colours = torch.from_numpy(images.kinds[chosen]), torch.from_numpy(images.colours[chosen])
        # A permuted [n, height, width, 3] is channels-last in memory, which convolutions on a CPU prefer.
        yield Batch(pictures.permute(0, 3, 1, 2).float() / 255, kinds.to(device), colours.to(device))


def recontrasted(images: Tensor) -> Tensor:
    """Return the images with contrast and brightness a little changed."""
    n, device = len(images), images.device
    gain = torch.empty(n, 1, 1, 1, device=device).uniform_(0.8, 1.1)
    shift = torch.empty(n, 1, 1, 1, device=device).uniform_(-0.06, 0.06)
    return ((images - 0.5) * gain + 0.5 + shift).clamp(0, 1)


def degraded(images: Tensor) -> Tensor:
    """Return the images, the first third of them blurred, all with noise of random strength."""
    n, third = len(images), len(images) // 3
    blurred = F.avg_pool2d(images[:third], 3, 1, 1, count_include_pad=False)
    strength = torch.rand(n, 1, 1, 1, device=images.device) ** 2 * 0.12
    return torch.cat([blurred, images[third:]]) + strength * torch.randn_like(images)


def progress(minutes: float) -> Iterator[float]:
    """Yield the share of `minutes` that has passed, 0 to 1, once a training step."""
    start = time.monotonic()
    while (done := (time.monotonic() - start) / (60 * minutes)) < 1:
        yield done


def one_cycle(done: float, peak: float) -> float:
    """Return the learning rate: up to `peak` in the first tenth of the time, then down a cosine."""
    if done < 0.1:
        return peak * (0.05 + 9.5 * done)
    return float(peak * (0.01 + 0.99 * (0.5 + 0.5 * np.cos(np.pi * (done - 0.1) / 0.9))))
