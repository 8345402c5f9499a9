"""How much each channel fires, second by second of the recording: which are silent, which fire as no neuron does."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from adapters.events import Spikes

SILENT_S = 60
"""No spike for so long, and a channel is taken for dead;"""
ALIVE_SPIKES = 3
"""so many within that time, and it is not."""
HOT_S = 10
HOT_HZ, COOL_HZ = 500.0, 400.0
"""No neuron, and no handful of them, keeps the first up; below the second it is over."""
N_SECONDS = SILENT_S + 4
MAX_NAMED = 12


class Activity:
    """Counts spikes in whole seconds of one stretch of a recording's clock."""

    def __init__(self, first_tick: int, ticks_per_s: Fraction, n_channels: int) -> None:
        self._first_tick, self._rate = first_tick, float(ticks_per_s)
        self._counts = np.zeros((N_SECONDS, n_channels), np.int64)
        self._second = np.full(N_SECONDS, -1, np.int64)
        """Which second each row is of."""
        self._incoming: list[Spikes] = []
        self._looked = 0
        self.silent = np.zeros(n_channels, np.bool_)
        """[n_channels]"""
        self.hot = np.zeros(n_channels, np.bool_)
        """[n_channels]"""

    def add(self, spikes: Spikes) -> None:
        """Take spikes, in any order."""
        self._incoming.append(spikes)

    def advance(self, watermark: int) -> None:
        """Look at the channels again, if another second has passed in the recording."""
        now = int((watermark - self._first_tick) / self._rate)
        if now == self._looked:
            return
        self._looked = now
        self._sort_in()
        if now >= SILENT_S:
            n_spikes = self._sum(now - SILENT_S, now)
            self.silent = np.where(self.silent, n_spikes < ALIVE_SPIKES, n_spikes == 0)
        if now >= HOT_S:
            rate_hz = self._sum(now - HOT_S, now) / HOT_S
            self.hot = np.where(self.hot, rate_hz > COOL_HZ, rate_hz > HOT_HZ)

    def _sort_in(self) -> None:
        if not self._incoming:
            return
        ticks = np.concatenate([each.ticks for each in self._incoming])
        columns = np.concatenate([each.columns for each in self._incoming])
        self._incoming.clear()
        seconds = np.floor((ticks - self._first_tick) / self._rate).astype(np.int64)
        for second in np.unique(seconds[seconds >= 0]).tolist():
            row = second % N_SECONDS
            if self._second[row] < second:
                self._second[row], self._counts[row] = second, 0
            if self._second[row] == second:
                self._counts[row] += np.bincount(columns[seconds == second], minlength=self._counts.shape[1])

    def _sum(self, start: int, end: int) -> NDArray[np.int64]:
        """Return [n_channels] the spikes in the seconds from start up to, and without, end."""
        rows = (self._second >= start) & (self._second < end)
        return np.asarray(self._counts[rows].sum(axis=0))
