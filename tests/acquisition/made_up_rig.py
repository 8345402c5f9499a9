"""A made-up rig: a display and a recording on two clocks, with everything that goes wrong on one."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from adapters.counter import Counted
from adapters.events import Event
from adapters.peers.block import Script
from adapters.rules import Rules
from adapters.segment import Segment
from protocol.messages import Onsets

RESPONSE_S, BASELINE_S = (0.05, 0.2), (-0.05, 0.0)
PULSE_S = 0.05
REPORT_S = 0.15
"""From the last onset of a trial to its report."""


@dataclass(frozen=True)
class Faults:
    """How often what goes wrong, as shares unless said otherwise."""

    missing: float = 0.0
    """Onsets without an edge."""
    double: float = 0.0
    """Onsets with a second edge 1.5 to 6 ms later."""
    spurious_hz: float = 0.0
    """Edges that are no onset."""
    void: float = 0.0
    """Showings that are not asked about, though they made an edge."""
    drift: float = 30e-6
    jitter_s: float = 1e-4
    display_jump: int = 0
    """Number of the trial at which the display's clock begins anew; 0 = none."""
    jump_s: float = -5_000.123


@dataclass
class Rig:
    """Trials as the display reports them, and the recording that was made of them."""

    seed: int = 1
    n_trials: int = 20
    images_per_trial: int = 5
    interval_s: float = 0.2
    rate: Fraction = Fraction(30_000)
    n_channels: int = 3
    spike_hz: float = 40.0
    faults: Faults = field(default_factory=Faults)
    first_tick: int = 5_000
    word_bits: int = 0
    """Width of the words sent with each onset; 0 = none."""
    pause_s: tuple[float, float] = (0.6, 1.1)
    """The least and the most that is between two trials."""
    block: int = 0
    """So many ticks has a block; onsets are where one begins, a tick before it and a tick behind. 0 = anywhere."""

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)
        pauses_s = self.random.uniform(*self.pause_s, self.n_trials)
        starts_s = 1 + np.cumsum(self.images_per_trial * self.interval_s + pauses_s)
        shown_s = (starts_s[:, None] + np.arange(self.images_per_trial) * self.interval_s).ravel()
        if self.block:
            begins = np.round(shown_s * float(self.rate) / self.block) * self.block
            shown_s = (begins + np.arange(len(begins)) % 3 - 1) / float(self.rate)
        self.ids = 10_000_000 + 100 * np.arange(len(shown_s))
        self.end_tick = self.first_tick + int(self._ticks(shown_s[-1:] + 1.5)[0])
        self.true_ticks = self.first_tick + self._ticks(shown_s)
        self.onsets_s = self._on_display(shown_s)
        self.trials = [self._trial(n) for n in range(self.n_trials)]
        self.script = Script(*self._spikes(), self._edges(), self._words())

    @property
    def report_ticks(self) -> NDArray[np.int64]:
        """[n_trials] when each trial's report arrives."""
        last = self.true_ticks[self.images_per_trial - 1 :: self.images_per_trial]
        return last + ceil(REPORT_S * self.rate)

    def _ticks(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.round(seconds * float(self.rate)).astype(np.int64)

    def _on_display(self, shown_s: NDArray[np.float64]) -> NDArray[np.float64]:
        clock_s = 7_777.0 + shown_s * (1 + self.faults.drift)
        jump = self.faults.display_jump * self.images_per_trial
        clock_s[jump:] += self.faults.jump_s if jump else 0.0
        return clock_s + self.random.normal(0, self.faults.jitter_s, len(shown_s))

    def _trial(self, number: int) -> Onsets:
        rows = np.arange(number * self.images_per_trial, (number + 1) * self.images_per_trial)
        rows = rows[self.random.random(len(rows)) >= self.faults.void]
        return Onsets(number, self.ids[rows], np.zeros(len(rows), np.int64), self.onsets_s[rows])

    def _spikes(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        span = self.end_tick - self.first_tick
        n = self.random.poisson(span / float(self.rate) * self.spike_hz * self.n_channels)
        both = np.unique(self.random.integers(0, span * self.n_channels, n))
        ticks, columns = np.divmod(both, self.n_channels)
        return ticks + self.first_tick, columns.astype(np.int32)

    def _edges(self) -> NDArray[np.int64]:
        faults, random, ticks = self.faults, self.random, self.true_ticks
        seen = ticks[random.random(len(ticks)) >= faults.missing]
        again = ticks[random.random(len(ticks)) < faults.double]
        again = again + self._ticks(random.uniform(0.0015, 0.006, len(again)))
        n_spurious = random.poisson(faults.spurious_hz * (self.end_tick - self.first_tick) / float(self.rate))
        spurious = random.integers(self.first_tick, self.end_tick, n_spurious)
        up = np.concatenate([seen, again, spurious])
        down = seen + ceil(PULSE_S * self.rate)
        edges = np.zeros((len(up) + len(down), 3), np.int64)
        edges[:, 0] = np.concatenate([up, down])
        edges[: len(up), 2] = 1
        return edges[np.argsort(edges[:, 0], kind="stable")]

    def _words(self) -> NDArray[np.int64]:
        if not self.word_bits:
            return np.zeros((0, 2), np.int64)
        rules = Rules(word_bits=self.word_bits)
        return np.array([(t, rules.code(p)) for t, p in zip(self.true_ticks.tolist(), self.ids.tolist(), strict=True)])

    def truth(self, window_s: tuple[float, float]) -> NDArray[np.int64]:
        """Return [n_presentations, n_channels] the spikes at start_s <= t - onset < end_s."""
        start, end = (ceil(Fraction(str(time_s)) * self.rate) for time_s in window_s)
        counts = np.zeros((len(self.ids), self.n_channels), np.int64)
        for channel in range(self.n_channels):
            ticks = self.script.ticks[self.script.columns == channel]
            counts[:, channel] = np.searchsorted(ticks, self.true_ticks + end) - np.searchsorted(
                ticks, self.true_ticks + start
            )
        return counts


def played(rig: Rig, segment: Segment, stream: Iterator[tuple[int, list[Event]]]) -> Iterator[Counted]:
    """Yield what a segment says to a stream of (tick of its arrival, events), with reports as they come in time."""
    reports = rig.report_ticks
    reported = 0
    for tick, events in stream:
        now_s = tick / float(rig.rate)
        for event in events:
            segment.take(event, now_s)
        while reported < rig.n_trials and reports[reported] <= tick:
            segment.request(rig.trials[reported], reports[reported] / float(rig.rate))
            reported += 1
        yield from segment.counted(now_s)


def judged(rig: Rig, counted: list[Counted]) -> tuple[int, int, int]:
    """Return how many were measured rightly, measured wrongly, and not measured."""
    response, baseline = rig.truth(RESPONSE_S), rig.truth(BASELINE_S)
    rows = np.searchsorted(rig.ids, [each.presentation_id for each in counted])
    right = wrong = 0
    for row, each in zip(rows.tolist(), counted, strict=True):
        if not each.reason:
            same = np.array_equal(response[row], each.spike_counts) and np.array_equal(
                baseline[row], each.baseline_counts
            )
            right, wrong = right + same, wrong + (not same)
    return right, wrong, len(counted) - right - wrong
