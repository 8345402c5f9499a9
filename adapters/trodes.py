"""SpikeGadgets Trodes over its network: spikes from one source, and from another the digital inputs of every sample.

The digital source says something about each sample, so it is the clock, and what it leaves out is a gap. Spikes come
on a connection of their own without numbers: they may be some way behind, and a break of the connection is a cut.
"""

from fractions import Fraction
from typing import Any

import msgpack
import numpy as np

from adapters.channels import NOT_COUNTED, Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.live import LiveSource
from adapters.patience import ask_for
from adapters.pump import CUT, Pump
from adapters.rules import MS_PER_S, Rules, parse_rules, port_number, ticks_per_second, whole
from adapters.source import SourceError
from adapters.tap import open_tap
from adapters.trodes_network import DIGITAL, TrodesReader, ask_rate
from adapters.troubles import note
from adapters.unwrap import Unwrap

GRACE_MS = "100"
"""By how much spikes may come behind the digital inputs of their time: not documented, so taken large."""
BITS = 32
WRAP = 1 << BITS
MAX_EARLY = 100_000
MAX_TIMESTAMP = 1 << 62
SYNC_BYTES = 1
"""Before the bytes of the first device."""
_BROKEN = (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, msgpack.UnpackException)


class TrodesWire:
    """Messages of two sources as events; a chunk holds many messages of one of them."""

    name = "trodes"

    def __init__(self, columns: Columns, rules: Rules, ticks_per_s: Fraction, grace_ms: int) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._rate = ticks_per_s
        self._grace = int(grace_ms * ticks_per_s / int(MS_PER_S))
        self._rules = rules
        watched = (1 << rules.word_bits) - 1 if rules.identified else 1
        self._watched = watched << rules.line
        if rules.photodiode_line is not None:
            self._watched |= 1 << rules.photodiode_line
        self._start_anew("we joined")

    @property
    def channels(self) -> tuple[str, ...]:
        """nTrodes by their ids, `5`; `5:1` is one cluster, `5:0` the unsorted."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what some messages say."""
        if chunk.port == CUT:
            self._start_anew(chunk.frames[0].decode())
            return []
        return self._digital(chunk.frames) if chunk.port == DIGITAL else self._spikes(chunk.frames)

    def _start_anew(self, why: str) -> None:
        self._why = why
        self._clock = Unwrap(BITS, int(self._rate))
        self._lines: int | None = None
        self._next = -1
        """What the next timestamp should be."""
        self._unread = 0
        self._early: list[tuple[int, int]] = []

    # -- spikes

    def _spikes(self, messages: tuple[bytes, ...]) -> list[Event]:
        found = []
        for message in messages:
            try:
                spike = msgpack.unpackb(message, raw=True)
                column = self.columns.of(str(_whole(spike[b"nTrodeId"])), _whole(spike[b"cluster"]))
                timestamp = _whole(spike[b"localTimestamp"])
            except _BROKEN as error:
                note(self.troubles, f"a spike could not be read ({type(error).__name__})")
                self._unread += 1
                continue
            if column != NOT_COUNTED:
                found.append((timestamp, column))
        return self._placed(found)

    def _placed(self, spikes: list[tuple[int, int]]) -> list[Event]:
        """Return spikes near the digital inputs' time; those far ahead of it wait until it has come so far."""
        near = [(self._clock.place(timestamp), column) for timestamp, column in spikes]
        self._early += [spike for spike, (tick, _) in zip(spikes, near, strict=True) if tick is None]
        if self._clock.last is not None:
            self._early = [spike for spike in self._early if self._is_ahead(spike[0], self._clock.last)]
        if len(self._early) > MAX_EARLY:
            note(self.troubles, "spikes come without digital inputs of their time")
            self._unread += len(self._early) - MAX_EARLY
            del self._early[:-MAX_EARLY]
        found = [(tick, column) for tick, column in near if tick is not None]
        ticks, columns = np.array(found, np.int64).reshape(-1, 2).T
        return [Spikes(ticks, columns.astype(np.int32))] if found else []

    @staticmethod
    def _is_ahead(timestamp: int, last: int) -> bool:
        """Return whether a spike is of a time to come; one far behind is of an earlier run."""
        return 0 < (timestamp - last) % WRAP < WRAP // 2

    # -- digital inputs

    def _digital(self, messages: tuple[bytes, ...]) -> list[Event]:
        events: list[Event] = []
        for message in messages:
            try:
                sample = msgpack.unpackb(message, raw=True)
                timestamp, data = _whole(sample[b"localTimestamp"]), sample[b"digitalData"][0]
                lines = int.from_bytes(data[SYNC_BYTES:], "little") & self._watched
            except _BROKEN as error:
                # Its sample is then missing, which is a gap.
                note(self.troubles, f"digital inputs could not be read ({type(error).__name__})")
                continue
            if timestamp == self._next and lines == self._lines and self._clock.last is not None:
                # Nearly all samples are so, and there are 30,000 a second.
                self._clock.last, self._next = self._clock.last + 1, timestamp + 1
            else:
                events += self._sample(timestamp, lines)
        if self._clock.last is not None:
            early, self._early = self._early, []
            events += self._placed(early) if early else []
            events += self._unreadable(self._clock.last) if self._unread else []
            events.append(Watermark(self._clock.last + 1 - self._grace))
        return events

    def _sample(self, timestamp: int, lines: int) -> list[Event]:
        last, tick = self._clock.last, self._clock.place(timestamp)
        if last is None or tick is None or tick < last - self._grace:
            return self._begin(timestamp, lines)
        if tick <= last:
            return []
        self._clock.last, self._next = tick, timestamp + 1
        events = self._missing(last + 1, tick) if tick > last + 1 else []
        before, self._lines = self._lines, lines
        return events if before in (None, lines) else events + self._changes(tick, before or 0, lines)

    def _begin(self, timestamp: int, lines: int) -> list[Event]:
        why = self._why if self._clock.last is None else "the recording's clock jumped"
        early = self._early
        self._start_anew(why)
        self._early = early
        self._lines, self._next = lines, timestamp + 1
        return [Begin(self._clock.restart(timestamp) + self._grace, self._rate, why)]

    def _missing(self, expected: int, tick: int) -> list[Event]:
        lost = tick - expected
        # A line that changed among what was lost shows its change only now: this edge is doubtful too.
        return [Gap(expected - self._grace, tick + 1, f"{lost} lost samples", lost)]

    def _unreadable(self, last: int) -> list[Event]:
        """Return where the spikes were that could not be read: within the grace, or else not far ahead."""
        unread, self._unread = self._unread, 0
        reason = f"{unread} spikes that could not be read"
        return [Gap(last - self._grace, last + self._grace, reason, unread)]

    def _changes(self, tick: int, before: int, lines: int) -> list[Event]:
        both = before ^ lines
        events: list[Event] = []
        while both:
            line = (both & -both).bit_length() - 1
            both &= both - 1
            events.append(Edge(tick, line, bool(lines >> line & 1)))
        value = self._rules.word(before, lines)
        return [*events, Word(tick, value)] if value else events


def trodes_wire(channels: str, rate_hz: str, grace_ms: str, **options: str) -> tuple[TrodesWire, Rules]:
    """Return what reads Trodes' messages, and the rules; a tap keeps these options."""
    rules, rate = parse_rules(options), ticks_per_second("rate_hz", rate_hz)
    return TrodesWire(parse_channels(channels), rules, Fraction(rate), whole("grace_ms", grace_ms)), rules


def trodes(
    channels: str,
    host: str = "127.0.0.1",
    port: str = "49152",
    rate_hz: str = "",
    grace_ms: str = GRACE_MS,
    wait_s: str = "0",
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that counts the spikes of these nTrodes; Trodes must run with its network on.

    If its sample rate has to be asked for, it has `wait_s` to begin.
    """
    parse_rules(options)
    columns = parse_channels(channels)
    if not all(name.partition(":")[0].isdecimal() for name in columns.names):
        raise SourceError(f"channels of Trodes are ids of nTrodes, such as 5 or 5:1, got {channels!r}.")
    address = (host, port_number("port", port))
    patience_s = whole("wait_s", wait_s)
    rate_hz = rate_hz or str(ask_for(patience_s, lambda: ask_rate(address)))
    wired = {"channels": channels, "rate_hz": rate_hz, "grace_ms": grace_ms, **options}
    wire, rules = trodes_wire(**wired)
    return LiveSource(wire, Pump(TrodesReader(address)), rules, tap=open_tap(tap, "trodes", wired))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < MAX_TIMESTAMP:
        raise ValueError("not a whole number")
    return value
