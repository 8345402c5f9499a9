"""Procedural images, and the two labels each has: what it shows and in which colour.

Forty-five kinds of picture, each in any of ten colours, on backgrounds of muted colours. The same seed gives the same
images for ever, on any number of processes: image i of a set depends on (seed, i) alone.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simulator.networks import figures, patterns, things
from simulator.networks.drawing import BASE, SIZE_PX, Figure, Plane, noise

Random = np.random.Generator

DRAW: dict[str, Callable[[Random], Figure]] = {
    **{f.__name__: f for f in (
        patterns.cloud, patterns.marble, patterns.dead_leaves, patterns.voronoi, patterns.grating, patterns.plaid,
        patterns.checker, patterns.zigzag, patterns.ripples, patterns.brick, patterns.hexagons, patterns.dots,
        patterns.rings, patterns.spokes, patterns.spiral,
    )},
    **{name: partial(figures.shape, name) for name in figures.SHAPES},
    **{f.__name__: f for f in (figures.sphere, figures.cube, figures.cylinder, figures.cone, figures.torus)},
    **{f.__name__: f for f in (figures.curve, figures.tree)},
    **{f"letter_{a}": partial(figures.letter, a) for a in "AS"},
    **{f.__name__: f for f in (
        things.face, things.eye, things.fish, things.house, things.butterfly, things.flower, things.mushroom,
        things.gem, things.scene,
    )},
    **{f"many_{name}s": partial(figures.many, name) for name in ("disc", "star", "square")},
}  # fmt: skip
KINDS = tuple(DRAW)

_HUE_SATURATION_VALUE = {
    "red": (0.00, 0.90, 0.85),
    "orange": (0.075, 0.92, 0.97),
    "yellow": (0.15, 0.90, 0.95),
    "green": (0.33, 0.80, 0.65),
    "cyan": (0.50, 0.80, 0.85),
    "blue": (0.62, 0.85, 0.85),
    "purple": (0.76, 0.75, 0.70),
    "pink": (0.91, 0.50, 0.97),
    "brown": (0.065, 0.75, 0.42),
    "grey": (0.0, 0.0, 0.55),
}
COLOURS = tuple(_HUE_SATURATION_VALUE)


@dataclass(frozen=True, slots=True, eq=False)
class ProceduralImages:
    """A set of images and what each shows."""

    images: NDArray[np.uint8]
    """[n_images, 64, 64, 3] RGB."""
    kinds: NDArray[np.int64]
    """[n_images] index into KINDS."""
    colours: NDArray[np.int64]
    """[n_images] index into COLOURS: the colour of what is shown, not of what is behind it."""


def procedural_images(n: int, seed: int, kinds: Sequence[str] | None = None, processes: int = 1) -> ProceduralImages:
    """Return `n` images of the given kinds (all, unless told), each kind and colour about equally often."""
    draw = partial(procedural_image, seed, tuple(KINDS.index(kind) for kind in kinds or KINDS))
    if processes == 1:
        drawn = [draw(i) for i in range(n)]
    else:
        with ProcessPoolExecutor(processes) as pool:
            drawn = list(pool.map(draw, range(n), chunksize=256))
    images = np.stack([image for image, _, _ in drawn]) if drawn else np.zeros((0, SIZE_PX, SIZE_PX, 3), np.uint8)
    labels = np.array([(kind, colour) for _, kind, colour in drawn], np.int64).reshape(-1, 2)
    return ProceduralImages(images, labels[:, 0], labels[:, 1])


def procedural_image(seed: int, kinds: tuple[int, ...], index: int) -> tuple[NDArray[np.uint8], int, int]:
    """Return image number `index` of a set, [64, 64, 3] RGB, with the indices of its kind and colour.

    `kinds` are the indices into KINDS that the set takes in turn.
    """
    random = np.random.default_rng((seed, index))
    kind, colour = kinds[index % len(kinds)], int(random.integers(len(COLOURS)))
    return _coloured(DRAW[KINDS[kind]](random), colour, random), kind, colour


def _coloured(figure: Figure, colour: int, random: Random) -> NDArray[np.uint8]:
    """Return the figure in its colour on a background, as [64, 64, 3] uint8."""
    ink = np.broadcast_to(_jittered(colour, random), (SIZE_PX, SIZE_PX, 3))
    second = _jittered(int(random.integers(len(COLOURS))), random)
    ink = ink + (second - ink) * np.asarray(figure.accent)[..., None]
    light = np.clip(np.asarray(figure.light), -1, 1)[..., None]
    ink = np.where(light < 0, ink * (1 + light), ink + (1 - ink) * light)
    behind = _background(colour, random)
    picture = behind + (ink - behind) * figure.alpha[..., None]
    picture = picture + random.normal(0, 0.01, picture.shape)
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)


def _jittered(colour: int, random: Random) -> NDArray[np.float32]:
    """Return an RGB triple in 0..1 near a named colour."""
    hue, saturation, value = _HUE_SATURATION_VALUE[COLOURS[colour]]
    hue = (hue + random.uniform(-0.018, 0.018)) % 1
    value = np.clip(value + random.uniform(-0.1, 0.08), 0, 1)
    return np.array(colorsys.hsv_to_rgb(hue, saturation * random.uniform(0.88, 1.05), value), np.float32).clip(0, 1)


def _background(colour: int, random: Random) -> NDArray[np.float32]:
    """Return [64, 64, 3]: a muted colour, lighter or darker than the figure's, with a gradient and faint noise."""
    own_value = _HUE_SATURATION_VALUE[COLOURS[colour]][2]
    bright = random.random() < (0.35 if own_value > 0.6 else 0.75)
    value = random.uniform(0.8, 1.0) if bright else random.uniform(0.03, 0.25)
    triple = np.array(colorsys.hsv_to_rgb(random.random(), random.uniform(0, 0.3), value), np.float32)
    slope: Plane = BASE.x * random.uniform(-0.12, 0.12) + BASE.y * random.uniform(-0.12, 0.12)
    texture = noise(random, int(random.integers(2, 12))) * random.uniform(0, 0.06)
    return np.asarray(triple + (slope + texture)[..., None], np.float32)
