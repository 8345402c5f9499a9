"""The pens that procedural images are drawn with: coordinates, soft-edged masks, noise.

A figure is drawn in its own coordinates, in which it fills about the unit disc; x grows to the right and
y upwards. Shapes are signed distances (negative inside), so that a mask's edge is one pixel soft and
nothing aliases.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIZE_PX = 64
Plane = NDArray[np.floating[Any]]
"""[SIZE_PX, SIZE_PX], float32 where speed matters."""

_AXIS = (np.arange(SIZE_PX, dtype=np.float32) + 0.5) / SIZE_PX * 2 - 1
BASE_X, BASE_Y = np.meshgrid(_AXIS, -_AXIS)


@dataclass(slots=True)
class Frame:
    """The coordinates of one figure, and the width of a pixel in them."""

    x: Plane
    y: Plane
    pixel: float

    @property
    def radius(self) -> Plane:
        return np.hypot(self.x, self.y)

    @property
    def angle(self) -> Plane:
        return np.arctan2(self.y, self.x)

    def moved(self, x: float, y: float, size: float = 1.0, turn: float = 0.0) -> Frame:
        """Return a frame centred at (x, y) of this one, `size` times as large, turned by `turn` radians."""
        dx, dy = (self.x - x) / size, (self.y - y) / size
        c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        return Frame(c * dx + s * dy, c * dy - s * dx, self.pixel / size)


@dataclass(slots=True)
class Figure:
    """What a kind draws; colours come later.

    `alpha` is 1 where the figure covers the background, `light` runs from -1 (black) over 0 (its own
    colour) to 1 (white), `accent` is 1 where the second colour shows.
    """

    alpha: Plane
    light: Plane | float = 0.0
    accent: Plane | float = 0.0


BASE = Frame(BASE_X, BASE_Y, 2 / SIZE_PX)


def placed(random: np.random.Generator, smallest: float, largest: float, tilt: float = np.pi) -> Frame:
    """Return a frame of random size (fractions of the image), position and turn that fits in the image."""
    size = random.uniform(smallest, largest)
    room = max(0.0, 1.05 - size)
    x, y = random.uniform(-room, room, 2)
    return BASE.moved(x, y, size, random.uniform(-tilt, tilt))


def mask(distance: Plane, pixel: float) -> Plane:
    """Return 1 inside, 0 outside, and a ramp of one pixel in between."""
    return np.asarray(np.clip(0.5 - distance / pixel, 0, 1))


def wave_mask(wave: Plane, slope: float) -> Plane:
    """Return soft-edged stripes where `wave` (a sine) is positive; `slope` is its steepest change a pixel."""
    return np.asarray(np.clip(0.5 + wave / max(slope, 1e-3), 0, 1))


def convex(frame: Frame, sides: int, apothem: float = 0.7) -> Plane:
    """Return the distance to a regular polygon with a corner at the top."""
    sector = 2 * np.pi / sides
    folded = np.mod(frame.angle - np.pi / 2, sector) - sector / 2
    return np.asarray((frame.radius * np.cos(folded) - apothem).astype(np.float32))


def box(frame: Frame, half_width: float, half_height: float) -> Plane:
    """Return the distance to an upright rectangle."""
    return np.maximum(np.abs(frame.x) - half_width, np.abs(frame.y) - half_height)


def ellipse(frame: Frame, x: float, y: float, half_width: float, half_height: float) -> Plane:
    """Return the approximate distance to an upright ellipse centred at (x, y)."""
    r = np.hypot((frame.x - x) / half_width, (frame.y - y) / half_height)
    return np.asarray((r - 1) * min(half_width, half_height))


def stroke(frame: Frame, points: NDArray[np.float64], width: float) -> Plane:
    """Return the distance to a polyline [n_points, 2] drawn `width` wide."""
    nearest = np.full(frame.x.shape, np.inf, np.float32)
    for (x0, y0), (x1, y1) in pairwise(points):
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((frame.x - x0) * dx + (frame.y - y0) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
        gap = (frame.x - x0 - along * dx) ** 2 + (frame.y - y0 - along * dy) ** 2
        np.minimum(nearest, gap.astype(np.float32), out=nearest)
    return np.sqrt(nearest) - np.float32(width / 2)


def noise(random: np.random.Generator, cells: int) -> Plane:
    """Return smooth noise in about -1..1 with `cells` bumps across the image."""
    coarse = random.standard_normal((cells + 1, cells + 1)).astype(np.float32)
    smooth = Image.fromarray(coarse).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    return np.asarray(smooth) / np.float32(1.5)


def fractal(random: np.random.Generator, coarsest: int, octaves: int, decay: float) -> Plane:
    """Return a sum of noises, each twice as fine and `decay` times as strong as the one before."""
    total = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for octave in range(octaves):
        total += noise(random, coarsest * 2**octave) * np.float32(decay**octave)
    return total / np.float32(np.abs(total).max() + 1e-6)
