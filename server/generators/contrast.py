"""The contrast of pictures: measured, and set.

The longer a code, the higher its picture's contrast, and the more a neuron fires: a search that is free in the
length of its codes climbs contrast, whatever else it finds. So contrast is measured for every picture, and can
be held equal for all of them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from protocol.arrays import Images

N_CORRECTIONS = 8
"""Clipping costs contrast, so the gain is raised again; after eight times nothing moves any more."""
LARGEST_GAIN = 30.0
"""Beyond it, the rounding of an all but flat picture would be shown as noise."""


def rms_contrast(images: Images, window: ArrayLike = 1.0) -> NDArray[np.float64]:
    """Return [n_images] the standard deviation of the grey value (mean of R, G and B), in 0..1 of full scale.

    A window [height_px, width_px] of 0..1 says how much each pixel counts.
    """
    grey = np.asarray(images).mean(axis=3, dtype=np.float64)
    return _spread(grey, _shares(window, grey.shape[1:]))[1] / 255


def with_rms_contrast(images: Images, target: float, window: ArrayLike = 1.0) -> Images:
    """Return the images with their differences from their mean grey scaled to that RMS contrast.

    Levels beyond black and white are clipped, and the gain is raised until the contrast *as shown* is the
    target. A picture that cannot reach it (flat, or nearly all black and white already) comes as near as
    LARGEST_GAIN takes it; what it has is what `rms_contrast` says.
    """
    return np.stack([_rescaled(image, target, window) for image in images]) if len(images) else images.copy()


def _rescaled(image: Images, target: float, window: ArrayLike) -> Images:
    shares = _shares(window, image.shape[:2])
    pixels = image.astype(np.float32)
    [mean], [spread] = _spread(pixels.mean(axis=2, dtype=np.float64)[None], shares)
    if spread == 0:
        return image.copy()
    gain = target * 255 / spread
    for _ in range(N_CORRECTIONS):
        gain = min(gain, LARGEST_GAIN)
        shown = np.clip(np.round(mean + gain * (pixels - mean)), 0, 255)
        [_], [spread] = _spread(shown.mean(axis=2, dtype=np.float64)[None], shares)
        if abs(spread / 255 - target) < 0.001 or spread == 0:
            break
        gain *= target * 255 / spread
    rescaled: Images = shown.astype(np.uint8)
    return rescaled


def _shares(window: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the share of each pixel in a mean."""
    weights = np.broadcast_to(np.asarray(window, np.float64), shape)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def _spread(grey: NDArray[np.float64], shares: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation of each [n, height_px, width_px]."""
    mean = (grey * shares).sum(axis=(1, 2))
    return mean, np.sqrt((np.square(grey - mean[:, None, None]) * shares).sum(axis=(1, 2)))
