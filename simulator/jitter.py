"""How far onsets stray from where the display says: a screen that is sometimes late, a photodiode that is noisy."""

from dataclasses import dataclass

import numpy as np

from adapters.rules import MS_PER_S, Rules

TOLERANCE_S = Rules().tolerance_ms / MS_PER_S
"""An onset farther from its place is not recognized: the adapters' own limit."""
WIDEST_SDS = 4.0


@dataclass(frozen=True, slots=True)
class Jitter:
    """Normal, cut off at four standard deviations; the same for the same seed and showing, another at each attempt."""

    sd_s: float = 0.0
    seed: int = 0

    @property
    def widest_s(self) -> float:
        """The farthest that there is."""
        return WIDEST_SDS * self.sd_s

    def of(self, presentation: int) -> float:
        """Return by how many seconds a showing is late, or below 0 early."""
        if not self.sd_s:
            return 0.0
        sds = np.random.default_rng((self.seed, 7, presentation)).standard_normal()
        return self.sd_s * float(np.clip(sds, -WIDEST_SDS, WIDEST_SDS))

    def is_astray(self, presentation: int) -> bool:
        """Return whether no adapter would recognize the onset of a showing."""
        return abs(self.of(presentation)) > TOLERANCE_S
