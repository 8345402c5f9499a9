"""Kinds of procedural image that stand on a background: flat shapes, shaded solids, lines, letters, things."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simulator.networks.drawing import (
    BASE,
    SIZE_PX,
    Figure,
    Frame,
    Plane,
    box,
    convex,
    ellipse,
    mask,
    placed,
    stroke,
)

Random = np.random.Generator
UPRIGHT = 0.35
"""Radians by which a kind with an up and a down may lean."""
HALF_TURN = 1.2
"""The same for flat shapes with a top."""


def disc_shape(frame: Frame) -> Plane:
    return frame.radius - np.float32(0.85)


def square_shape(frame: Frame) -> Plane:
    return box(frame, 0.75, 0.75)


def triangle_shape(frame: Frame) -> Plane:
    return convex(frame, 3, 0.5)


def star_shape(frame: Frame) -> Plane:
    sector = 2 * np.pi / 5
    folded = np.abs(np.mod(frame.angle - np.pi / 2 + sector / 2, sector) - sector / 2)
    x, y = frame.radius * np.cos(folded), frame.radius * np.sin(folded)
    inner_x, inner_y = 0.42 * np.cos(sector / 2), 0.42 * np.sin(sector / 2)
    normal = np.hypot(inner_y, 1 - inner_x)
    return np.asarray((((x - 1) * inner_y + y * (1 - inner_x)) / normal).astype(np.float32))


def cross_shape(frame: Frame) -> Plane:
    return np.minimum(box(frame, 0.28, 0.95), box(frame, 0.95, 0.28))


def heart_shape(frame: Frame) -> Plane:
    x, y = frame.x * 1.2, frame.y * 1.2 + 0.1
    field = x * x + (y - 0.7 * np.sqrt(np.abs(x))) ** 2
    return np.asarray(((np.sqrt(field) - 1) * 0.6).astype(np.float32))


def crescent_shape(frame: Frame) -> Plane:
    bite = np.hypot(frame.x - 0.42, frame.y) - 0.7
    return np.asarray(np.maximum(frame.radius - 0.95, -bite).astype(np.float32))


def ring_shape(frame: Frame) -> Plane:
    return np.asarray(np.abs(frame.radius - np.float32(0.72)) - np.float32(0.2))


def arrow_shape(frame: Frame) -> Plane:
    head = convex(frame.moved(0, 0.35, 0.62), 3, 0.5) * 0.62
    return np.asarray(np.minimum(head, box(frame.moved(0, -0.45), 0.2, 0.55)).astype(np.float32))


SHAPES = {
    "disc": disc_shape,
    "square": square_shape,
    "triangle": triangle_shape,
    "star": star_shape,
    "cross": cross_shape,
    "heart": heart_shape,
    "crescent": crescent_shape,
    "ring": ring_shape,
    "arrow": arrow_shape,
}


def shape(name: str, random: Random) -> Figure:
    """Draw one flat shape, sometimes with a faint gradient over it."""
    frame = placed(random, 0.6, 0.95, HALF_TURN)
    return Figure(mask(SHAPES[name](frame), frame.pixel), 0.25 * random.uniform(-1, 1) * frame.y)


def many(name: str, random: Random) -> Figure:
    """Draw six to twelve small copies of one shape, apart from each other where there is room."""
    alpha = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    centres: list[tuple[float, float]] = []
    size = random.uniform(0.18, 0.26)
    for x, y in random.uniform(-0.9, 0.9, (40, 2)):
        if all(np.hypot(x - a, y - b) > 2 * size for a, b in centres) and len(centres) < 12:
            centres.append((x, y))
            frame = BASE.moved(x, y, size, random.uniform(0, 2 * np.pi))
            np.maximum(alpha, mask(SHAPES[name](frame), frame.pixel), out=alpha)
    return Figure(alpha)


def _lamp(random: Random) -> tuple[float, float]:
    """Return the horizontal and vertical direction that light comes from: mostly from above."""
    return random.uniform(-0.7, 0.7), random.uniform(0.2, 0.7)


def sphere(random: Random) -> Figure:
    frame, (lx, ly) = placed(random, 0.6, 0.95, 0), _lamp(random)
    height = np.sqrt(np.clip(1 - frame.radius**2, 0, 1))
    shade = frame.x * lx + frame.y * ly + height * 0.6
    shine = np.clip(shade - 0.75, 0, 1) * 3
    return Figure(mask(frame.radius - np.float32(1), frame.pixel), np.clip(shade * 1.3 - 0.75 + shine, -0.9, 0.9))


def cube(random: Random) -> Figure:
    """Draw a cube seen from above a corner: three faces of three tones."""
    frame, turn = placed(random, 0.65, 0.98, 0.2), random.uniform(-0.3, 0.3)
    tones = np.array([0.45, -0.1, -0.6])[random.permutation(3) if random.random() < 0.3 else [0, 1, 2]]
    hexagon = convex(frame, 6, 0.85)
    edge = frame.x * (1 + turn * np.sign(frame.x))
    top = frame.y > 0.58 * np.abs(edge)
    light = np.where(top, tones[0], np.where(edge < 0, tones[1], tones[2]))
    return Figure(mask(hexagon, frame.pixel), light.astype(np.float32))


def cylinder(random: Random) -> Figure:
    frame, side = placed(random, 0.7, 1.0, 0.5), random.uniform(-0.3, 0.3)
    w = random.uniform(0.45, 0.6)
    body = box(frame.moved(0, -0.05), w, 0.65)
    bottom, top = ellipse(frame, 0, -0.7, w, 0.22), ellipse(frame, 0, 0.6, w, 0.22)
    lid = mask(top, frame.pixel)
    shade = 0.4 - 2.2 * (frame.x / w - side) ** 2 * 0.5
    alpha = mask(np.minimum(np.minimum(body, bottom), top), frame.pixel)
    return Figure(alpha, np.clip(shade, -0.8, 0.5) * (1 - lid) + 0.55 * lid)


def cone(random: Random) -> Figure:
    frame, side = placed(random, 0.7, 1.0, 0.5), random.uniform(-0.4, 0.4)
    width = np.clip((0.95 - frame.y) * 0.42, 1e-3, 1)
    flank = np.maximum(np.abs(frame.x) - width, np.abs(frame.y - 0.15) - 0.8)
    base = ellipse(frame, 0, -0.64, 0.66, 0.22)
    shade = 0.45 - 1.1 * np.abs(frame.x / width - side)
    return Figure(mask(np.minimum(flank, base), frame.pixel), np.clip(shade, -0.8, 0.5))


def torus(random: Random) -> Figure:
    frame, (lx, ly), squash = placed(random, 0.65, 0.98), _lamp(random), random.uniform(0.6, 0.95)
    r = np.hypot(frame.x, frame.y / squash) + 1e-6
    across = (r - 0.66) / 0.3
    bulge = np.sqrt(np.clip(1 - across**2, 0, 1))
    shade = across * (frame.x * lx + frame.y * ly) / r + 0.7 * bulge
    return Figure(mask((np.abs(across) - 1) * 0.25, frame.pixel), np.clip(1.4 * shade - 0.75, -0.9, 0.9))


def curve(random: Random) -> Figure:
    """Draw one smooth open curve: a Bezier of four random points."""
    corners = random.uniform(-0.95, 0.95, (4, 2))
    corners[[0, 3]] = np.array([-0.8, random.uniform(-0.8, 0.8)]), np.array([0.8, random.uniform(-0.8, 0.8)])
    t = np.linspace(0, 1, 15)[:, None]
    bezier = (1 - t) ** 3 * corners[0] + 3 * t * (1 - t) ** 2 * corners[1] * 1.6
    bezier = bezier + 3 * t**2 * (1 - t) * corners[2] * 1.6 + t**3 * corners[3]
    frame = placed(random, 0.8, 1.0)
    return Figure(mask(stroke(frame, bezier, random.uniform(0.12, 0.24)), frame.pixel))


def tree(random: Random) -> Figure:
    """Draw a bare tree: a trunk that forks three times."""
    frame = placed(random, 0.75, 1.0, 0.25)
    alpha = np.zeros_like(frame.x)
    tips = [(0.0, -0.95, np.pi / 2, 0.75, 0.2)]
    for _ in range(4):
        grown = []
        for x, y, way, length, width in tips:
            x1, y1 = x + length * np.cos(way), y + length * np.sin(way)
            np.maximum(alpha, mask(stroke(frame, np.array([[x, y], [x1, y1]]), width), frame.pixel), out=alpha)
            for fork in (-1, 1):
                lean = way + fork * random.uniform(0.3, 0.7)
                grown.append((x1, y1, lean, length * random.uniform(0.6, 0.75), width * 0.68))
        tips = grown
    return Figure(alpha, -0.15)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(96)


def letter(which: str, random: Random) -> Figure:
    """Draw one capital letter, leaning a little."""
    page = Image.new("L", (128, 128))
    bold = int(random.integers(1, 7))
    ImageDraw.Draw(page).text((64, 64), which, 255, _font(), anchor="mm", stroke_width=bold)
    scale, turn = 1 / random.uniform(0.95, 1.35), random.uniform(-UPRIGHT, UPRIGHT)
    x, y = random.uniform(-8, 8, 2)
    c, s = np.cos(turn) * scale, np.sin(turn) * scale
    shift = (64 - c * (64 + x) - s * (64 + y), 64 + s * (64 + x) - c * (64 + y))
    moved = (c, s, shift[0], -s, c, shift[1])
    turned = page.transform((128, 128), Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)
    return Figure(np.asarray(turned.reduce(2), np.float32) / 255)
