"""Kinds of procedural image that are things with parts: a face, an eye, a fish, a house, a scene."""

from __future__ import annotations

import numpy as np

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
from simulator.networks.figures import HALF_TURN, SHAPES, UPRIGHT

Random = np.random.Generator
DARK, WHITE = -0.95, 0.95


def _paint(light: Plane, where: Plane, tone: float) -> Plane:
    """Return `light` with `tone` laid over it where the mask says."""
    return light + where * (np.float32(tone) - light)


def _plain() -> Plane:
    return np.zeros((SIZE_PX, SIZE_PX), np.float32)


def face(random: Random) -> Figure:
    """Draw a head with shading, hair or none, two eyes with pupils, nose and mouth, seen about frontally."""
    frame, look = placed(random, 0.75, 1.0, UPRIGHT), random.uniform(-0.15, 0.15)
    width = random.uniform(0.68, 0.8)
    head = mask(ellipse(frame, 0, 0, width, 0.95), frame.pixel)
    light = np.clip(0.3 - 0.5 * (frame.x - look) ** 2 - 0.35 * (frame.y - 0.1) ** 2, -0.5, 0.4).astype(np.float32)
    if random.random() < 0.6:
        hair = head * mask(random.uniform(0.45, 0.6) - frame.y - 0.25 * frame.x**2, frame.pixel)
        light = _paint(light, hair, -0.8)
    for side in (-1, 1):
        x, open_ = 0.32 * side + look, random.uniform(0.1, 0.14)
        light = _paint(light, mask(ellipse(frame, x, 0.18, 0.18, open_), frame.pixel), WHITE)
        light = _paint(light, mask(ellipse(frame, x + look / 3, 0.18, 0.09, 0.1), frame.pixel), DARK)
    nose = stroke(frame, np.array([[look, 0.12], [look * 1.4 + 0.06, -0.2], [look, -0.22]]), 0.06)
    light = _paint(light, mask(nose, frame.pixel), -0.55)
    smile, across = random.uniform(-0.12, 0.25), np.linspace(-0.3, 0.3, 5)
    mouth = np.stack([across + look, -0.52 + smile * (across / 0.3) ** 2], -1)
    return Figure(head, _paint(light, mask(stroke(frame, mouth, 0.12), frame.pixel), DARK))


def eye(random: Random) -> Figure:
    """Draw one open eye: white almond, coloured iris with rays, black pupil, a glint."""
    frame, look = placed(random, 0.75, 1.0, UPRIGHT), random.uniform(-0.25, 0.25)
    lids = random.uniform(0.55, 0.7)
    almond = np.maximum(np.abs(frame.y) - lids * (1 - frame.x**2), np.abs(frame.x) - 1) * 0.8
    gaze = frame.moved(look, 0)
    iris = mask(gaze.radius - np.float32(0.5), frame.pixel)
    light = _paint(_plain() + np.float32(WHITE), iris, 0)
    light = light + iris * 0.2 * np.sin(11 * gaze.angle)
    light = _paint(light, mask(gaze.radius - np.float32(0.24), frame.pixel), -1)
    light = _paint(light, mask(gaze.moved(0.16, 0.18).radius - np.float32(0.09), frame.pixel), 1)
    rim = mask(np.abs(almond) - np.float32(0.06), frame.pixel)
    return Figure(np.maximum(mask(almond, frame.pixel), rim), _paint(light, rim, DARK))


def fish(random: Random) -> Figure:
    frame = placed(random, 0.75, 1.0, UPRIGHT)
    if random.random() < 0.5:
        frame = Frame(-frame.x, frame.y, frame.pixel)
    body = ellipse(frame, 0.15, 0, 0.72, 0.42)
    tail = np.maximum(np.abs(frame.y) - 0.9 * (-frame.x - 0.38), -frame.x - 0.95).astype(np.float32)
    fin = np.maximum(np.abs(frame.x - 0.1) - (0.72 - frame.y), 0.3 - frame.y).astype(np.float32)
    shade = np.clip(frame.y * 0.9, -0.5, 0.4) + 0.25 * np.sin(14 * frame.x) * (frame.x < 0.4)
    light = _paint(
        shade.astype(np.float32), mask(frame.moved(0.58, 0.12).radius - np.float32(0.12), frame.pixel), WHITE
    )
    light = _paint(light, mask(frame.moved(0.6, 0.12).radius - np.float32(0.06), frame.pixel), -1)
    return Figure(mask(np.minimum(np.minimum(body, tail), fin * 0.7), frame.pixel), light)


def house(random: Random) -> Figure:
    frame, tall = placed(random, 0.75, 0.98, 0.12), random.uniform(0.4, 0.55)
    walls = mask(box(frame.moved(0, -0.9 + tall), 0.7, tall), frame.pixel)
    eaves = 2 * tall - 0.9
    roof = mask(
        np.maximum(np.abs(frame.x) - 1.15 * (0.95 - frame.y) / (0.95 - eaves) * 0.8, eaves - frame.y) * 0.7,
        frame.pixel,
    )
    light = _paint(_plain() + np.float32(0.1), roof, -0.55)
    light = _paint(light, mask(box(frame.moved(random.uniform(-0.3, 0.3), -0.67), 0.15, 0.24), frame.pixel), DARK)
    for x in (-0.42, 0.42):
        light = _paint(light, mask(box(frame.moved(x, eaves - 0.25), 0.15, 0.13), frame.pixel), WHITE)
    return Figure(np.maximum(walls, roof), light)


def butterfly(random: Random) -> Figure:
    frame = placed(random, 0.75, 1.0, HALF_TURN)
    side, up = np.abs(frame.x), frame.y
    wings = (
        np.minimum(
            np.hypot((side - 0.5) / 0.48, (up - 0.36 - 0.3 * side) / 0.42),
            np.hypot((side - 0.4) / 0.36, (up + 0.42) / 0.38),
        )
        - 1
    )
    spots = np.minimum(np.hypot(side - 0.58, up - 0.52), np.hypot(side - 0.42, up + 0.42)) - 0.17
    body = ellipse(frame, 0, 0, 0.1, 0.75)
    rim = mask(np.abs(wings * 0.4) - 0.05, frame.pixel)
    light = _paint(_paint(_plain() + np.float32(0.1), rim, -0.7), mask(body, frame.pixel), DARK)
    alpha = mask(np.minimum(wings * 0.4, body).astype(np.float32), frame.pixel)
    return Figure(alpha, light, mask(spots.astype(np.float32), frame.pixel))


def flower(random: Random) -> Figure:
    frame, petals = placed(random, 0.7, 1.0), int(random.integers(5, 9))
    edge = 0.68 + 0.27 * np.cos(petals * frame.angle)
    light = 0.35 * frame.radius - 0.25 + 0.15 * np.cos(petals * frame.angle)
    heart = mask(frame.radius - np.float32(0.27), frame.pixel)
    return Figure(mask((frame.radius - edge) * 0.7, frame.pixel), _paint(light, heart, 0.2), heart)


def mushroom(random: Random) -> Figure:
    frame = placed(random, 0.7, 1.0, UPRIGHT)
    cap = np.maximum(ellipse(frame, 0, -0.02, 0.95, 0.85), -frame.y - 0.02)
    stem = box(frame.moved(0, -0.45), 0.24 + 0.05 * random.random(), 0.48)
    light = np.clip(0.3 - 0.6 * frame.x**2, -0.4, 0.3).astype(np.float32)
    light = _paint(light, mask(stem, frame.pixel) * (frame.y < 0), 0.8)
    for x, y in ((-0.45, 0.3), (0.05, 0.52), (0.45, 0.25)):
        light = _paint(light, mask(frame.moved(x, y).radius - np.float32(0.15), frame.pixel), WHITE)
    return Figure(mask(np.minimum(cap, stem), frame.pixel), light)


def scene(random: Random) -> Figure:
    """Draw ground under a horizon and three to five different flat shapes standing on it, near ones last."""
    horizon = random.uniform(-0.1, 0.3)
    ground = mask(BASE.y - np.float32(horizon) + 0.03 * np.sin(3 * BASE.x), BASE.pixel)
    light, accent = _plain() - np.float32(0.5) * (1 + BASE.y), _plain()
    alpha = ground.copy()
    for depth, name in enumerate(random.permutation(list(SHAPES))[: random.integers(3, 6)]):
        size = 0.2 + 0.05 * depth
        frame = BASE.moved(random.uniform(-0.8, 0.8), horizon - 0.12 * depth + 0.1, size, random.uniform(-0.3, 0.3))
        inside = mask(SHAPES[name](frame), frame.pixel)
        light = _paint(light, inside, random.uniform(-0.2, 0.5))
        accent = _paint(accent, inside, float(random.random() < 0.7))
        alpha = np.maximum(alpha, inside)
    return Figure(alpha, light, accent)


def gem(random: Random) -> Figure:
    """Draw a cut stone: a polygon whose facets catch the light."""
    frame, sides = placed(random, 0.65, 0.95), int(random.integers(6, 9))
    outer, table = convex(frame, sides, 0.85), convex(frame, sides, 0.42)
    facet = np.floor(np.mod(frame.angle - np.pi / 2, 2 * np.pi) / (2 * np.pi / sides))
    tone = (0.55 * np.cos(2 * np.pi * facet / sides - random.uniform(0, 6))).astype(np.float32)
    return Figure(mask(outer, frame.pixel), _paint(tone, mask(table, frame.pixel), 0.35))
