"""Plexon OmniPlex and MAP through PlexNetLocal: 512-byte packets over TCP, ticks of 40 kHz.

Spikes and events have no watermark of their own: one slow continuous channel must be on, and its blocks are the clock.
"""

import socket
import struct
from fractions import Fraction
from math import inf

from adapters.channels import NOT_COUNTED, Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Watermark, Word, one_spike
from adapters.live import LiveSource
from adapters.plexnet_greeting import greet
from adapters.pump import CUT, Pump
from adapters.readers import TcpReader
from adapters.rules import MS_PER_S, Rules, choice, parse_rules, port_number, ticks_per_second, whole
from adapters.source import SourceError
from adapters.tap import open_tap
from adapters.troubles import note
from adapters.unwrap import Unwrap

PACKET_BYTES = 512
DATA = 1
SPIKE, EVENT, CONTINUOUS = 1, 4, 5
STROBED = 257
N_LINES = 32
TIME_BITS = 40
"""The upper half has room for 48, and holds one byte."""
TOLD_EDGES = ("rising",)
GRACE_MS = "100"
"""By how much spikes may come behind the continuous block of their time: not documented, so taken large."""
_BLOCK = struct.Struct("<hHIhhhh")
_HEAD = struct.Struct("<4i")


class PlexNetWire:
    """Packets as events. Both counters of dropped data are watched."""

    name = "plexnet"

    def __init__(self, columns: Columns, rules: Rules, ticks_per_s: int, grace_ms: int) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._rate = Fraction(ticks_per_s)
        self._grace = int(grace_ms * ticks_per_s / MS_PER_S)
        self._shift, self._mask = rules.line, (1 << rules.word_bits) - 1
        self._to_skip = 0
        """Bytes up to the next packet."""
        self._start_anew("we joined")

    @property
    def channels(self) -> tuple[str, ...]:
        """Spike channels by number from 1; `5:0` is the unsorted of one, `5:1` its first unit."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what has become complete."""
        if chunk.port == CUT:
            self._cut(*(frame.decode() for frame in chunk.frames))
            return []
        self._buffer += chunk.frames[0][self._to_skip :]
        self._to_skip = max(0, self._to_skip - len(chunk.frames[0]))
        events: list[Event] = []
        while len(self._buffer) >= PACKET_BYTES:
            packet = bytes(self._buffer[:PACKET_BYTES])
            del self._buffer[:PACKET_BYTES]
            events += self._packet(packet)
        return events

    def _cut(self, why: str, n_dropped: str = "") -> None:
        """Start anew: with a whole packet, or else at the end of the one from which so many bytes on are missing."""
        to_skip = -(len(self._buffer) - self._to_skip + int(n_dropped)) % PACKET_BYTES if n_dropped else 0
        self._start_anew(why)
        self._to_skip = to_skip

    def _start_anew(self, why: str) -> None:
        self._why = why
        self._buffer = bytearray()
        self._to_skip = 0
        self._clock = Unwrap(TIME_BITS, int(self._rate))
        self._dropped: tuple[int, int] | None = None
        self._lost = 0
        self._waiting: list[Event] = []
        self._watermark = 0

    def _packet(self, packet: bytes) -> list[Event]:
        kind, _, *dropped = _HEAD.unpack_from(packet)
        if kind != DATA:
            return []
        before, now = self._dropped or (dropped[0], dropped[1]), (dropped[0], dropped[1])
        self._dropped = now
        self._lost += sum((new - old) & 0xFFFFFFFF for new, old in zip(now, before, strict=True))
        events: list[Event] = []
        place = _HEAD.size
        while place + _BLOCK.size <= PACKET_BYTES:
            what, upper, lower, channel, unit, n_waves, n_words = _BLOCK.unpack_from(packet, place)
            if what <= 0:
                break
            size = _BLOCK.size + 2 * max(0, n_waves) * max(0, n_words)
            if place + size > PACKET_BYTES:
                note(self.troubles, "a packet could not be read")
                self._lost += 1
                break
            events += self._block(what, upper << 32 | lower, channel, unit)
            place += size
        return events

    def _block(self, what: int, time: int, channel: int, unit: int) -> list[Event]:
        if what == CONTINUOUS:
            return self._continuous(time)
        tick = self._clock.place(time)
        if tick is None:
            return []
        if what == SPIKE:
            column = self.columns.of(str(channel), unit)
            return [one_spike(tick, column)] if column != NOT_COUNTED else []
        if what == EVENT and channel == STROBED:
            value = ((unit & 0xFFFF) >> self._shift) & self._mask
            return [Word(tick, value)] if value else []
        if what == EVENT and 1 <= channel <= N_LINES:
            return [Edge(tick, channel - 1, True)]
        return []

    def _continuous(self, time: int) -> list[Event]:
        """Return what a continuous block says, from its first sample's time: this is the clock."""
        tick = self._clock.place(time)
        if tick is None or tick < (self._clock.last or 0) - self._grace:
            why = self._why if self._clock.last is None else "the recording's clock jumped"
            self._clock.restart(time)
            self._lost, self._watermark = 0, time
            return [Begin(time + self._grace, self._rate, why)]
        self._clock.last = max(tick, self._clock.last or 0)
        events: list[Event] = []
        if self._lost:
            events.append(Gap(self._watermark, tick + self._grace, f"{self._lost} dropped blocks", self._lost))
            self._lost = 0
        self._watermark = max(self._watermark, tick - self._grace)
        return [*events, Watermark(self._watermark)]


def plexnet_wire(channels: str, rate_hz: str, grace_ms: str, **options: str) -> tuple[PlexNetWire, Rules]:
    """Return what reads PlexNet's packets, and the rules; a tap keeps these options."""
    rules = parse_rules(options)
    choice("edge", rules.edge, TOLD_EDGES)
    columns = parse_channels(channels)
    if not all(number.isdecimal() and int(number) for number in _numbers(columns)):
        raise SourceError(f"channels of PlexNet are numbers from 1, such as 5 or 5:1, got {channels!r}.")
    return PlexNetWire(columns, rules, ticks_per_second("rate_hz", rate_hz), whole("grace_ms", grace_ms)), rules


def plexnet(
    channels: str,
    host: str = "127.0.0.1",
    port: str = "6000",
    continuous_channel: str = "0",
    rate_hz: str = "40000",
    grace_ms: str = GRACE_MS,
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that PlexNetLocal serves; `continuous_channel` (from 0) is the one that tells the time."""
    wired = {"channels": channels, "rate_hz": rate_hz, "grace_ms": grace_ms, **options}
    wire, rules = plexnet_wire(**wired)
    spikes, carrier = set(map(int, _numbers(wire.columns))), whole("continuous_channel", continuous_channel)

    def say_hello(sockets: list[socket.socket]) -> None:
        greet(sockets[0], spikes, carrier)

    reader = TcpReader([(host, port_number("port", port))], say_hello, silent_s=inf)
    return LiveSource(wire, Pump(reader), rules, tap=open_tap(tap, "plexnet", wired))


def _numbers(columns: Columns) -> list[str]:
    return [name.partition(":")[0] for name in columns.names]
