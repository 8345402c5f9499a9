"""The Event Broadcaster of Open Ephys: lines of any stream, put on the clock of the stream whose spikes are counted.

It has no numbers and no clock of its own, so it says onsets only, and the ZMQ Interface says how far the recording is.
A line that is lost here is an onset without an edge, which is not measured. Streams have sample numbers of their own;
what they share is the time that the raw format gives. Which stream is ours is not asked but seen: our spikes come from
both plugins, and those of our stream have the same sample numbers in both.
"""

import json
import struct
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import isfinite
from typing import Any

from adapters.events import Edge, Event, Word
from adapters.rules import Rules
from adapters.troubles import note

TTL, SPIKE = 0, 1
_KIND = struct.Struct("<H")
_RAW_TTL, _RAW_SPIKE = struct.Struct("<BBHHHqdBBQ"), struct.Struct("<BBHHHqdH")
RAW_TTL_BASE, RAW_TTL_TYPE, RAW_SPIKE_BASE = 1, 3, 2
MAX_SAMPLE = 1 << 62
MAX_LINES = 256
MAX_HELD = 10_000
KEEP_S, WAIT_S = 10, 2
"""How long a spike is remembered, and how long a line waits for the clocks to be known."""
AHEAD_S = 60
"""Further ahead of the data no line is, however long they were held up."""
JUDGED, NEEDED, SHARE = 50, 20, 0.9
"""Of the last so many spikes of a stream, at least so many, this share must be ours for the stream to be: chance alone
makes it a quarter where 400 channels fire 20 times a second."""
ANCHOR_S = 10.0
"""Over so long, two streams' clocks shift by 0.1 ms at most."""


@dataclass(frozen=True, slots=True)
class Ttl:
    """A line that changed."""

    stream: str
    """Its name in the JSON format, its number in the raw one."""
    sample: int
    line: int
    rising: bool
    time_s: float | None = None
    """On the time that all streams share; None where it is not told."""
    word: int | None = None
    """All lines, after the change; None where it is not told."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """A spike, for the two times it has."""

    stream: str
    sample: int
    time_s: float


def parse(frames: tuple[bytes, ...]) -> Ttl | Stamp | None:
    """Return what a message says, None if nothing of use; raise ValueError or a kin of it for what makes no sense."""
    kind, body = frames
    [number] = _KIND.unpack(kind)
    if body[:1] == b"{":
        return _parsed_json(json.loads(body)) if number == TTL else None
    if number == TTL:
        base, event, _, stream, _, sample, time_s, line, state, word = _RAW_TTL.unpack(body)
        if (base, event) != (RAW_TTL_BASE, RAW_TTL_TYPE):
            return None
        return Ttl(str(stream), _sample(sample), line, bool(state), _time(time_s), word)
    base, _, _, stream, _, sample, time_s, _ = _RAW_SPIKE.unpack_from(body)
    shared_s = _time(time_s)
    return Stamp(str(stream), _sample(sample), shared_s) if base == RAW_SPIKE_BASE and shared_s is not None else None


def _parsed_json(event: dict[str, Any]) -> Ttl | None:
    if event["event_type"] != "ttl":
        return None
    line = int(event["line"])
    if not 0 <= line < MAX_LINES:
        raise ValueError("no such line")
    return Ttl(str(event["stream"]), _sample(event["sample_number"]), line, bool(event["state"]))


class BroadcastLines:
    """Holds lines until their time is past, and returns them as edges and words of the spikes' stream.

    `stream` is the one whose lines are meant, as the format calls it; empty for the spikes' own.
    """

    def __init__(self, stream: str, rules: Rules, troubles: dict[str, int]) -> None:
        self._stream, self._troubles = stream, troubles
        self._shift, self._mask = rules.line, (1 << rules.word_bits) - 1
        self.forget()

    def forget(self) -> None:
        """Know nothing: the acquisition began anew."""
        self._until = 0
        self._lines = 0
        self._held: deque[tuple[Ttl, int]] = deque(maxlen=MAX_HELD)
        self._stamps: deque[Stamp] = deque(maxlen=MAX_HELD)
        self._spikes: set[int] = set()
        self._in_order: deque[int] = deque()
        self._agreement: defaultdict[str, deque[bool]] = defaultdict(lambda: deque(maxlen=JUDGED))
        self._anchor: Stamp | None = None

    def hear(self, frames: tuple[bytes, ...]) -> None:
        """Take a message of the Event Broadcaster."""
        try:
            said = parse(frames)
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError, struct.error) as error:
            old = " (one from before 2022? update it)" if len(frames) != 2 else ""
            note(self._troubles, f"an event could not be read ({type(error).__name__}){old}")
            return
        if isinstance(said, Stamp):
            self._stamps.append(said)
        elif said is not None:
            self._held.append((said, self._until))

    def see_spike(self, sample: int) -> None:
        """Take a spike of our stream, as the ZMQ Interface says it."""
        self._spikes.add(sample)
        self._in_order.append(sample)

    def settle(self, our_stream: str, until: int, ticks_per_s: Fraction) -> list[Event]:
        """Return the edges and words before a sample of our stream, all of whose spikes before it have been seen."""
        self._until = until
        self._judge(until, round(KEEP_S * ticks_per_s))
        ready: list[tuple[int, Ttl]] = []
        waiting: deque[tuple[Ttl, int]] = deque(maxlen=MAX_HELD)
        for ttl, heard in self._held:
            if not self._is_meant(ttl, our_stream):
                continue
            tick = self._place(ttl, our_stream, ticks_per_s)
            if tick is not None and tick < until:
                ready.append((tick, ttl))
            elif until - heard < WAIT_S * ticks_per_s or (tick is not None and tick - until < AHEAD_S * ticks_per_s):
                waiting.append((ttl, heard))
            else:
                note(self._troubles, "lines of another stream cannot be placed: is it synchronized, are there spikes?")
        self._held = waiting
        ready.sort(key=lambda each: each[0])
        return [
            event
            for tick, group in groupby(ready, key=lambda each: each[0])
            for event in self._changes(tick, [ttl for _, ttl in group])
        ]

    def _judge(self, until: int, keep: int) -> None:
        """See which stream's spikes are ours, and what their shared time is."""
        waiting: deque[Stamp] = deque(maxlen=MAX_HELD)
        for stamp in self._stamps:
            if stamp.sample >= until:
                waiting.append(stamp)
                continue
            agreement = self._agreement[stamp.stream]
            agreement.append(stamp.sample in self._spikes)
            if agreement[-1] and len(agreement) >= NEEDED and sum(agreement) >= SHARE * len(agreement):
                self._anchor = stamp
        self._stamps = waiting
        while self._in_order and self._in_order[0] < until - keep:
            self._spikes.discard(self._in_order.popleft())

    def _is_meant(self, ttl: Ttl, our_stream: str) -> bool:
        if ttl.word is None:
            wanted = self._stream or our_stream
            if wanted != our_stream:
                note(
                    self._troubles,
                    "in the JSON format streams share no time, so lines of another stream cannot be placed: "
                    "let the Event Broadcaster send Raw Binary, or put an Event Translator before it",
                )
        else:
            wanted = self._stream or (self._anchor.stream if self._anchor else ttl.stream)
        if ttl.stream != wanted:
            note(self._troubles, f"lines of stream {ttl.stream!r:.40} are not looked at: see -o events_stream=")
        return ttl.stream == wanted

    def _place(self, ttl: Ttl, our_stream: str, ticks_per_s: Fraction) -> int | None:
        """Return the tick on our stream, None if it is not known."""
        if ttl.word is None:
            return ttl.sample if ttl.stream == our_stream else None
        anchor = self._anchor
        if anchor is None:
            return None
        if ttl.stream == anchor.stream:
            return ttl.sample
        if ttl.time_s is None or abs(ttl.time_s - anchor.time_s) > ANCHOR_S:
            return None
        return anchor.sample + round((ttl.time_s - anchor.time_s) * float(ticks_per_s))

    def _changes(self, tick: int, ttls: Iterable[Ttl]) -> list[Event]:
        """Return what changed at one tick: the edges, and the one word that its lines make if one of them changed."""
        events: list[Event] = []
        word: int | None = None
        changed = 0
        for ttl in ttls:
            changed |= 1 << ttl.line
            self._lines = self._lines | 1 << ttl.line if ttl.rising else self._lines & ~(1 << ttl.line)
            word = ttl.word
            events.append(Edge(tick, ttl.line, ttl.rising))
        value = ((self._lines if word is None else word) >> self._shift) & self._mask
        return [*events, Word(tick, value)] if value and changed >> self._shift & self._mask else events


def _sample(value: Any) -> int:
    if not isinstance(value, int) or abs(value) > MAX_SAMPLE:
        raise ValueError("no sample number")
    return value


def _time(value: float) -> float | None:
    """Return a time that streams share; -1 says that they do not."""
    return value if isfinite(value) and value >= 0 else None
