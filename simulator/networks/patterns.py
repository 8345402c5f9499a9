"""Kinds of procedural image that fill the frame: textures, gratings, tilings and what turns about a centre."""

from __future__ import annotations

import numpy as np

from simulator.networks.drawing import BASE, SIZE_PX, Figure, Frame, Plane, fractal, mask, noise, wave_mask

Random = np.random.Generator
FULL = np.ones((SIZE_PX, SIZE_PX), np.float32)


def _turned(random: Random, shift: float = 0.3) -> Frame:
    """Return the whole image as a frame, turned and shifted at random."""
    x, y = random.uniform(-shift, shift, 2)
    return BASE.moved(x, y, 1.0, random.uniform(0, 2 * np.pi))


def _stripes(phase: Plane, cycles: float, random: Random) -> Plane:
    """Return stripes, sine-shaped or sharp, of `cycles` periods across the image."""
    wave = np.sin(phase)
    sharp = random.uniform(1, 4)
    return wave_mask(wave, max(2 / sharp, 2 * np.pi * cycles / SIZE_PX * 1.2))


def cloud(random: Random) -> Figure:
    field = fractal(random, int(random.integers(2, 4)), 4, random.uniform(0.45, 0.65))
    return Figure(np.clip(0.5 + 1.3 * field, 0, 1), 0.5 * np.clip(field, 0, 1))


def marble(random: Random) -> Figure:
    frame, cycles = _turned(random), random.uniform(2, 4)
    warp = fractal(random, 3, 3, 0.6) * random.uniform(2.5, 4.5)
    veins = np.abs(np.sin(np.pi * cycles * frame.x / 2 + warp))
    return Figure(FULL, 0.7 - 1.1 * np.clip(1.6 * veins, 0, 1) ** 0.6 + 0.4 * veins)


def grating(random: Random) -> Figure:
    frame, cycles = _turned(random), random.uniform(1.5, 6)
    return Figure(_stripes(np.pi * cycles * frame.x, cycles, random))


def plaid(random: Random) -> Figure:
    frame, cycles = _turned(random), random.uniform(2, 5)
    across = _stripes(np.pi * cycles * frame.x, cycles, random)
    along = _stripes(np.pi * cycles * frame.y, cycles, random)
    return Figure(np.maximum(across, along) * 0.65 + 0.35 * across * along, 0, along * (1 - across) * 0.8)


def checker(random: Random) -> Figure:
    frame, cycles = _turned(random), random.uniform(1.5, 4)
    k = np.pi * cycles
    return Figure(wave_mask(np.sin(k * frame.x) * np.sin(k * frame.y), 2 * k / SIZE_PX * 1.3))


def zigzag(random: Random) -> Figure:
    frame, cycles = _turned(random), random.uniform(2, 4)
    teeth = np.abs(np.mod(frame.y * random.uniform(1.2, 2.2) + 9, 1) - 0.5) * random.uniform(1.0, 1.6)
    return Figure(wave_mask(np.sin(np.pi * cycles * (frame.x + teeth)), 2 * np.pi * cycles / SIZE_PX * 2))


def brick(random: Random) -> Figure:
    frame, rows = _turned(random), random.uniform(1.5, 3.2)
    y = frame.y * rows + 20
    row = np.floor(y)
    x = frame.x * rows / 2 + 20 + 0.5 * np.mod(row, 2)
    edge = np.minimum(np.minimum(y - row, row + 1 - y), 2 * np.minimum(x - np.floor(x), np.floor(x) + 1 - x))
    tone = np.mod(np.sin(row * 12.99 + np.floor(x) * 78.23) * 43758.5, 1).astype(np.float32)
    return Figure(mask(0.12 - edge, rows * 2 / SIZE_PX), 0.7 * tone - 0.45)


def hexagons(random: Random) -> Figure:
    frame, scale = _turned(random), random.uniform(1.6, 3.2)
    x, y, height = frame.x * scale, frame.y * scale, np.sqrt(3)
    ax, ay = np.mod(x, 1) - 0.5, np.mod(y, height) - height / 2
    bx, by = np.mod(x - 0.5, 1) - 0.5, np.mod(y - height / 2, height) - height / 2
    near = ax * ax + ay * ay < bx * bx + by * by
    gx, gy = np.abs(np.where(near, ax, bx)), np.abs(np.where(near, ay, by))
    edge = np.maximum(gx, gx / 2 + gy * height / 2)
    gap = random.uniform(0.4, 0.45)
    return Figure(mask((edge - gap).astype(np.float32), scale * 2 / SIZE_PX), 0.35 - edge)


def dots(random: Random) -> Figure:
    frame, scale = _turned(random), random.uniform(1.3, 2.6)
    x, y = frame.x * scale + 10, frame.y * scale + 10
    x = x + 0.5 * np.mod(np.floor(y), 2) * random.integers(0, 2)
    r = np.hypot(np.mod(x, 1) - 0.5, np.mod(y, 1) - 0.5)
    return Figure(mask(r - random.uniform(0.25, 0.36), scale * 2 / SIZE_PX))


def voronoi(random: Random) -> Figure:
    n = int(random.integers(9, 26))
    points = random.uniform(-1.1, 1.1, (n, 2)).astype(np.float32)
    far = np.hypot(BASE.x[..., None] - points[:, 0], BASE.y[..., None] - points[:, 1])
    owner = far.argmin(-1)
    first, second = np.partition(far, 1, -1)[..., 0], np.partition(far, 1, -1)[..., 1]
    tones = random.uniform(-0.5, 0.5, n).astype(np.float32)
    return Figure(mask(0.05 - (second - first), BASE.pixel), tones[owner])


def dead_leaves(random: Random) -> Figure:
    """Draw overlapping discs, the nearest last, each of its own tone; a third in the second colour."""
    light, accent = np.zeros_like(FULL), np.zeros_like(FULL)
    for _ in range(40):
        x, y = random.uniform(-1.1, 1.1, 2)
        size = min(0.6, 0.13 / random.uniform(0.12, 1))
        inside = mask(np.hypot(BASE.x - x, BASE.y - y) - np.float32(size), BASE.pixel)
        light += inside * (random.uniform(-0.65, 0.55) - light)
        accent += inside * (float(random.random() < 0.3) - accent)
    return Figure(FULL, light, accent)


def rings(random: Random) -> Figure:
    frame, cycles = _turned(random, 0.25), random.uniform(2.5, 6)
    return Figure(_stripes(np.pi * cycles * frame.radius + random.uniform(0, 6), cycles, random))


def spokes(random: Random) -> Figure:
    frame, n = _turned(random, 0.25), int(random.integers(4, 11))
    soft = 2.6 * n / (SIZE_PX * (frame.radius + 0.06))
    return Figure(np.clip(0.5 + np.sin(n * frame.angle) / np.maximum(soft, 0.4), 0, 1))


def spiral(random: Random) -> Figure:
    frame, cycles = _turned(random, 0.25), random.uniform(1.5, 3.5)
    arms = int(random.integers(1, 4)) * int(random.choice([-1, 1]))
    return Figure(_stripes(2 * np.pi * cycles * frame.radius + arms * frame.angle, 2 * cycles, random))


def ripples(random: Random) -> Figure:
    """Draw wavy lines: a grating bent by a slow sine."""
    frame, cycles = _turned(random), random.uniform(2.5, 5)
    bend = random.uniform(0.15, 0.3) * np.sin(np.pi * random.uniform(1.2, 2.5) * frame.y + noise(random, 2))
    return Figure(_stripes(np.pi * cycles * (frame.x + bend), cycles * 1.4, random))
