"""Moving on the unit sphere: along a tangent, and along the arc between two points."""

import numpy as np

from server.optimizers.search import Vectors


def unit(vectors: Vectors) -> Vectors:
    """Return vectors [.., d] at length 1."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.finfo(float).tiny))


def tangent(vectors: Vectors, at: Vectors) -> Vectors:
    """Return the part of vectors [.., d] that is at right angles to a unit vector [d]."""
    return np.asarray(vectors - (vectors @ at)[..., None] * at)


def exp_map(at: Vectors, tangents: Vectors) -> Vectors:
    """Return where one gets from a unit vector [d] along great circles, by tangents [.., d] in radians."""
    angles = np.linalg.norm(tangents, axis=-1, keepdims=True)
    # sin(a)/a, and 1 at a = 0; numpy's sinc has pi in it.
    return np.asarray(np.cos(angles) * at + np.sinc(angles / np.pi) * tangents)


def slerp(start: Vectors, end: Vectors, share: float) -> Vectors:
    """Return the unit vector at a share of the arc between two; beyond 1 it goes on along the circle."""
    sideways = tangent(end, start)
    angle = np.arctan2(np.linalg.norm(sideways), end @ start)
    return exp_map(start, share * angle * unit(sideways))
