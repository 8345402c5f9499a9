"""Pictures of one RMS contrast, made fast: what a search finds then owes nothing to how bright its pictures are."""

import torch
from torch import Tensor

from benchmarks.optimizers.rendering import WHOLE, FastGenerator, Window
from server.generators.contrast import LARGEST_GAIN

N_CORRECTIONS = 4
"""Clipping costs contrast, so the gain is raised again."""


class EvenGenerator:
    """Draws windows of pictures that all have one RMS contrast as a whole, as the server's `rms_contrast` has them."""

    def __init__(self, generator: FastGenerator, rms_contrast: float) -> None:
        self.generator, self.rms_contrast = generator, rms_contrast

    def draw(self, codes: Tensor, window: Window = WHOLE) -> Tensor:
        """Return the window of the pictures [n, 3, height_px, width_px] in 0..1."""
        pictures = evened(self.generator.draw(codes).float(), self.rms_contrast)
        rows, columns = window
        part = pictures[:, :, rows.first : rows.last, columns.first : columns.last]
        return part.to(self.generator.dtype).contiguous(memory_format=torch.channels_last)


def evened(pictures: Tensor, rms_contrast: float) -> Tensor:
    """Return pictures [n, 3, height_px, width_px] in 0..1, their differences from their mean grey scaled."""
    mean, spread = (each.view(-1, 1, 1, 1) for each in _moments(pictures))
    gain, shown = rms_contrast / spread.clamp_min(1e-6), pictures
    for _ in range(N_CORRECTIONS):
        gain = gain.clamp_max(LARGEST_GAIN)
        shown = (mean + gain * (pictures - mean)).clamp(0, 1)
        gain = gain * rms_contrast / _moments(shown)[1].clamp_min(1e-6).view(-1, 1, 1, 1)
    return shown


def _moments(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation [n] of the grey values."""
    grey = pictures.mean(1)
    return grey.mean((1, 2)), grey.std((1, 2), correction=0)
