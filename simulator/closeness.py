"""How close a search came to the best image of a neuron whose best image is known."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Images
from simulator.ground_truth import KnownNeuron, Plane


@dataclass(frozen=True, slots=True)
class Closeness:
    """How close an image came to the best one."""

    activation: float
    """As a share of the best image's."""
    cosine: float
    """Of the two pictures' deviations from grey, where the neuron looks."""
    correlation: float
    """Of the two pictures, where the neuron looks."""


def closeness(neuron: KnownNeuron, image: Images) -> Closeness:
    """Return how close a square image, [size_px, size_px, 3], came; the likeness is that to the likest optimum."""
    size_px = len(image)
    [activation] = neuron.respond(image[None])
    weights = neuron.field(size_px)[..., None]
    mine = neuron.sees(image[None])[0]
    alike = [_likeness(mine, best, weights) for best in neuron.sees(neuron.optima(size_px))]
    cosine, correlation = max(alike)
    return Closeness(float(activation), cosine, correlation)


def _likeness(one: NDArray[np.float64], other: NDArray[np.float64], weights: Plane) -> tuple[float, float]:
    def product(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float(np.sum(weights * a * b))

    def aligned(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return product(a, b) / max(float(np.sqrt(product(a, a) * product(b, b))), 1e-12)

    n = float(np.sum(weights * np.ones_like(one)))
    flat = np.ones_like(one)
    centred = (each - product(each, flat) / n for each in (one, other))
    return aligned(one, other), aligned(*centred)
