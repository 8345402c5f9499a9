"""What is wrong with a recording that goes on: channels, pace, losses, clocks. No I/O; the time is handed in."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from adapters.activity import HOT_HZ, MAX_NAMED, SILENT_S, Activity
from adapters.alarms import Alarm, Latch
from adapters.clock import TO_DEVIATION
from adapters.events import Begin, Event, Gap, Spikes, Watermark
from adapters.rules import Rules
from adapters.segment import Segment

QUIET_S = 30.0
"""What goes wrong now and then is over when it has not for so long."""
LATE_S, IN_TIME_S = 0.5, 0.25
LATE_FOR_S = 2.0
"""A stall that is made up for at once is none of a person's business."""
SILENCE_S = 0.9
"""After so much silence the recording may have stood still: what its pace was before says nothing."""
PACE = 200e-6
"""Two clocks of quartz differ by less: so much a second, data may seem to fall behind."""
WIDE_S, NARROW_S = 3e-3, 2e-3
"""Standard deviation of onset edges around the clocks: a fifth of a frame at 60 Hz."""
FAST, SLOW = 100e-6, 80e-6
"""No two clocks of quartz drift apart so fast: rather, the sample rate is told wrongly."""
Said = Iterator[tuple[str, Alarm]]


class Health:
    """Hears what a wire says, and tells what is wrong by a key each."""

    def __init__(self, channels: Sequence[str], rules: Rules) -> None:
        self._channels, self._rules = channels, rules
        self._activity: Activity | None = None
        self._ticks_per_s = 1.0
        self._begun_s = self._heard_s = self._in_time_s = 0.0
        self._lag_s = self._least_lag_s = 0.0
        self._first_tick = 0
        self._gap_s = self._late_s = self._anew_s = -inf
        self._anew = ""
        self._n_late = 0
        self._n_onsets = self._n_trials = 0
        """Asked for since the clocks were matched last."""
        self._troubles: dict[str, int] = {}
        self._troubled_s: dict[str, float] = {}
        self._behind = Latch(LATE_S, IN_TIME_S)
        self._wide = Latch(WIDE_S, NARROW_S)
        self._fast = Latch(FAST, SLOW)

    def hear(self, event: Event, at_s: float) -> None:
        """Take what the stream says, and when that was read."""
        match event:
            case Begin(tick, ticks_per_s, reason):
                if self._activity is not None:
                    self._anew_s, self._anew = at_s, reason
                self._activity = Activity(tick, ticks_per_s, len(self._channels))
                self._ticks_per_s, self._first_tick, self._begun_s = float(ticks_per_s), tick, at_s
                self._heard_s = self._in_time_s = at_s
                self._least_lag_s = self._lag_s = 0.0
            case Spikes():
                if self._activity is not None:
                    self._activity.add(event)
            case Watermark(tick):
                self._advance(tick, at_s)
            case Gap():
                self._gap_s = at_s

    def ask(self, n_onsets: int) -> None:
        """Take note that the onsets of a trial are looked for."""
        self._n_trials += 1
        self._n_onsets += n_onsets

    def start_session(self) -> None:
        """Take note that the display's clock may be another."""
        self._n_trials = self._n_onsets = 0

    def alarms(self, now_s: float, segment: Segment | None, troubles: Mapping[str, int]) -> dict[str, Alarm]:
        """Return what is wrong at this time."""
        found = dict(self._understanding(now_s, troubles))
        if segment is not None:
            found |= dict([*self._firing(), *self._flow(now_s, segment), *self._clocks(segment)])
        return found

    def _advance(self, tick: int, at_s: float) -> None:
        if self._activity is not None:
            self._activity.advance(tick)
        self._lag_s = (at_s - self._begun_s) - (tick - self._first_tick) / self._ticks_per_s
        silent_s = at_s - self._heard_s
        least_s = self._lag_s if silent_s > SILENCE_S else self._least_lag_s + PACE * silent_s
        self._least_lag_s, self._heard_s = min(self._lag_s, least_s), at_s
        if self._lag_s - self._least_lag_s <= LATE_S:
            self._in_time_s = at_s

    def _firing(self) -> Said:
        if self._activity is None:
            return
        if self._activity.silent.any():
            yield (
                "silent_channels",
                Alarm(
                    f"no spike for {SILENT_S} s on {self._named(self._activity.silent)}",
                    "they add nothing to the score of any image",
                    "look at their threshold, their connection and their name; or score other channels (Change)",
                ),
            )
        if self._activity.hot.any():
            yield (
                "hot_channels",
                Alarm(
                    f"more than {HOT_HZ:.0f} spikes per second on {self._named(self._activity.hot)}",
                    "that is noise, and it passes for a response",
                    "raise their threshold, look for what disturbs them; or score other channels (Change)",
                ),
            )

    def _named(self, which: NDArray[np.bool_]) -> str:
        names = [name for name, chosen in zip(self._channels, which.tolist(), strict=True) if chosen]
        more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
        return f"channel{'s' * (len(names) > 1)} {', '.join(names[:MAX_NAMED])}{more}"

    def _flow(self, now_s: float, segment: Segment) -> Said:
        lasting = self._behind.closed or now_s - self._in_time_s > LATE_FOR_S
        if self._behind.see(self._lag_s - self._least_lag_s if lasting else 0.0):
            yield (
                "data_late",
                Alarm(
                    f"the recording's data come more than {LATE_S:g} s late",
                    "every answer comes late, and the display waits for it between generations",
                    "stream fewer channels; look at what else runs on the recording PC; use a cable",
                ),
            )
        if now_s - self._anew_s < QUIET_S:
            yield (
                "began_anew",
                Alarm(
                    f"the recording has begun anew: {self._anew}",
                    "what was shown just before is not measured, and is shown again; the clocks are matched afresh",
                    "nothing, if somebody started it again; else look at its program and at the network",
                ),
            )
        if now_s - self._gap_s < QUIET_S:
            yield (
                "data_lost",
                Alarm(
                    "the recording loses data on its way here",
                    "presentations that it touches are not measured, and are shown again",
                    "stream fewer channels; use a cable",
                ),
            )
        if segment.counter.late != self._n_late:
            self._n_late, self._late_s = segment.counter.late, now_s
        if now_s - self._late_s < QUIET_S:
            yield (
                "spikes_late",
                Alarm(
                    "spikes come after the recording has said that their time is past",
                    "presentations that they touch are not measured, and are shown again",
                    "raise grace_ms, where the recording system has it; or else tell us",
                ),
            )

    def _clocks(self, segment: Segment) -> Said:
        fit = segment.aligner.clock.fit
        if fit is None:
            if self._n_trials > self._rules.lock_trials and self._n_onsets >= 2 * self._rules.lock_onsets:
                yield (
                    "clock_lost",
                    Alarm(
                        f"onsets cannot be found in the recording: {segment.aligner.tally.why_no_clock}",
                        "nothing that is shown is measured",
                        "look at the onset's cable, line and edge; vary the time between trials",
                    ),
                )
            return
        self.start_session()
        deviation_s = TO_DEVIATION * fit.residual_s if np.isfinite(fit.residual_s) else 0.0
        if self._wide.see(deviation_s):
            yield (
                "clock_wide",
                Alarm(
                    f"onsets scatter by more than {1e3 * WIDE_S:g} ms around the clocks",
                    "windows begin early or late by as much, and some onsets are not found",
                    "use a photodiode; look at how the onset's signal is made",
                ),
            )
        if self._fast.see(abs(fit.drift) if fit.drift_known else 0.0):
            yield (
                "clock_fast",
                Alarm(
                    f"the recording's clock and the display's drift apart by more than {1e6 * FAST:g} ppm",
                    "spike counts are right as long as onsets are found; times in seconds may not be",
                    "look whether the recording's sample rate is the one that was told (rate_hz)",
                ),
            )

    def _understanding(self, now_s: float, troubles: Mapping[str, int]) -> Said:
        """Yield what a wire has had to do without lately."""
        for sentence, n in troubles.items():
            if n != self._troubles.get(sentence):
                self._troubles[sentence], self._troubled_s[sentence] = n, now_s
        recent = [sentence for sentence, at_s in self._troubled_s.items() if now_s - at_s < QUIET_S]
        if recent:
            yield (
                "not_understood",
                Alarm(
                    f"not all that the recording system sends is understood: {recent[0]}",
                    "what was not understood is not counted; doubtful presentations are not measured",
                    "see the adapter's page in the documentation, under its warnings",
                ),
            )
