"""From activations to spike counts: scaled so that the best reference image draws a given number of spikes."""

import numpy as np
from numpy.typing import NDArray

from simulator.streams import Streams

MAX_EXPECTED = 1e9
"""More spikes than this fit in no int32, nor in any neuron."""


class Gain:
    """How many spikes an activation is worth, for each unit.

    A unit's best reference image is worth `spikes_at_best_reference`. Where there are no reference images, or none
    excites the unit, the best of some images of random colours stands in for it, and where they do not either, an
    activation of 1. All of these are the same whatever was shown, so that a lost message changes no count.

    No spikes are expected of an activation of 0; or, if asked for, of the worst reference image's: the zero of a
    classifier's logits means nothing, since the softmax after it does not see it.
    """

    def __init__(self, spikes_at_best_reference: float, n_units: int, zero_at_worst_reference: bool = False) -> None:
        self.spikes = spikes_at_best_reference
        self.zero_at_worst_reference = zero_at_worst_reference
        self.worst_reference = np.full(n_units, np.inf)
        self.best_reference = np.full(n_units, -np.inf)
        self.best_random: NDArray[np.float64] | None = None

    @property
    def needs_random(self) -> bool:
        """Whether some unit was excited by no reference image, and nothing is known to stand in for it."""
        return self.best_random is None and not (self.best_reference > self._zero()).all()

    def learn_references(self, activations: NDArray[np.float64]) -> None:
        """Take in [n_images, n_units] activations by reference images."""
        self.best_reference = np.fmax(self.best_reference, np.fmax.reduce(activations, initial=-np.inf))
        self.worst_reference = np.fmin(self.worst_reference, np.fmin.reduce(activations, initial=np.inf))

    def learn_random(self, activations: NDArray[np.float64]) -> None:
        """Take in [n_images, n_units] activations by images of random colours."""
        self.best_random = np.fmax.reduce(activations)

    def expected(self, activations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spikes to expect, [n, n_units]; NaN stays NaN."""
        zero = self._zero()
        stand_in = zero + 1.0 if self.best_random is None else self.best_random
        stand_in = np.where(stand_in > zero, stand_in, zero + 1.0)
        best = np.where(self.best_reference > zero, self.best_reference, stand_in)
        return np.minimum(np.maximum(activations - zero, 0) * (self.spikes / (best - zero)), MAX_EXPECTED)

    def _zero(self) -> NDArray[np.float64]:
        """Return the activation that is worth no spikes, [n_units]."""
        known = self.zero_at_worst_reference & np.isfinite(self.worst_reference)
        return np.where(known, self.worst_reference, 0.0)


def random_colours(n_images: int, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """Return images of large and small patches of random colours, the same ones every time."""
    random = np.random.default_rng(0)
    images = np.empty((n_images, height_px, width_px, 3), np.uint8)
    for place, image in enumerate(images):
        n_patches = 2 << (place % 4)
        patches = random.integers(0, 256, (n_patches, n_patches, 3), np.uint8)
        rows, columns = (np.arange(n) * n_patches // n for n in (height_px, width_px))
        image[:] = patches[rows[:, None], columns]
    return images


class Poisson:
    """Counts drawn at random, from a stream of its own for each unit and slot.

    The draw depends on the seed, the unit's name and the slot alone: a showing that is repeated draws the same noise,
    and neither order nor time nor the other units matter. Philox is made for this: a key is a stream, at no cost.
    """

    def __init__(self, seed: int, units: tuple[str, ...]) -> None:
        self._units = units
        self._streams = Streams(seed)

    def draw(self, presentation: int, *expected: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return [n, n_units] counts for [n_units] values each."""
        counts = np.empty((len(expected), len(self._units)), np.int32)
        for column, unit in enumerate(self._units):
            random = self._streams.showing(unit, presentation)
            for row, means in enumerate(expected):
                counts[row, column] = random.poisson(means[column])
        return counts

    def place(self, presentation: int, column: int, n_spikes: int) -> NDArray[np.float64]:
        """Return where in a window a unit's spikes lie, from 0 to 1; from a stream of its own."""
        return self._streams.showing(f"{self._units[column]}, in time", presentation).random(n_spikes)


class Exact:
    """Counts as expected, rounded to whole spikes."""

    def draw(self, presentation: int, *expected: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return [n, n_units] counts for [n_units] values each."""
        return np.rint(np.stack(expected)).astype(np.int32)

    def place(self, presentation: int, column: int, n_spikes: int) -> NDArray[np.float64]:
        """Return places evenly spaced in a window, from 0 to 1."""
        return (np.arange(n_spikes) + 0.5) / max(1, n_spikes)
