"""How strongly an image drives the chosen channels: what XDream maximises."""

from dataclasses import dataclass

from protocol.arrays import Ids, Scores
from server.ledger import Measurements
from server.scoring.rates import Rates, weighted


@dataclass(frozen=True, slots=True)
class RateScorer(Rates):
    """Mean or weighted mean of the chosen channels' rates, less the baseline that is asked for. Unit: Hz."""

    def score(self, measurements: Measurements, stimulus_ids: Ids) -> Scores:
        """Return [n_images] rates in Hz, NaN where an image was never measured."""
        return self.signed(weighted(self.rates_hz(measurements, stimulus_ids, self.channels), self.weights))
