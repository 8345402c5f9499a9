"""Which image is shown when: every image once in each block, in an order that a resumed session repeats."""

from dataclasses import dataclass

import numpy as np

from protocol.arrays import Ids


@dataclass(frozen=True, slots=True)
class Schedule:
    """The order of showings, fixed by seed, evolution and generation alone."""

    seed: int
    evolution: int
    repeats: int = 1
    """How often each image must be measured in a generation."""

    def slots(self, generation: int, n_images: int) -> Ids:
        """Return [repeats * n_images] image indices: each block holds every image once, shuffled."""
        random = np.random.default_rng((self.seed, self.evolution, generation))
        return np.concatenate([random.permutation(n_images) for _ in range(self.repeats)]).astype(np.int64)
