"""One stretch of a recording's clock: its onsets are found, its spikes counted. No I/O; the time is handed in."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

import numpy as np

from adapters.aligner import Aligner
from adapters.aligning import ANONYMOUS, Aligned, AlignerRules
from adapters.answers import NO_CLOCK, ClockFacts
from adapters.counter import Counted, Counter
from adapters.events import Begin, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.rules import MS_PER_S, Rules
from adapters.windows import Window, to_ticks
from protocol.messages import Onsets

BESIDE_S = (0.02, 0.06)
"""How long before and after its word a flash may be: the word is sent when the picture is, and the screen is slower."""
MAX_FLASHES = 20_000
MAX_WORD = 1 << 63


@dataclass(frozen=True, slots=True)
class Windows:
    """When spikes count, in seconds after the onset."""

    response_s: tuple[float, float] = (0.05, 0.2)
    baseline_s: tuple[float, float] = (0.0, 0.05)


class Segment:
    """Takes events and requests, and yields what was counted, each presentation once."""

    def __init__(self, begin: Begin, rules: Rules, windows: Windows, n_channels: int) -> None:
        rate = begin.ticks_per_s
        self.ticks_per_s = rate
        self._rules = rules
        self._delay = to_ticks(rules.onset_delay_ms / MS_PER_S, rate)
        self._before, self._after = (to_ticks(time_s, rate) for time_s in BESIDE_S)
        self._flashes: list[int] = []
        """Photodiode edges, in order."""
        self._words: dict[int, int] = {}
        """Presentations whose word was found, and whose flash is still to be."""
        self._asked: dict[int, float] = {}
        self.aligner = Aligner(float(rate), begin.tick, _aligner_rules(rules))
        self.counter = Counter(
            begin.tick,
            n_channels,
            *self._in_ticks(windows),
            to_ticks(rules.keep_s, rate),
            to_ticks(rules.coincidence_ms / MS_PER_S, rate),
        )

    def start_session(self, windows: Windows) -> None:
        """Drop all requests and take other windows; what was recorded stays known."""
        self._asked.clear()
        self._words.clear()
        self.counter.use(*self._in_ticks(windows))
        self.aligner = self.aligner.fresh()

    def _in_ticks(self, windows: Windows) -> tuple[Window, Window]:
        return Window.of(windows.response_s, self.ticks_per_s), Window.of(windows.baseline_s, self.ticks_per_s)

    def take(self, event: Event, at_s: float) -> None:
        """Take what the stream says, and when that was read."""
        match event:
            case Spikes():
                self.counter.add(event)
            case Edge(tick, line, rising):
                if self._rules.edge in ("both", "rising" if rising else "falling"):
                    self._edge(tick, line, at_s)
            case Word(tick, value):
                # No id is so large, and the aligner's tables hold no more.
                if self._rules.identified and 0 <= value < MAX_WORD:
                    self.aligner.see(tick, value, at_s)
            case Watermark(tick):
                self.counter.advance(tick)
            case Gap():
                self.counter.mark(event)

    def _edge(self, tick: int, line: int, at_s: float) -> None:
        if line == self._rules.photodiode_line:
            insort(self._flashes, tick)
        elif line == self._rules.line and not self._rules.identified:
            self.aligner.see(tick, ANONYMOUS, at_s)

    def request(self, onsets: Onsets, at_s: float) -> None:
        """Begin to look for these onsets."""
        ids = onsets.presentation_ids.tolist()
        self._asked.update(dict.fromkeys(ids, at_s))
        codes = [self._rules.code(each) if self._rules.identified else ANONYMOUS for each in ids]
        self.aligner.request(onsets, np.array(codes, np.int64), at_s)

    def counted(self, now_s: float) -> Iterator[Counted]:
        """Yield what has become final, and what is given up."""
        for aligned in self.aligner.advance(self.counter.watermark):
            yield from self._aligned(aligned)
        yield from self._refined()
        for counted in self.counter.release():
            self._asked.pop(counted.presentation_id, None)
            yield counted
        late = [each for each, at_s in self._asked.items() if now_s - at_s > self._rules.give_up_ms / MS_PER_S]
        for presentation in late:
            yield self._give_up(presentation)

    def clock(self) -> ClockFacts:
        """Return how well the clocks are matched, and how long before the newest data an onset was found."""
        fit = self.aligner.clock.fit
        if fit is None:
            return NO_CLOCK
        now_s = (self.counter.watermark - self.aligner.first_tick) / self.aligner.ticks_per_s
        found_s = float(fit.recording_s(np.array([fit.display_s]))[0])
        return ClockFacts(fit.residual_s if np.isfinite(fit.residual_s) else nan, max(0.0, now_s - found_s))

    def abandon(self, reason: str) -> Iterator[Counted]:
        """Yield all that was asked for as not measured."""
        for presentation in list(self._asked):
            del self._asked[presentation]
            yield Counted(presentation, self._rules.source, reason)

    def _aligned(self, aligned: Aligned) -> Iterator[Counted]:
        presentation = aligned.presentation_id
        if presentation not in self._asked:
            return
        if aligned.tick is None:
            yield self._refuse(presentation, aligned.reason)
        elif self._rules.photodiode_line is not None:
            # Also beside a word that is missing: by the clock of words, an onset would be early by the screen's lag.
            self._words[presentation] = aligned.tick
        else:
            source = "inferred" if aligned.inferred else self._rules.onset
            self.counter.ask(presentation, aligned.tick + self._delay, source)

    def _refined(self) -> Iterator[Counted]:
        """Take the one flash beside a word for the onset, once all flashes there have come."""
        ready = [each for each in self._words.items() if each[1] + self._after < self.counter.watermark]
        for presentation, word in ready:
            del self._words[presentation]
            first, last = (
                bisect_left(self._flashes, word - self._before),
                bisect_right(self._flashes, word + self._after),
            )
            if presentation not in self._asked:
                continue
            if last - first == 1:
                self.counter.ask(presentation, self._flashes[first] + self._delay, self._rules.source)
            else:
                yield self._refuse(presentation, f"has {last - first} photodiode edges beside its word")
        if len(self._flashes) > MAX_FLASHES:
            del self._flashes[: MAX_FLASHES // 2]

    def _refuse(self, presentation: int, reason: str) -> Counted:
        del self._asked[presentation]
        return Counted(presentation, self._rules.source, reason)

    def _give_up(self, presentation: int) -> Counted:
        del self._asked[presentation]
        if self.counter.withdraw(presentation):
            reason = "has a window that the recording did not reach in time"
        elif self.aligner.clock.fit is None:
            reason = f"cannot be placed in the recording: {self.aligner.tally.why_no_clock}"
        else:
            reason = "lies in a part of the recording that did not come in time"
        return Counted(presentation, self._rules.source, reason)


def _aligner_rules(rules: Rules) -> AlignerRules:
    return AlignerRules(rules.tolerance_ms / MS_PER_S, rules.lock_onsets, rules.lock_trials, rules.infer, rules.keep_s)
