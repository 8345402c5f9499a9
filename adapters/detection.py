"""Spikes out of voltage, for systems that give none: band-pass, a threshold in units of the noise, a lock-out.

The same samples give the same spikes whatever pieces they come in. The threshold is taken once, from the first seconds,
and then stays: one that moved would change what an evolution climbs.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.history import Columns, Ticks
from adapters.source import SourceError

Samples = NDArray[Any]
"""[n_samples, n_channels]"""
BAND_HZ = (300.0, 6000.0)
HIGHEST_SHARE = 0.45
"""Of the sample rate: no filter goes further up."""
ORDER = 2
NOISE_PER_MEDIAN = 0.6745
"""Median of |x| over the standard deviation, for noise (Quiroga 2004): spikes hardly move the median."""


@dataclass(frozen=True, slots=True)
class DetectionRules:
    """What counts as a spike."""

    k: float = 4.5
    """Threshold, in standard deviations of the noise."""
    lockout_s: float = 0.002
    """After a spike; with less than 2 ms the filter's own ringing is counted again."""
    calibration_s: float = 2.0


class SpikeDetector:
    """Finds falling crossings of -k times the noise, channel by channel."""

    def __init__(self, ticks_per_s: Fraction, n_channels: int, rules: DetectionRules | None = None) -> None:
        self.rules = rules or DetectionRules()
        rate_hz = float(ticks_per_s)
        self.threshold: NDArray[np.float64] | None = None
        """[n_channels] in the samples' unit, below zero; None until enough was seen."""
        self.n_after_calibration = 0
        """How many samples of the piece that ended the calibration came after it."""
        self._sos = _band_pass(rate_hz)
        self._state: NDArray[np.float64] | None = None
        self._lockout = round(self.rules.lockout_s * rate_hz)
        self._n_wanted = round(self.rules.calibration_s * rate_hz)
        self._seen: list[NDArray[np.float64]] = []
        self._n_seen = 0
        self._before = np.zeros(n_channels)
        self._locked_until = np.full(n_channels, np.iinfo(np.int64).min)

    def detect(self, samples: Samples, first_tick: int) -> tuple[Ticks, Columns]:
        """Return the spikes in samples that follow the last ones; none while the noise is being measured."""
        voltage = self._filtered(np.asarray(samples, np.float64))
        if self.threshold is None:
            n_rest = self._calibrate(voltage)
            self.n_after_calibration = n_rest
            first_tick, voltage = first_tick + len(voltage) - n_rest, voltage[len(voltage) - n_rest :]
        if self.threshold is None or not len(voltage):
            return np.zeros(0, np.int64), np.zeros(0, np.int32)
        below = voltage < self.threshold
        was_below = np.concatenate([self._before[None] < self.threshold, below[:-1]])
        self._before = voltage[-1]
        rows, columns = np.nonzero(below & ~was_below)
        free = self._unlocked(rows + first_tick, columns)
        return rows[free] + first_tick, columns[free].astype(np.int32)

    def _filtered(self, samples: NDArray[np.float64]) -> NDArray[np.float64]:
        from scipy.signal import sosfilt, sosfilt_zi

        if not len(samples):
            return samples
        if self._state is None:
            self._state = sosfilt_zi(self._sos)[:, :, None] * samples[0]
        filtered, self._state = sosfilt(self._sos, samples, axis=0, zi=self._state)
        return np.asarray(filtered)

    def _calibrate(self, voltage: NDArray[np.float64]) -> int:
        """Collect until there is enough, then set the threshold; return how many samples were not needed."""
        n_used = min(len(voltage), self._n_wanted - self._n_seen)
        self._seen.append(voltage[:n_used])
        self._n_seen += n_used
        if self._n_seen < self._n_wanted:
            return 0
        collected = np.concatenate(self._seen)
        self.threshold = -self.rules.k * np.median(np.abs(collected), axis=0) / NOISE_PER_MEDIAN
        self._before = collected[-1]
        self._seen.clear()
        return len(voltage) - n_used

    def _unlocked(self, ticks: Ticks, columns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return [n] which crossings come late enough after the last spike of their channel."""
        free = np.zeros(len(ticks), np.bool_)
        for place, (tick, column) in enumerate(zip(ticks.tolist(), columns.tolist(), strict=True)):
            if tick >= self._locked_until[column]:
                free[place] = True
                self._locked_until[column] = tick + self._lockout
        return free


def _band_pass(rate_hz: float) -> NDArray[np.float64]:
    try:
        from scipy.signal import butter
    except ImportError as error:
        raise SourceError("finding spikes in voltages needs SciPy: pip install 'xdream[adapters]'") from error
    band_hz = (BAND_HZ[0], min(BAND_HZ[1], HIGHEST_SHARE * rate_hz))
    return np.asarray(butter(ORDER, band_hz, "bandpass", output="sos", fs=rate_hz))
