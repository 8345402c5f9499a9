"""How activations become scores: as they are, or as counts of few spikes, on a steady rig or a drifting one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
SPONTANEOUS = 0.1
"""Spikes without a stimulus, as a share of those by the best reference picture."""
GAIN_VARIATION = 0.2
"""Coefficient of variation of the gain from trial to trial, lognormal."""


@dataclass(frozen=True)
class Condition:
    """What a recording is like."""

    title: str
    spikes: float | None = None
    """Expected at the best of the reference pictures; None is the activation itself."""
    drift: float = 0.0
    """Standard deviation of a slow gain (AR(1), 0.8 a generation), which also falls by 40 % over the session."""
    lost: float = 0.0
    """Share of the presentations that are not measured."""


CONDITIONS = {
    "clean": Condition("no noise"),
    "20 spikes": Condition("20 spikes at the best reference", 20),
    "2 spikes": Condition("2 spikes at the best reference", 2),
    "drift": Condition("20 spikes, drift, 20 % lost", 20, drift=0.25, lost=0.2),
}
NOISY = [name for name, condition in CONDITIONS.items() if condition.spikes]


class Recording:
    """One session's noise: what happens in it depends on its seed alone, and on what is shown."""

    def __init__(self, condition: Condition, seed: tuple[int, ...]) -> None:
        self.condition, self.random, self.slow = condition, np.random.default_rng(seed), 0.0

    def scores(self, activations: Values, progress: float) -> Values:
        """Return the scores of a generation [n]: NaN is lost; `progress` is the session's, 0 to 1."""
        condition, random = self.condition, self.random
        self.slow = 0.8 * self.slow + 0.6 * random.normal()
        if condition.spikes is None:
            return activations
        spread = np.sqrt(np.log1p(GAIN_VARIATION**2))
        gain = np.exp(random.normal(-(spread**2) / 2, spread, len(activations)))
        if condition.drift:
            gain *= max(0.1, 1 + condition.drift * self.slow) * (1 - 0.4 * progress)
        counts = random.poisson(gain * condition.spikes * (activations + SPONTANEOUS)).astype(np.float64)
        lost = random.random(len(counts)) < condition.lost
        return np.where(lost, np.nan, counts)
