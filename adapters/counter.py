"""Spikes per presentation, counted once the stream has provably passed the window's end; never from missing data."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from adapters.events import Gap, Spikes
from adapters.history import Columns, SpikeHistory, Ticks
from adapters.windows import Window

MAX_SPIKES = 4_000_000
"""Two minutes of 384 channels at 80 Hz, 48 MB: more are dropped, and said to be."""
MAX_GAPS = 1000
VETO_SHARE = 0.4
VETO_CHANNELS = 8
"""A coincidence on 40 % of the channels, and at least 8, is no neuron: a valve, a bite, a touch of the cage."""


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What was found for one presentation."""

    presentation_id: int
    onset_source: str
    reason: str = ""
    """Why it was not measured; empty = it was."""
    spike_counts: NDArray[np.int32] | None = None
    """[n_channels]"""
    baseline_counts: NDArray[np.int32] | None = None
    """[n_channels]"""
    ticks: Ticks = field(default_factory=lambda: np.zeros(0, np.int64))
    """[n_spikes] relative to the onset, in both windows and between them."""
    columns: Columns = field(default_factory=lambda: np.zeros(0, np.int32))
    """[n_spikes]"""


class Counter:
    """Counts for one stretch of a recording's clock. Events go in, presentations come out, each once."""

    def __init__(
        self, first_tick: int, n_channels: int, response: Window, baseline: Window, keep: int, coincidence: int = 0
    ) -> None:
        self.late = 0
        """Spikes that came after the watermark had passed them: if it grows, the watermark's rule is wrong."""
        self.vetoed = 0
        self.lost = 0
        self.watermark = first_tick
        self._n_channels, self._response, self._baseline = n_channels, response, baseline
        self._keep, self._coincidence = keep, coincidence
        self._whole_from = first_tick
        self._history = SpikeHistory()
        self._incoming: list[Spikes] = []
        self._gaps: list[Gap] = []
        self._asked: dict[int, tuple[int, str]] = {}

    def use(self, response: Window, baseline: Window) -> None:
        """Count in these windows from now on, and drop what was asked for."""
        self._response, self._baseline = response, baseline
        self._asked.clear()

    def add(self, spikes: Spikes) -> None:
        """Take spikes; one before the watermark that was not known makes its time doubtful."""
        if len(spikes.ticks) and spikes.ticks.min() < self.watermark:
            self._flush()
            for tick, column in zip(spikes.ticks.tolist(), spikes.columns.tolist(), strict=True):
                if self._whole_from <= tick < self.watermark and not self._history.holds(tick, column):
                    self.late += 1
                    self.mark(Gap(tick, tick + 1, "a spike that came too late"))
        self._incoming.append(spikes)

    def mark(self, gap: Gap) -> None:
        """Take note that something is missing."""
        self.lost += gap.lost
        self._gaps.append(gap)
        if len(self._gaps) > MAX_GAPS:
            first = self._gaps.pop(0)
            self._whole_from = max(self._whole_from, first.end)

    def advance(self, watermark: int) -> None:
        """Take it that all spikes before this tick have come."""
        self.watermark = max(self.watermark, watermark)

    def ask(self, presentation_id: int, onset: int, source: str) -> None:
        """Count after this onset as soon as that can be done."""
        self._asked[presentation_id] = (onset, source)

    def withdraw(self, presentation_id: int) -> bool:
        """Stop counting; return whether it was still being counted."""
        return self._asked.pop(presentation_id, None) is not None

    def release(self) -> Iterator[Counted]:
        """Yield what has become final."""
        self._flush()
        last = max(self._response.end, self._baseline.end) + self._coincidence
        for presentation, (onset, source) in list(self._asked.items()):
            if onset + last <= self.watermark:
                del self._asked[presentation]
                yield self._count(presentation, onset, source)
        self._forget()

    def _count(self, presentation: int, onset: int, source: str) -> Counted:
        start = onset + min(self._response.start, self._baseline.start)
        end = onset + max(self._response.end, self._baseline.end)
        reason = self._why_not(min(start, onset) - self._coincidence, max(end, onset + 1) + self._coincidence)
        if reason:
            return Counted(presentation, source, reason)
        ticks, columns = self._spikes(start, end)
        ticks = ticks - onset
        counts = [
            np.bincount(columns[(w.start <= ticks) & (ticks < w.end)], minlength=self._n_channels).astype(np.int32)
            for w in (self._response, self._baseline)
        ]
        return Counted(presentation, source, "", counts[0], counts[1], ticks, columns.copy())

    def _spikes(self, start: int, end: int) -> tuple[Ticks, Columns]:
        """Return the spikes with start <= tick < end that are no artefact."""
        if not self._coincidence or self._n_channels < VETO_CHANNELS:
            return self._history.between(start, end)
        ticks, columns = self._history.between(start - self._coincidence, end + self._coincidence)
        kept = ~coincident(ticks, self._coincidence, max(VETO_CHANNELS, round(VETO_SHARE * self._n_channels)))
        inside = (ticks >= start) & (ticks < end)
        self.vetoed += int(np.count_nonzero(inside & ~kept))
        return ticks[kept & inside], columns[kept & inside]

    def _why_not(self, start: int, end: int) -> str:
        if start < self._whole_from:
            return "begins before the data that are kept"
        return next((f"overlaps {gap.reason}" for gap in self._gaps if gap.start < end and start < gap.end), "")

    def _flush(self) -> None:
        if self._incoming:
            ticks = np.concatenate([each.ticks for each in self._incoming])
            columns = np.concatenate([each.columns for each in self._incoming])
            self._incoming.clear()
            self._history.add(ticks, columns)

    def _forget(self) -> None:
        """Drop what is older than is kept, or too much."""
        horizon = self.watermark - self._keep
        crowded = len(self._history) > MAX_SPIKES
        if crowded:
            horizon = max(horizon, self._history.oldest(MAX_SPIKES // 2))
        if crowded or horizon > self._whole_from + self._keep // 8:
            self._whole_from = max(self._whole_from, horizon)
            self._history.drop_before(horizon)
            self._gaps = [gap for gap in self._gaps if gap.end > horizon]


def coincident(ticks: Ticks, width: int, n_needed: int) -> NDArray[np.bool_]:
    """Return [n_spikes] which of these sorted spikes lie in some stretch of this width with so many spikes."""
    first = np.arange(len(ticks))
    after = np.searchsorted(ticks, ticks + width, side="right")
    begins = np.flatnonzero(after - first >= n_needed)
    change = np.zeros(len(ticks) + 1, np.int64)
    np.add.at(change, begins, 1)
    np.add.at(change, after[begins], -1)
    return np.asarray(np.cumsum(change[:-1]) > 0)
