"""The Cholesky factor of a covariance that learns from one path (Suttorp, Hansen & Igel 2009), in O(d k).

The covariance C = A^T A learns from a path p: C' = (1 - c) C + c p^T p, the rank-one part of (47) in Hansen's
tutorial, arXiv 1604.00772. With v = p A^-1, its factor and the factor's inverse follow without C itself:

    (a)  A'    = sqrt(1 - c) (I + (sqrt(1 + c |v|^2 / (1 - c)) - 1) v^T v / |v|^2) A
    (b)  A'^-1 = A^-1 (I - (1 - 1 / sqrt(1 + c |v|^2 / (1 - c))) v^T v / |v|^2) / sqrt(1 - c)

So A is the product of its updates, and the k vectors v are all there is to keep: no d x d matrix.
"""

import numpy as np

from server.optimizers.search import Vectors


def times_factor(z: Vectors, axes: Vectors, c: float) -> Vectors:
    """Return z A, for z [n, d] and the axes v [k, d] of the updates, oldest first."""
    for axis in axes[::-1]:
        length = axis @ axis
        stretch = np.sqrt(1 + c * length / (1 - c)) - 1
        z = np.sqrt(1 - c) * (z + np.outer(z @ axis * (stretch / length), axis))  # (a)
    return z


def times_inverse(x: Vectors, axes: Vectors, c: float) -> Vectors:
    """Return x A^-1, for x [n, d] and the axes v [k, d] of the updates, oldest first."""
    for axis in axes:
        length = axis @ axis
        shrink = 1 - 1 / np.sqrt(1 + c * length / (1 - c))
        x = (x - np.outer(x @ axis * (shrink / length), axis)) / np.sqrt(1 - c)  # (b)
    return x
