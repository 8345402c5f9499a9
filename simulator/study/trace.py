"""XDream's genetic algorithm, five generations of it, number for number."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.optimizers import create

SUMS = (-64.543239, -68.930678, -90.054663, -118.267264, -120.332472)
"""Of all codes after each step, by XDream itself; to six places."""
BEST = 3.8387772731836103
"""Its best score, clipped as it clips."""
ROUNDED = 5e-7


def trace_error() -> float:
    """Return the largest difference from XDream's trace, of the sums beyond their rounding."""
    optimizer = create("genetic", (4, 4, 3), 7, xdream_compatible=True, n_conserve=0)
    errors = []
    for total in SUMS:
        optimizer.tell(_objective(optimizer.ask().reshape(20, -1)))
        errors.append(max(0.0, abs(float(optimizer.ask().sum()) - total) - ROUNDED))
    return max(*errors, abs(float(optimizer.snapshot()["kept"]["best_score"]) - BEST))


def _objective(codes: NDArray[Any]) -> NDArray[np.float64]:
    target = np.sin(0.7 * np.arange(codes.shape[1]))
    return np.asarray(10 - np.linalg.norm(codes - target, axis=1) + 0.1 * np.cos(3 * codes[:, 0]), np.float64)
