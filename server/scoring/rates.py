"""Spike counts become rates: one an image and channel, the baseline taken off, repeats combined, artefacts left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids, Scores
from protocol.ids import MAX_IMAGES
from server.ledger import Measurements
from server.scoring.artefacts import artefacts
from server.scoring.repeats import AVERAGES, average_repeats

BASELINES = ("none", "trial", "generation")


class ScorerError(ValueError):
    """Something a scorer cannot do; says what, and what would do instead."""


@dataclass(frozen=True, slots=True)
class Rates:
    """How counts become rates in Hz, which is what every scorer here begins with."""

    channels: Sequence[str]
    """Which channels are scored; none named = all."""
    weights: Sequence[float]
    """One a scored channel, normalised to sum 1; none given = all the same."""
    response_s: float
    baseline_s: float
    baseline: str = "none"
    """"none", "trial" (of the same showing) or "generation" (mean of all showings)."""
    average: str = "mean"
    """How repeats are combined: "mean", "median" or "trimmed"."""
    trim: float = 0.2
    """For "trimmed": the share of an image's repeats left out at each end."""
    artefact_sd: float = 0.0
    """Leave out showings so far above the others on half of all recorded channels; 0 = keep them."""
    minimise: bool = False
    """Score the negative, so that less is better."""

    def __post_init__(self) -> None:
        """Raise ScorerError for a value that no scorer can use."""
        _one_of("baseline", self.baseline, BASELINES)
        _one_of("average", self.average, AVERAGES)
        if not 0 <= self.trim < 0.5:
            raise ScorerError(f"trim must be at least 0 and below 0.5, got {self.trim:g}.")
        if not self.artefact_sd >= 0:
            raise ScorerError(f"artefact_sd must be at least 0, got {self.artefact_sd:g}.")

    def rates_hz(
        self, measurements: Measurements, stimulus_ids: Ids, channels: Sequence[str] = ()
    ) -> NDArray[np.float64]:
        """Return [n_images, n_channels] rates; NaN where an image was never measured. No channel named = all."""
        kept = of_this_generation(measurements.stimulus_ids, stimulus_ids)
        both_windows = measurements.spike_counts[kept] + measurements.baseline_counts[kept].astype(np.int64)
        kept = kept[~artefacts(both_windows, self.artefact_sd)]
        columns = [_column(measurements.channels, name) for name in channels or measurements.channels]
        rates = np.take(measurements.spike_counts[kept], columns, axis=1) / self.response_s
        if self.baseline != "none" and len(kept):
            spontaneous = np.take(measurements.baseline_counts[kept], columns, axis=1)
            # the mean of counts, not of rates: whole numbers add up to the same sum in whatever order
            rates = rates - (spontaneous if self.baseline == "trial" else spontaneous.mean(axis=0)) / self.baseline_s
        return average_repeats(rates, measurements.stimulus_ids[kept], stimulus_ids, self.average, self.trim)

    def signed(self, scores: Scores) -> Scores:
        """Return the scores, or their negative if less is better."""
        return -scores if self.minimise else scores


def weighted(rates_hz: NDArray[np.float64], weights: Sequence[float]) -> Scores:
    """Return [n_images] weighted means over the channels; no weights = all the same.

    Not `@`: a matrix product may round differently from one machine, or one number of rows, to the next.
    """
    shares = np.asarray(weights or [1.0] * rates_hz.shape[1], np.float64)
    return np.asarray((rates_hz * (shares / shares.sum())).sum(axis=1))


def of_this_generation(rows: Ids, asked: Ids) -> Ids:
    """Return the rows that belong with these images: those of their generations, and all reference images.

    Who asks for reference images alone cannot say whose they are, and gets every row.
    """
    generations = np.unique(asked // MAX_IMAGES)
    if not generations.any():
        return np.arange(len(rows))
    return np.flatnonzero(np.isin(rows // MAX_IMAGES, [0, *generations.tolist()]))


def _column(recorded: tuple[str, ...], name: str) -> int:
    if name not in recorded:
        raise ScorerError(f"channel {name!r} is scored but not recorded. Recorded: {', '.join(recorded)}.")
    return recorded.index(name)


def _one_of(key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ScorerError(f"{key} must be one of {', '.join(known)}, got {value!r}.")
