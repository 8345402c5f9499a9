"""What a channel fires: spike trains of a preset, or counts whose spikes are spread over the windows."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simulator.neurons import Exact, Poisson
from simulator.spiking import Spiking
from simulator.trains import Array, Trains

Window = tuple[float, float]
Counts = NDArray[np.int32]
AROUND_S = (-0.05, 0.3)
"""Spikes of presets are recorded at least from and to there, so that other windows can be tried later."""
HOT_HZ = 400.0
"""What a hot channel fires, whatever is shown."""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """What was counted, and the spikes themselves."""

    spike_counts: Counts
    """[n_showings, n_channels]"""
    baseline_counts: Counts
    """[n_showings, n_channels]"""
    trains: Trains


class Firing(Protocol):
    """Channels that fire."""

    def record(self, drive: Array, presentations: list[int], stimuli: list[int]) -> Recorded:
        """Return the answers to some showings; `drive` is [n_showings, n_channels], what `Gain.expected` says."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Where spikes count, in seconds after the onset."""

    response_s: Window = (0.05, 0.2)
    baseline_s: Window = (0.0, 0.05)

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Windows":
        """Return the windows that the server asks for."""
        default = cls()
        response = settings.get("response_window_s", default.response_s)
        baseline = settings.get("baseline_window_s", default.baseline_s)
        return cls((float(response[0]), float(response[1])), (float(baseline[0]), float(baseline[1])))

    @property
    def ends_s(self) -> Window:
        """Return the beginning and the end of both."""
        return min(self.response_s[0], self.baseline_s[0]), max(self.response_s[1], self.baseline_s[1])


class FlatFiring:
    """A rate that is flat in the response window, and a baseline: counts are drawn, then spread over the windows.

    Windows that overlap leave no way to do that, and the spikes have no times.
    """

    def __init__(
        self,
        noise: Poisson | Exact,
        windows: Windows,
        baseline_hz: float,
        dead: list[int],
        hot: list[int],
        n_channels: int,
    ) -> None:
        self._noise, self._windows = noise, windows
        self._baseline_hz = np.full(n_channels, baseline_hz)
        self._baseline_hz[hot] = HOT_HZ
        self._baseline_hz[dead] = 0.0
        self._tuned = np.ones(n_channels)
        self._tuned[[*dead, *hot]] = 0.0
        ends = sorted((windows.baseline_s, windows.response_s))
        self._apart = ends[0][1] <= ends[1][0]
        self._between_s = (ends[0][1], ends[1][0])

    def record(self, drive: Array, presentations: list[int], stimuli: list[int]) -> Recorded:
        """Return counts of these means beside the baseline's, and times for their spikes."""
        windows = (self._windows.response_s, self._windows.baseline_s)
        base = [self._baseline_hz * (end_s - start_s) for start_s, end_s in (*windows, self._between_s)]
        n_windows = 3 if self._apart and self._between_s[1] > self._between_s[0] else 2
        counts = np.zeros((n_windows, *drive.shape), np.int32)
        for row, presentation in enumerate(presentations):
            means = (drive[row] * self._tuned + base[0], *base[1:n_windows])
            counts[:, row] = self._noise.draw(presentation, *means)
        trains = self._spread(counts, presentations) if self._apart else Trains.none()
        return Recorded(counts[0], counts[1], trains)

    def _spread(self, counts: NDArray[np.int32], presentations: list[int]) -> Trains:
        rows, channels = np.nonzero(counts.sum(axis=0))
        mine = counts[:, rows, channels].T
        sizes = mine.sum(axis=1)
        showings = zip(rows.tolist(), channels.tolist(), sizes.tolist(), strict=True)
        places = [self._noise.place(presentations[row], channel, size) for row, channel, size in showings]
        windows = (self._windows.response_s, self._windows.baseline_s, self._between_s)[: len(counts)]
        edges_us = np.round(np.array(windows) * 1e6)
        start_us, end_us = np.repeat(np.tile(edges_us, (len(rows), 1)), mine.ravel(), axis=0).T
        # Whole microseconds, the end not included.
        share = np.concatenate([np.zeros(0), *places])
        times_us = np.minimum(start_us + np.floor(share * (end_us - start_us)), end_us - 1)
        return Trains(
            (times_us / 1e6).astype(np.float32),
            np.repeat(rows, sizes).astype(np.int32),
            np.repeat(channels, sizes).astype(np.int32),
        )


class PresetFiring:
    """Spike trains of a kind of neuron."""

    def __init__(self, preset: Spiking, windows: Windows, dead: list[int], hot: list[int]) -> None:
        self._spiking, self._windows = preset, windows
        self._hot = hot
        preset.scale[dead] = 0.0
        self._dead = dead

    def record(self, drive: Array, presentations: list[int], stimuli: list[int]) -> Recorded:
        """Return spikes, counted in the windows; a drive of 1 is the best reference image's."""
        spiking = self._spiking
        baseline, evoked = spiking.rates(spiking.drive(drive), presentations, stimuli)
        baseline[:, self._hot], evoked[:, self._hot] = HOT_HZ, 0.0
        trains = spiking.fire(baseline, evoked, presentations).without(self._dead)
        counts = trains.counts(self._windows.response_s, *drive.shape)
        return Recorded(counts, trains.counts(self._windows.baseline_s, *drive.shape), trains)
