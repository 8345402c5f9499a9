"""Blackrock Cerebus, NeuroPort and Gemini: the UDP packets that an instrument broadcasts. Never a byte is sent.

Each monitor packet says how many packets were sent since the last one. Packets may change places with a monitor, so a
loss is what is still missing two monitors later, and the watermark stands two monitors and a waveform back.
"""

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from adapters.channels import NOT_COUNTED, Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Watermark, Word, one_spike
from adapters.live import LiveSource
from adapters.pump import CUT, Pump
from adapters.readers import UdpReader
from adapters.rules import Rules, choice, parse_rules, port_number, whole
from adapters.source import SourceError
from adapters.tap import open_tap
from adapters.troubles import note
from adapters.unwrap import Unwrap

HEADERS = {"3.11": "<IHBB", "4.0": "<QHBHBH", "4.1": "<QHHHBB"}
"""time, channel, type, length in 32-bit words, and what we need not know."""
CLOCKS = {"samples": 30_000, "ns": 1_000_000_000}
CONFIGURATION, MONITOR = 0x8000, 0x01
N_SPIKE_CHANNELS = 272
NOISE = 255
STROBE = 2
SETTLE = 3
"""Monitors, 10 ms apart, over which packets may have changed places."""
WAVEFORM_MS = 5
"""A spike bears the time of its threshold crossing and is sent with its waveform, which has 128 samples at most."""
KNOWN_DATAGRAMS = 64
MAX_TIME = 1 << 62
BROADCAST_PORT = "51002"


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet of a datagram."""

    time: int
    channel: int
    kind: int
    payload: bytes


def packets(datagram: bytes, header: struct.Struct) -> Iterator[Packet]:
    """Yield the packets of a datagram; raise ValueError where one is cut off."""
    place = 0
    while place < len(datagram):
        if place + header.size > len(datagram):
            raise ValueError("a header is cut off")
        time, channel, kind, n_words, *_ = header.unpack_from(datagram, place)
        place += header.size
        if place + 4 * n_words > len(datagram):
            raise ValueError("a packet is cut off")
        yield Packet(time, channel, kind, datagram[place : place + 4 * n_words])
        place += 4 * n_words


class Balance:
    """Packets sent less packets received, as it settles; a comparison by interval would see losses that are none."""

    def __init__(self) -> None:
        self._total = self._settled = 0
        self._recent: deque[int] = deque(maxlen=SETTLE)

    def settle(self, n_sent: int, n_received: int) -> int:
        """Take an interval; return how many more packets are lost for good."""
        self._total += n_sent - n_received
        self._recent.append(self._total)
        lost = min(self._recent) - self._settled
        if len(self._recent) < SETTLE:
            return 0
        self._settled += lost
        return max(0, lost)


class BlackrockWire:
    """Datagrams as events, for one version of the protocol and one kind of clock."""

    name = "blackrock"

    def __init__(self, columns: Columns, rules: Rules, protocol: str, clock: str, digital_channel: int) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._header = struct.Struct(HEADERS[protocol])
        self._rate = CLOCKS[clock]
        self._delay = self._rate * WAVEFORM_MS // 1000
        self._known: deque[bytes] = deque(maxlen=KNOWN_DATAGRAMS)
        """The last datagrams: one that comes twice would make up for one that is lost."""
        self._bits = 32 if protocol == "3.11" else 64
        self._digital = digital_channel
        self._shift, self._mask = rules.line, (1 << rules.word_bits) - 1
        self._start_anew("we joined")

    @property
    def channels(self) -> tuple[str, ...]:
        """Front-end channels by number, `5`; `5:1` is one unit, `5:0` the unsorted."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what a datagram says."""
        if chunk.port == CUT:
            self._start_anew(chunk.frames[0].decode())
            return []
        datagram = chunk.frames[0]
        if datagram in self._known:
            return []
        self._known.append(datagram)
        events: list[Event] = []
        try:
            for packet in packets(datagram, self._header):
                self._n_received += 1
                events += self._packet(packet)
        except (ValueError, struct.error):
            note(self.troubles, "a datagram could not be read: is the protocol's version right?")
        return events

    def _start_anew(self, why: str) -> None:
        self._why = why
        self._clock = Unwrap(self._bits, self._rate)
        self._balance = Balance()
        self._times: deque[int] = deque(maxlen=SETTLE)
        self._n_received = 0
        self._counter: int | None = None
        self._port = 0

    def _packet(self, packet: Packet) -> list[Event]:
        if packet.channel == CONFIGURATION:
            return self._monitor(packet) if packet.kind == MONITOR else []
        tick = self._clock.place(packet.time)
        if tick is None:
            return []
        if packet.channel == self._digital:
            return self._word(tick, *struct.unpack_from("<III", packet.payload))
        if 1 <= packet.channel <= N_SPIKE_CHANNELS and packet.kind != NOISE:
            column = self.columns.of(str(packet.channel), packet.kind)
            return [one_spike(tick, column)] if column != NOT_COUNTED else []
        return []

    def _word(self, tick: int, value: int, changed: int, kind: int) -> list[Event]:
        value &= 0xFFFF
        before, self._port = self._port, value
        if kind == STROBE:
            word = (value >> self._shift) & self._mask
            return [Word(tick, word)] if word else []
        both = before ^ value
        return [Edge(tick, line, bool(value >> line & 1)) for line in range(16) if both >> line & 1]

    def _monitor(self, packet: Packet) -> list[Event]:
        n_sent, counter = struct.unpack_from("<II", packet.payload)
        if packet.time >= MAX_TIME:
            raise ValueError("no time")
        n_received, self._n_received = self._n_received, 0
        tick = self._clock.place(packet.time)
        if tick is None or (self._times and tick < self._times[-1]):
            return self._begin(packet.time, counter)
        if counter == self._counter:
            # This very monitor was there: the packets since are to be counted with the next.
            self._n_received = n_received
            return []
        events: list[Event] = []
        skipped = (counter - (self._counter or 0) - 1) & 0xFFFFFFFF
        lost = self._balance.settle(n_sent, n_received) if not skipped else 0
        if skipped:
            self._balance = Balance()
        if lost or skipped:
            reason = f"{lost} lost packets" if lost else "lost packets, and monitors with them"
            events.append(Gap(self._times[0] - self._delay, tick, reason, lost))
        self._clock.last, self._counter = tick, counter
        self._times.append(tick)
        return [*events, Watermark(self._times[0] - self._delay)]

    def _begin(self, time: int, counter: int) -> list[Event]:
        why = self._why if self._clock.last is None else "the instrument's clock jumped"
        if len(self._times) == 1:
            note(
                self.troubles, "the instrument's clock jumps again and again: Gemini needs -o clock=ns, others samples"
            )
        self._start_anew(why)
        self._counter = counter
        self._times.append(self._clock.restart(time))
        return [Begin(time, Fraction(self._rate), why)]


def blackrock_wire(
    channels: str, protocol: str, clock: str, digital_channel: str, **options: str
) -> tuple[BlackrockWire, Rules]:
    """Return what reads an instrument's packets, and the rules; a tap keeps these options."""
    rules = parse_rules(options)
    choice("protocol", protocol, HEADERS)
    choice("clock", clock, CLOCKS)
    columns = parse_channels(channels)
    return BlackrockWire(columns, rules, protocol, clock, whole("digital_channel", digital_channel)), rules


def blackrock(
    channels: str,
    host: str = "",
    port: str = BROADCAST_PORT,
    protocol: str = "4.1",
    clock: str = "samples",
    digital_channel: str = "279",
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that listens for an instrument's broadcast. `clock` is ns on Gemini, samples otherwise."""
    wired = {"channels": channels, "protocol": protocol, "clock": clock, "digital_channel": digital_channel, **options}
    wire, rules = blackrock_wire(**wired)
    try:
        reader = UdpReader(host, port_number("port", port))
    except OSError as error:
        raise SourceError(
            f"cannot listen at UDP port {port}: {error}. Central runs on another PC, does it not?"
        ) from error
    return LiveSource(wire, Pump(reader), rules, tap=open_tap(tap, "blackrock", wired))
