"""A synthetic world to compare optimizers in: an anisotropic generator, neurons of V1's and IT's kind, spikes.

It stands in for no brain. It has what makes the search hard: 4096 latent dimensions of which a few hundred
matter, contrast that grows with a code's norm, neurons that divide by contrast and saturate, and few spikes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
SIDE_PX = 32
NORM_PER_ROOT_GENE = 300 / 64
"""The norm of usual codes: 300 in 4096 dimensions, as fc6's are."""


class Generator:
    """Turns codes [n, n_genes] into images [n, 1024] from -1 to 1; the zero code is grey."""

    def __init__(self, seed: int = 0, n_genes: int = 4096) -> None:
        random = np.random.default_rng(seed)
        self.n_genes, self.norm = n_genes, float(NORM_PER_ROOT_GENE * np.sqrt(n_genes))
        n_features = n_genes * 3 // 16
        rank = np.linspace(0, 768, n_features, endpoint=False)
        spectrum = np.sqrt((rank + 5) ** -0.8 * np.exp(-rank / 105))
        spectrum *= np.sqrt(n_features / np.sum(spectrum**2))
        inward = random.standard_normal((n_genes, n_features), np.float32) / np.sqrt(n_genes)
        mixing = random.standard_normal((n_features, n_features), np.float32) / np.sqrt(n_features)
        self.inward = (inward * spectrum @ mixing).astype(np.float32)
        self.outward = gabors(random, n_features).reshape(n_features, -1)
        # So that images of codes of the usual norm have an RMS contrast of 0.45.
        self.outward *= 0.16 / np.sqrt(n_features * np.mean(self.outward**2))

    def render(self, codes: Array) -> Array:
        """Return the images of some codes."""
        features = codes @ self.inward
        images: Array = np.tanh(np.maximum(features, 0.3 * features) @ self.outward)
        return images


class Neuron:
    """Answers images [n, 1024] with activations [n]: 1 on average for images of codes of the usual norm."""

    def __init__(self, kind: str, seed: int, generator: Generator) -> None:
        self.random = np.random.default_rng((seed, 1))
        codes = self.random.standard_normal((500, generator.n_genes), np.float32)
        codes *= generator.norm / np.linalg.norm(codes, axis=1, keepdims=True)
        self.usual_images = generator.render(codes)
        self._respond = {"V1": self._v1, "IT": self._it}[kind]()
        self.usual = float(self._respond(self.usual_images).mean())

    def respond(self, images: Array) -> Array:
        """Return the activations without noise."""
        return np.asarray(self._respond(images) / self.usual, np.float32)

    def _v1(self) -> Callable[[Array], Array]:
        """Make a complex cell, divided by the contrast of the whole image."""
        pair = quadrature(self.random.uniform(-0.5, 0.5, 2), self.random.uniform(0, np.pi), 0.25)

        def respond(images: Array) -> Array:
            energy = np.sum((images @ pair.T) ** 2, axis=1)
            return np.asarray(energy / (0.1 + np.mean(images**2, axis=1)))

        return respond

    def _it(self) -> Callable[[Array], Array]:
        """Make a cell that reads, with both signs, conjunctions of 128 normalized complex cells."""
        places = [(y, x) for y in np.linspace(-0.6, 0.6, 4) for x in np.linspace(-0.6, 0.6, 4)]
        bank = np.concatenate(
            [
                quadrature(np.array(place), angle, scale)
                for scale in (0.12, 0.25)
                for place in places
                for angle in np.arange(4) * np.pi / 4
            ]
        )
        joined = self.random.standard_normal((128, 64)) * (self.random.random((128, 64)) < 5 / 128)
        read = self.random.standard_normal(64)

        def drive(images: Array) -> Array:
            energy = np.sum((images @ bank.T).reshape(len(images), 128, 2) ** 2, axis=2)
            normalized = energy / (0.05 + energy.mean(axis=1, keepdims=True))
            return np.asarray(np.maximum(normalized @ joined - 1, 0) @ read)

        drives = drive(self.usual_images)
        mean, deviation = drives.mean(), drives.std()
        return lambda images: np.logaddexp(0, 1.5 * (drive(images) - mean) / deviation - 1.5)


@dataclass(frozen=True)
class Recording:
    """How activations become spike counts."""

    rate_hz: float
    """At activation 1."""
    spontaneous_hz: float
    window_s: float
    gain_variation: float = 0.2
    """Coefficient of variation from trial to trial, lognormal."""
    drift: float = 0.0
    """Standard deviation of a slow gain, which also falls by 40 % over the session."""

    def count(self, activations: Array, progress: float, slow: float, random: np.random.Generator) -> Array:
        """Return the spike counts of some presentations, at a share of the session and a slow gain in sd."""
        spread = np.sqrt(np.log1p(self.gain_variation**2))
        gain = np.exp(random.normal(-(spread**2) / 2, spread, len(activations)))
        if self.drift:
            gain *= max(0.1, 1 + self.drift * slow) * (1 - 0.4 * progress)
        rates = gain * (self.rate_hz * activations + self.spontaneous_hz)
        return np.asarray(random.poisson(rates * self.window_s), np.float32)


RECORDINGS: dict[str, Recording | None] = {
    "clean": None,
    "multi-unit": Recording(12, 4, 0.150),
    "single unit": Recording(4, 1, 0.100),
    "drift": Recording(12, 4, 0.150, drift=0.25),
}


def gabors(random: np.random.Generator, n: int) -> Array:
    """Return smooth patches [n, SIDE_PX, SIDE_PX] of random place, size, orientation and phase."""
    y, x = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
    angle, phase = random.uniform(0, 2 * np.pi, (2, n, 1, 1))
    place_y, place_x = random.uniform(-1, 1, (2, n, 1, 1))
    size = random.uniform(0.1, 0.4, (n, 1, 1))
    along = (x - place_x) * np.cos(angle) + (y - place_y) * np.sin(angle)
    envelope = np.exp(-((x - place_x) ** 2 + (y - place_y) ** 2) / (2 * size**2))
    return np.asarray(envelope * np.cos(along * 2 / size + phase), np.float32)


def quadrature(place: NDArray[np.float64], angle: float, size: float) -> Array:
    """Return an even and an odd filter [2, 1024] of unit length."""
    y, x = np.mgrid[-1 : 1 : SIDE_PX * 1j, -1 : 1 : SIDE_PX * 1j]
    along = (x - place[1]) * np.cos(angle) + (y - place[0]) * np.sin(angle)
    envelope = np.exp(-((x - place[1]) ** 2 + (y - place[0]) ** 2) / (2 * size**2))
    pair = np.stack([envelope * np.cos(along * 2 / size), envelope * np.sin(along * 2 / size)]).reshape(2, -1)
    return np.asarray(pair / np.linalg.norm(pair, axis=1, keepdims=True), np.float32)
