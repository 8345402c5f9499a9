"""Which edge of the recording is which onset of the display: by identity or by time, and by nothing less.

    no clock --- onsets and edges fit in one way only ---> clock known --- 3 trials without an edge ---> no clock

While the clock is known, each onset must have just one edge where the clock and its own trial put it; an edge is used
once. What has none, or two, is not measured.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import inf, isnan

import numpy as np
from numpy.typing import NDArray

from adapters.aligning import NOTHING_SHOWN, Aligned, AlignerRules, OnsetEdge, PendingTrial, Tally
from adapters.clock import TO_DEVIATION, Clock, ClockFit, Seconds
from adapters.locking import Marks, find_shift
from protocol.messages import Onsets

LOST_AFTER = 3
"""Trials in a row without any edge: the display's clock began anew, or the cable came off."""
LOCK_WINDOW_S, SPARSE_WINDOW_S = 30.0, 90.0
"""Over half a minute no drift moves an onset by more than the tolerance; longer, where trials are few, no usual one."""
LOCK_ONSETS = 60
KEPT_TRIALS = 60
MAX_EDGES = 20_000
"""Of a line that chatters: to look through more than some minutes of onsets would take longer than a heartbeat."""
AHEAD_S = 5.0
"""A recording that is so far behind its display is not; rather, the display's clock began anew."""
INFER_WITHIN_S, INFER_SCATTER_S = 60.0, 0.002
"""How long ago the last edge may be for the clock to stand in for one, and how wide edges may scatter around it."""
MAX_UNCERTAINTY_S = 0.02
"""Past this the next onset may be meant: the clock is looked for afresh."""


@dataclass(slots=True)
class Aligner:
    """Matches onsets with edges for one stretch of the recording's clock. Times are seconds since it began."""

    ticks_per_s: float
    first_tick: int
    rules: AlignerRules
    clock: Clock = field(init=False)
    tally: Tally = field(default_factory=Tally)
    _edges: list[OnsetEdge] = field(default_factory=list)
    _trials: deque[PendingTrial] = field(default_factory=deque)
    _tried: tuple[int, int] = (0, 0)
    _kept_from_s: float = -inf
    """Before this there may have been more edges than are kept."""

    def __post_init__(self) -> None:
        self.clock = Clock(self.rules.tolerance_s)

    def fresh(self) -> "Aligner":
        """Return one that knows these edges and nothing else: another session has begun."""
        edges = [replace(edge, used=False) for edge in self._edges]
        return Aligner(self.ticks_per_s, self.first_tick, self.rules, _edges=edges, _kept_from_s=self._kept_from_s)

    def see(self, tick: int, code: int, at_s: float) -> None:
        """Take an edge or a word; one that is known already, or older than what is kept, changes nothing."""
        place = bisect_left(self._edges, (tick, code), key=lambda edge: (edge.tick, edge.code))
        known = place < len(self._edges) and (self._edges[place].tick, self._edges[place].code) == (tick, code)
        if not known:
            time_s = (tick - self.first_tick) / self.ticks_per_s
            self._edges.insert(place, OnsetEdge(tick, time_s, code, at_s))
            self.tally.edges += 1

    def request(self, onsets: Onsets, codes: NDArray[np.int64], at_s: float) -> None:
        """Look for the onsets of a trial; NaN is none."""
        self._trials.append(PendingTrial(onsets.presentation_ids, onsets.onsets_s, codes, at_s))

    def advance(self, watermark: int) -> Iterator[Aligned]:
        """Yield what has become certain, now that all edges before this tick have come."""
        until_s = (watermark - self.first_tick) / self.ticks_per_s
        if self.clock.fit is None:
            self._look_for_the_clock()
        for trial in self._trials:
            fit = self.clock.fit
            if fit is not None and not trial.decided and self._is_over(trial, fit, until_s):
                trial.decided = True
                yield from self._match(trial, fit)
                self._doubt(trial)
        self._forget(until_s)

    def _is_over(self, trial: PendingTrial, fit: ClockFit, until_s: float) -> bool:
        shown_s = trial.onsets_s[~np.isnan(trial.onsets_s)]
        if not len(shown_s):
            return True
        last_s = float(shown_s.max())
        if fit.uncertainty_s(last_s) > MAX_UNCERTAINTY_S:
            self._lose("no onset was found for so long that the clocks may have drifted apart")
            return False
        trial.seen_s = until_s if trial.seen_s is None else trial.seen_s
        over_s = float(fit.recording_s(np.array([last_s]))[0]) + fit.uncertainty_s(last_s) + self.rules.tolerance_s
        return over_s < until_s or over_s > trial.seen_s + AHEAD_S

    # -- with the clock known

    def _match(self, trial: PendingTrial, fit: ClockFit) -> Iterator[Aligned]:
        shown = ~np.isnan(trial.onsets_s)
        yield from (Aligned(p, None, "has no onset") for p in trial.presentation_ids[~shown].tolist())
        onsets_s, codes, ids = trial.onsets_s[shown], trial.codes[shown], trial.presentation_ids[shown]
        if not len(onsets_s):
            return
        expected_s = fit.recording_s(onsets_s)
        uncertainty_s = fit.uncertainty_s(float(onsets_s[-1]))
        expected_s += self._trial_shift(expected_s, codes, uncertainty_s)
        candidates = [self._around(t, c, self.clock.tolerance_s) for t, c in zip(expected_s, codes, strict=True)]
        trial.found = self._learn(onsets_s, candidates)
        for presentation, expected, edges in zip(ids.tolist(), expected_s.tolist(), candidates, strict=True):
            yield self._decide(presentation, expected, edges)

    def _trial_shift(self, expected_s: Seconds, codes: NDArray[np.int64], uncertainty_s: float) -> float:
        """Return by how much the trial as a whole is off the clock, within what the clock may be off."""
        reach_s = uncertainty_s + self.clock.tolerance_s
        off_s = [e.time_s - t for t, c in zip(expected_s, codes, strict=True) for e in self._around(t, c, reach_s)]
        return float(np.clip(np.median(off_s), -uncertainty_s, uncertainty_s)) if off_s else 0.0

    def _around(self, time_s: float, code: int, reach_s: float) -> list[OnsetEdge]:
        first = bisect_left(self._edges, time_s - reach_s, key=lambda edge: edge.time_s)
        found = []
        for edge in self._edges[first:]:
            if edge.time_s > time_s + reach_s:
                break
            if edge.code == code:
                found.append(edge)
        return found

    def _learn(self, onsets_s: Seconds, candidates: list[list[OnsetEdge]]) -> int:
        """Fit the clock to the onsets that have one edge; return how many those are."""
        sure = [row for row, edges in enumerate(candidates) if len(edges) == 1 and not edges[0].used]
        if sure:
            self.clock.learn(onsets_s[sure], np.array([candidates[row][0].time_s for row in sure]))
        return len(sure)

    def _doubt(self, trial: PendingTrial) -> None:
        """Let go of a clock that finds no edges, or that a look at all recent trials does not confirm."""
        n_shown = np.count_nonzero(~np.isnan(trial.onsets_s))
        if not n_shown:
            return
        self.tally.trials_without = 0 if trial.found else self.tally.trials_without + 1
        self.tally.trials_short = self.tally.trials_short + 1 if trial.found < n_shown else 0
        if self.tally.trials_without >= LOST_AFTER:
            self._lose("onsets and edges no longer fit: the display's clock began anew, or the edges stopped")
        elif self.tally.trials_short >= LOST_AFTER and not self._confirmed():
            self._lose("too many onsets lack an edge to be sure which is which")

    def _confirmed(self) -> bool:
        onsets, n_trials = self._recent_onsets(decided=True)
        shift_s = find_shift(onsets, self._marks(used=True), self.rules.tolerance_s, n_trials).shift_s
        expected_s = self.clock.fit.recording_s(onsets.times_s[-1:])[0] if self.clock.fit else np.inf
        self.tally.trials_short = 0
        return shift_s is not None and abs(onsets.times_s[-1] + shift_s - expected_s) < self.rules.tolerance_s

    def _lose(self, why: str) -> None:
        self.clock.forget()
        self.tally.why_no_clock = why

    def _decide(self, presentation: int, expected_s: float, edges: list[OnsetEdge]) -> Aligned:
        if expected_s - self.clock.tolerance_s <= self._kept_from_s:
            return Aligned(presentation, None, "was shown while the onset line changed more often than can be kept")
        if len(edges) == 1 and not edges[0].used:
            edges[0].used = True
            self.tally.found += 1
            return Aligned(presentation, edges[0].tick)
        if edges:
            self.tally.double += 1
            return Aligned(presentation, None, "has more than one onset edge, or one that was used before")
        self.tally.missing += 1
        if self.rules.infer and self._is_sure_of(expected_s):
            return Aligned(presentation, self.first_tick + round(expected_s * self.ticks_per_s), inferred=True)
        return Aligned(presentation, None, "has no onset edge where the clock puts it")

    def _is_sure_of(self, expected_s: float) -> bool:
        """Return whether the clock is good enough at a time to count by."""
        fit = self.clock.fit
        if fit is None or not fit.drift_known or self.tally.trials_without:
            return False
        age_s = expected_s - (fit.display_s + fit.offset_s)
        return age_s < INFER_WITHIN_S and TO_DEVIATION * fit.residual_s < INFER_SCATTER_S

    # -- without

    def _look_for_the_clock(self) -> None:
        for within_s in (LOCK_WINDOW_S, SPARSE_WINDOW_S):
            onsets, n_trials = self._recent_onsets(decided=False, within_s=within_s)
            if len(onsets.times_s) >= max(1, self.rules.lock_onsets) and n_trials >= self.rules.lock_trials:
                break
        else:
            self._say_how_few(len(onsets.times_s))
            return
        tried = (len(onsets.times_s), self.tally.edges)
        if tried == self._tried:
            return
        self._tried = tried
        lock = find_shift(onsets, self._marks(used=False), self.rules.tolerance_s, n_trials)
        self.tally.why_no_clock = lock.reason
        if lock.shift_s is not None:
            self.tally.trials_without = self.tally.trials_short = 0
            self.clock.learn(onsets.times_s[-1:], onsets.times_s[-1:] + lock.shift_s)

    def _say_how_few(self, n_onsets: int) -> None:
        """Say what is missing to match the clocks, where nothing worse is known."""
        if n_onsets and self.tally.why_no_clock == NOTHING_SHOWN:
            self.tally.why_no_clock = (
                f"fewer than {self.rules.lock_onsets} onsets or {self.rules.lock_trials} trials were shown in the "
                f"last {SPARSE_WINDOW_S:g} s, which is what it takes to match the clocks"
            )

    def _recent_onsets(self, decided: bool, within_s: float = LOCK_WINDOW_S) -> tuple[Marks, int]:
        """Return the last onsets in order of time, of trials that are decided or of those without an edge yet."""
        rows = [
            (time_s, code, trial.at_s, number)
            for number, trial in enumerate(self._trials)
            for time_s, code in zip(trial.onsets_s.tolist(), trial.codes.tolist(), strict=True)
            if not isnan(time_s) and (trial.decided if decided else not trial.found)
        ]
        last_s = rows[-1][0] if rows else 0.0
        rows = sorted(row for row in rows if abs(row[0] - last_s) < within_s)[-LOCK_ONSETS:]
        times_s, codes, at_s, numbers = np.array(rows).reshape(-1, 4).T
        return Marks(times_s, codes.astype(np.int64), at_s), len(np.unique(numbers))

    def _marks(self, used: bool) -> Marks:
        edges = [edge for edge in self._edges if used or not edge.used]
        return Marks(
            np.array([edge.time_s for edge in edges]),
            np.array([edge.code for edge in edges], np.int64),
            np.array([edge.at_s for edge in edges]),
        )

    def _forget(self, until_s: float) -> None:
        """Drop edges and trials that are too old to help, or too many."""
        while len(self._trials) > KEPT_TRIALS:
            self._trials.popleft()
        n_old = bisect_left(self._edges, until_s - self.rules.keep_s, key=lambda edge: edge.time_s)
        if len(self._edges) > MAX_EDGES:
            n_old = max(n_old, len(self._edges) - MAX_EDGES // 2)
            self._kept_from_s = self._edges[n_old - 1].time_s
        if n_old > len(self._edges) // 8:
            del self._edges[:n_old]
