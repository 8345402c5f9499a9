"""Two wishes at once: stretch one set of channels, squeeze another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids
from server.ledger import Measurements
from server.scoring.rates import Rates, ScorerError, weighted


@dataclass(frozen=True, slots=True)
class Stretch(Rates):
    """Rates of the channels to stretch and of those to squeeze."""

    squeeze: Sequence[str] = ()
    """Channels to keep low. `channels` are those to drive; none named = all others."""

    def __post_init__(self) -> None:
        """Raise ScorerError where nothing is squeezed, or something is squeezed and stretched."""
        Rates.__post_init__(self)
        if not self.squeeze or isinstance(self.squeeze, str):
            raise ScorerError('squeeze must name the channels to keep low, such as ["12", "13"].')
        both = sorted(set(self.squeeze) & set(self.channels))
        if both:
            raise ScorerError(f"channel {both[0]!r} cannot be both driven (channels) and kept low (squeeze).")

    def wishes_hz(self, measurements: Measurements, stimulus_ids: Ids) -> NDArray[np.float64]:
        """Return [n_images, 2] the mean rate to stretch and the mean rate to squeeze."""
        others = [name for name in measurements.channels if name not in self.squeeze]
        if not others:
            raise ScorerError("squeeze names every recorded channel, so that none is left to drive.")
        driven = weighted(self.rates_hz(measurements, stimulus_ids, self.channels or others), self.weights)
        kept_low = weighted(self.rates_hz(measurements, stimulus_ids, self.squeeze), ())
        return np.stack([driven, kept_low], axis=1)
