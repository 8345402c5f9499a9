"""Spike counts become scores: rate minus baseline, channels combined, repeats averaged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids, Scores
from server.ledger import Measurements


class Scorer(Protocol):
    """Turns what was measured in a generation into one number an image; it knows no codes and no pictures."""

    def score(self, measurements: Measurements, stimulus_ids: Ids) -> Scores:
        """Return [n_images] scores, larger is better, NaN where an image was never measured."""
        ...


@dataclass(frozen=True, slots=True)
class RateScorer:
    """Mean rate of the chosen channels in the response window, in Hz, less the baseline that is asked for."""

    channels: Sequence[str]
    """Which channels are scored; none named = all."""
    weights: Sequence[float]
    """One a scored channel, normalised to sum 1; none given = all the same."""
    response_s: float
    baseline_s: float
    baseline: str = "none"
    """"none", "trial" (of the same showing) or "generation" (mean of all showings)."""

    def score(self, measurements: Measurements, stimulus_ids: Ids) -> Scores:
        """Return [n_images] rates in Hz, NaN where an image was never measured."""
        rates_hz = self._rates_hz(measurements)
        scores = np.full(len(stimulus_ids), np.nan)
        for place, stimulus in enumerate(stimulus_ids):
            mine = rates_hz[measurements.stimulus_ids == stimulus]
            if len(mine):
                scores[place] = mine.mean()
        return scores

    def _rates_hz(self, measurements: Measurements) -> NDArray[np.float64]:
        """Return [n_measured] rates: sum over channels of weight x (response - baseline)."""
        columns = [measurements.channels.index(name) for name in self.channels or measurements.channels]
        rates = measurements.spike_counts[:, columns] / self.response_s
        if self.baseline != "none" and len(rates):
            spontaneous = measurements.baseline_counts[:, columns] / self.baseline_s
            rates = rates - (spontaneous if self.baseline == "trial" else spontaneous.mean(axis=0))
        weights = np.asarray(self.weights or [1.0] * len(columns))
        return np.asarray(rates @ (weights / weights.sum()))
