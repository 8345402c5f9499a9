"""Stretch and squeeze as one sum: the rate to drive less the rate to keep low."""

from dataclasses import dataclass

from protocol.arrays import Ids, Scores
from server.ledger import Measurements
from server.scoring.rates import ScorerError
from server.scoring.stretch import Stretch


@dataclass(frozen=True, slots=True)
class DifferenceScorer(Stretch):
    """Mean rate of the channels to drive, less `penalty` times that of the channels to keep low. Unit: Hz."""

    penalty: float = 1.0
    """How many Hz of driving one Hz of the squeezed channels costs."""

    def __post_init__(self) -> None:
        """Raise ScorerError for a penalty that rewards."""
        Stretch.__post_init__(self)
        if not self.penalty >= 0:
            raise ScorerError(f"penalty must be at least 0, got {self.penalty:g}.")

    def score(self, measurements: Measurements, stimulus_ids: Ids) -> Scores:
        """Return [n_images] differences in Hz, NaN where an image was never measured."""
        wishes_hz = self.wishes_hz(measurements, stimulus_ids)
        return self.signed(wishes_hz[:, 0] - self.penalty * wishes_hz[:, 1])
