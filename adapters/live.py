"""A recording system as a source of responses: what is read goes through its wire into the counting."""

import logging
from collections.abc import Callable, Iterable
from math import inf
from time import monotonic
from typing import Any, Protocol

from adapters.alarms import Alarm, alarms_of
from adapters.answers import NO_CLOCK, to_responses
from adapters.counter import Counted
from adapters.events import Begin, Chunk, Event, Gap, Watermark
from adapters.health import Health
from adapters.rules import MS_PER_S, Rules
from adapters.segment import Segment, Windows
from adapters.tap import POLL, Tap
from protocol.messages import Onsets, Responses, StimulusBatch

STALE_S = 0.9
"""Old enough to be said here. The server is told at its own limit, `stale_after_ms`, by `adapters.conversation`."""
LOOK_EVERY_S = 0.2
"""How often it is looked at what is wrong: five times a second is soon enough for a person."""
SAY_GAP_EVERY_S = 5.0
"""Losses and new beginnings seldom come alone, and nobody reads a thousand lines."""
log = logging.getLogger(__name__)


class Wire(Protocol):
    """One system's bytes as events: a pure function with memory, which no bytes can break."""

    troubles: dict[str, int]
    """Sentences on what it had to do without, and how often."""

    @property
    def name(self) -> str:
        """The system."""

    @property
    def channels(self) -> tuple[str, ...]:
        """What is counted."""

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what a chunk says, completed by what earlier ones left open."""


class Feed(Protocol):
    """Where chunks come from: a thread that reads sockets, or a file."""

    def drain(self) -> list[Chunk]:
        """Return what was read since the last call, at once."""

    def close(self) -> None:
        """Let the connections go."""


class Companion(Protocol):
    """Something that goes along with a source, and ends with it."""

    def close(self) -> None:
        """End."""


class LiveSource:
    """Answers for one recording system. `clock` returns monotonic seconds, the same as the feed's."""

    wants_images = False

    def __init__(
        self,
        wire: Wire,
        feed: Feed,
        rules: Rules,
        clock: Callable[[], float] = monotonic,
        tap: Tap | None = None,
        first: Iterable[Chunk] = (),
        companions: Iterable[Companion] = (),
    ) -> None:
        self.wire, self.name, self.channels = wire, wire.name, tuple(wire.channels)
        self._tap = tap
        self.companions = [feed, *companions, *([tap] if tap else [])]
        self.segment: Segment | None = None
        self.n_gaps = 0
        self._gap_said_s = self._begin_said_s = -inf
        self._feed, self.rules, self._clock = feed, rules, clock
        self._windows = Windows()
        self._waiting: list[tuple[Onsets, float]] = []
        self._given_up: list[Counted] = []
        self._fresh_s = clock()
        self._stale = False
        self._first = list(first)
        self._said: set[str] = set()
        self._health = Health(self.channels, rules)
        self._alarms: dict[str, Alarm] = {}
        self._looked_s = -inf

    def begin(self, settings: dict[str, Any]) -> None:
        """Start afresh for a session, with its windows; the recording goes on."""
        if self._tap:
            self._tap.settings(self._clock(), settings)
        self._windows = Windows(
            tuple(settings.get("response_window_s", self._windows.response_s)),
            tuple(settings.get("baseline_window_s", self._windows.baseline_s)),
        )
        if self.segment is not None:
            self.segment.start_session(self._windows)
        self._health.start_session()
        self._waiting.clear()
        self._given_up.clear()

    def see(self, batch: StimulusBatch) -> None:
        """Do nothing: it is the subject that sees."""

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Do nothing."""

    def request(self, onsets: Onsets) -> None:
        """Begin to look for these onsets, or wait for the recording to begin."""
        now_s = self._clock()
        if self._tap:
            self._tap.request(now_s, onsets)
        self._health.ask(len(onsets.onsets_s))
        self._waiting.append((onsets, now_s))

    def poll(self) -> list[Responses]:
        """Read on, and return what has become final."""
        now_s = self._clock()
        self._read(now_s)
        self._say_whether_data_flow()
        counted, self._given_up = self._given_up, []
        if self.segment is None:
            return to_responses(counted + self._impatient(now_s), len(self.channels), 1.0, NO_CLOCK)
        for onsets, at_s in self._waiting:
            self.segment.request(onsets, at_s)
        self._waiting.clear()
        counted += self.segment.counted(now_s)
        return to_responses(counted, len(self.channels), float(self.segment.ticks_per_s), self.segment.clock())

    def data_age_s(self) -> float:
        """Return how long ago the recording last went on."""
        return self._clock() - self._fresh_s

    def alarms(self) -> dict[str, Alarm]:
        """Return what is wrong with the recording, as it was a fifth of a second ago at most."""
        now_s = self._clock()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._alarms = self._health.alarms(now_s, self.segment, self.wire.troubles)
            for each in self.companions:
                self._alarms |= alarms_of(each)
        return self._alarms

    def close(self) -> None:
        """Let the recording system go."""
        for each in self.companions:
            each.close()

    def _read(self, now_s: float) -> None:
        chunks, self._first = self._first + self._feed.drain(), []
        for chunk in chunks:
            if self._tap:
                self._tap.chunk(chunk)
            for event in self.wire.take(chunk):
                self._take(event, chunk.at_s)
        if self._tap:
            self._tap.write(now_s, POLL)
        for trouble in self.wire.troubles.keys() - self._said:
            log.warning("%s: %s", self.name, trouble)
            self._said.add(trouble)

    def _take(self, event: Event, at_s: float) -> None:
        self._health.hear(event, at_s)
        if isinstance(event, Begin):
            if at_s - self._begin_said_s >= SAY_GAP_EVERY_S:
                self._begin_said_s = at_s
                log.info("%s: %s at tick %d, %g ticks/s", self.name, event.reason, event.tick, event.ticks_per_s)
            self._open(event)
        elif self.segment is not None:
            if isinstance(event, Watermark) and event.tick > self.segment.counter.watermark:
                self._fresh_s = at_s
            if isinstance(event, Gap):
                self._say_gap(event, at_s)
            self.segment.take(event, at_s)

    def _say_gap(self, gap: Gap, at_s: float) -> None:
        self.n_gaps += 1
        if at_s - self._gap_said_s >= SAY_GAP_EVERY_S:
            self._gap_said_s = at_s
            log.warning("%s: %s (gap %d); presentations there are not measured", self.name, gap.reason, self.n_gaps)

    def _open(self, begin: Begin) -> None:
        if self.segment is not None:
            self._given_up += self.segment.abandon(f"was shown when {begin.reason}")
        self.segment = Segment(begin, self.rules, self._windows, len(self.channels))

    def _impatient(self, now_s: float) -> list[Counted]:
        """Return what was asked for too long ago, while there is no recording at all."""
        old = [each for each in self._waiting if now_s - each[1] > self.rules.give_up_ms / MS_PER_S]
        self._waiting = [each for each in self._waiting if each not in old]
        ids = [presentation for onsets, _ in old for presentation in onsets.presentation_ids.tolist()]
        return [Counted(each, self.rules.onset, "was shown while nothing was recorded") for each in ids]

    def _say_whether_data_flow(self) -> None:
        stale = self.data_age_s() > STALE_S
        if stale and not self._stale:
            log.warning(
                "%s: no new data for %.1f s. Nothing is measured until they flow again. "
                "Check that the recording program runs and is acquiring.", self.name, self.data_age_s(),
            )  # fmt: skip
        elif self._stale and not stale:
            log.info("%s: data flow again", self.name)
        self._stale = stale
