"""How near a population comes to a pattern it is to reach: cosine, correlation, dot product or squared error.

Rates and target are z-scored alike, by means and standard deviations measured before (Wang and Ponce's population
control: objectives "cosine", "corr", "dot" and "MSE" over masks of V1, V4 and IT):

    x = (rate - mean) / sd,  t = (target - mean) / sd,  on the channels that the mask keeps
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids, Scores
from server.ledger import Measurements
from server.scoring.rates import Rates, ScorerError

Pattern = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TargetScorer(Rates):
    """Likeness of the population's response to a target. Unit: none, -1 to 1 (cosine, correlation), else that of z²."""

    target: Sequence[float] = ()
    """[n_channels] rates in Hz to reach, in the order of the channels."""
    means: Sequence[float] = ()
    """[n_channels] Hz, taken off both; none given = 0."""
    sds: Sequence[float] = ()
    """[n_channels] Hz, both are divided by; none given = 1."""
    mask: Sequence[bool] = ()
    """[n_channels] which of them count; none given = all."""
    measure: str = "cosine"
    """"cosine", "correlation", "dot" or "mse"."""
    file: str = ""
    """Where the lists are from, for the record: `server.target_file` reads it."""
    file_sha256: str = ""
    """Of that file."""

    def __post_init__(self) -> None:
        """Raise ScorerError for lists that do not fit together."""
        Rates.__post_init__(self)
        if self.measure not in MEASURES:
            raise ScorerError(f"measure must be one of {', '.join(MEASURES)}, got {self.measure!r}.")
        if not self.target or (self.channels and len(self.target) != len(self.channels)):
            raise ScorerError(f"target must have a rate for each of {len(self.channels)} channels: {self.channels}.")
        for name, given in (("means", self.means), ("sds", self.sds), ("mask", self.mask)):
            if given and len(given) != len(self.target):
                raise ScorerError(f"{name} has {len(given)} values, target {len(self.target)}.")
        if not all(sd > 0 for sd in self.sds):
            raise ScorerError("sds must all be above 0; leave a channel out with mask instead.")
        if self.mask and not any(self.mask):
            raise ScorerError("mask keeps no channel.")
        if self.weights:
            raise ScorerError('a target takes no weights: leave combine = "mean", and choose channels with mask.')

    def score(self, measurements: Measurements, stimulus_ids: Ids) -> Scores:
        """Return [n_images] likeness to the target, NaN where an image was never measured."""
        rates_hz = self.rates_hz(measurements, stimulus_ids, self.channels)
        if rates_hz.shape[1] != len(self.target):
            raise ScorerError(f"target has {len(self.target)} rates for {rates_hz.shape[1]} recorded channels.")
        responses, target = self._standardised(rates_hz), self._standardised(np.array([self.target], np.float64))[0]
        likeness: Callable[[Pattern, Pattern], Scores] = MEASURES[self.measure]
        return self.signed(likeness(responses, target))

    def _standardised(self, rates_hz: Pattern) -> Pattern:
        means, sds = (np.array(given or default, np.float64) for given, default in ((self.means, 0), (self.sds, 1)))
        kept = np.array(self.mask or [True] * len(self.target), np.bool_)
        return np.asarray(((rates_hz - means) / sds)[:, kept])


def _cosine(responses: Pattern, target: Pattern) -> Scores:
    """x.t / (|x| |t|); a response of no length points nowhere, and has 0."""
    lengths = np.sqrt(_dot(responses * responses, np.ones(len(target)))) * np.sqrt((target * target).sum())
    products = _dot(responses, target)
    return np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1), products * 0)


def _correlation(responses: Pattern, target: Pattern) -> Scores:
    """Pearson's: the cosine of what is left when each has its own mean taken off."""
    return _cosine(responses - responses.mean(axis=1, keepdims=True), target - target.mean())


def _dot(responses: Pattern, target: Pattern) -> Scores:
    """Sum of x t."""
    return np.asarray((responses * target).sum(axis=1))


def _mse(responses: Pattern, target: Pattern) -> Scores:
    """Minus the mean of (x - t)², so that larger is nearer."""
    return np.asarray(-((responses - target) ** 2).mean(axis=1))


MEASURES: dict[str, Callable[[Pattern, Pattern], Scores]] = {
    "cosine": _cosine,
    "correlation": _correlation,
    "dot": _dot,
    "mse": _mse,
}
