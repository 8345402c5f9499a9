"""TDT RZ processors through their UDP interface: packets of spike counts in bins, as the circuit in the RZ packs them.

The interface has no clock and no numbers of its own, and datagrams may be lost, so the circuit must send both: word 0
is the number of the bin, which rises by one a packet, word 1 the digital lines at its end, and the rest the sort-code
binner's counts, 4 bits each. Times are known to a bin, no better.
"""

import logging
import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.channels import NOT_COUNTED, Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.live import LiveSource
from adapters.pump import CUT, Pump
from adapters.readers import DATAGRAM_BYTES, MAX_READS, UDP_BUFFER_BYTES, Read
from adapters.rules import Rules, parse_rules, port_number, whole
from adapters.source import SourceError
from adapters.synapse import PORT as SYNAPSE
from adapters.synapse import synapse_guard
from adapters.tap import open_tap
from adapters.troubles import note
from adapters.unwrap import Unwrap
from adapters.windows import Window

PORT = "22022"
MAGIC, DATA, SET_REMOTE = 0x55AA, 0, 2
HEAD = struct.Struct(">HBB")
ASK = HEAD.pack(MAGIC, SET_REMOTE, 0)
"""Send to me. It is all that is ever sent."""
ASK_EVERY_S = 1.0
"""While nothing comes: the RZ forgets whom to send to when it is restarted."""
N_HEAD_WORDS = 2
BITS, PER_WORD = 4, 8
FULL = (1 << BITS) - 1
"""A count that may be more than it says."""
N_LINES = 32
REPEATED = 64
"""By how many bins a packet may come again, or behind a later one."""
MAX_BIN_S = 0.005
"""An onset is known to a bin: with longer ones, windows would begin anywhere."""
log = logging.getLogger(__name__)


class TdtWire:
    """Packets as events. Ticks are samples of the RZ; what is in a bin stands at its beginning."""

    name = "tdt"

    def __init__(self, columns: Columns, rules: Rules, ticks_per_s: Fraction, bin_samples: int, codes: int) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._rate, self._bin, self._codes = ticks_per_s, bin_samples, codes
        self._rules = rules
        self._last_channel = max(int(name.partition(":")[0]) for name in columns.names)
        self._bins = Unwrap(32, int(ticks_per_s / bin_samples))
        self._lines = 0
        self._why = "we joined"

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels of the binner by number from 1, `5`; `5:1` is the first of its sort codes."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what a packet says."""
        if chunk.port == CUT:
            self._why, self._bins.last = chunk.frames[0].decode(), None
            return []
        try:
            words = _words(chunk.frames[0])
            if words is not None and self._last_channel * self._codes > PER_WORD * (len(words) - N_HEAD_WORDS):
                raise ValueError(f"it ends before channel {self._last_channel}, {self._codes} codes each")
        except (ValueError, struct.error) as error:
            note(self.troubles, f"a packet could not be read: {error}")
            return []
        return [] if words is None else self._packet(words)

    def _packet(self, words: NDArray[np.uint32]) -> list[Event]:
        number, lines = int(words[0]), int(words[1])
        last, bin_number = self._bins.last, self._bins.place(number)
        if last is not None and bin_number is not None and last - REPEATED < bin_number <= last:
            return []
        if last is None or bin_number is None or bin_number <= last:
            opening, bin_number = self._begin(number), number
            self._lines = lines
        else:
            opening = self._missing(last + 1, bin_number)
        self._bins.last = bin_number
        tick = bin_number * self._bin
        return [*opening, *self._changes(tick, lines), *self._spikes(tick, words), Watermark(tick + self._bin)]

    def _begin(self, number: int) -> list[Event]:
        why = self._why if self._bins.last is None else "the numbers of the bins jumped"
        return [Begin(number * self._bin, self._rate, why)]

    def _missing(self, expected: int, number: int) -> list[Event]:
        lost = number - expected
        # A line that changed among what was lost shows its change only now: this bin's edges are doubtful too.
        return [Gap(expected * self._bin, (number + 1) * self._bin, f"{lost} lost packets", lost)] if lost else []

    def _changes(self, tick: int, lines: int) -> list[Event]:
        before, self._lines = self._lines, lines
        both = before ^ lines
        if not both:
            return []
        events: list[Event] = [Edge(tick, n, bool(lines >> n & 1)) for n in range(N_LINES) if both >> n & 1]
        value = self._rules.word(before, lines)
        return [*events, Word(tick, value)] if value else events

    def _spikes(self, tick: int, words: NDArray[np.uint32]) -> list[Event]:
        """Return a bin's spikes, those of one column a sample apart, since no two are at once."""
        if not words[N_HEAD_WORDS:].any():
            return []
        counts = (words[N_HEAD_WORDS:, None] >> np.arange(0, BITS * PER_WORD, BITS, dtype=np.uint32) & FULL).ravel()
        if (counts == FULL).any():
            note(self.troubles, f"a bin holds {FULL} spikes or more, and says no higher number: make bins shorter")
        n_spikes: dict[int, int] = {}
        doubtful = False
        for place in np.flatnonzero(counts).tolist():
            channel, code = divmod(place, self._codes)
            column = self.columns.of(str(channel + 1), code + 1)
            if column != NOT_COUNTED:
                n_spikes[column] = n_spikes.get(column, 0) + int(counts[place])
                doubtful |= bool(counts[place] == FULL)
        if any(n > self._bin for n in n_spikes.values()):
            note(self.troubles, "a bin holds more spikes than samples: is the number of sort codes right?")
            doubtful = True
        pairs = [(tick + n, column) for column, most in n_spikes.items() for n in range(min(most, self._bin))]
        ticks, columns = np.array(pairs, np.int64).reshape(-1, 2).T
        gaps = [Gap(tick, tick + self._bin, "a bin that may hold more spikes than it says")] if doubtful else []
        return [*gaps, Spikes(ticks, columns.astype(np.int32))] if pairs else []


class RzReader:
    """Asks one RZ for its packets, and again while none come."""

    def __init__(self, address: tuple[str, int], clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_BUFFER_BYTES)
        self._socket.connect(address)
        self._socket.setblocking(False)
        self._heard_s = -ASK_EVERY_S

    def read(self, wait_s: float) -> Read:
        """Return the datagrams that have come."""
        datagrams: Read = []
        # An RZ that is switched off may refuse, and a network that is away has no way to it: no more than silence.
        with suppress(OSError):
            if self._clock() - self._heard_s >= ASK_EVERY_S:
                self._heard_s = self._clock()
                self._socket.send(ASK)
            if select.select([self._socket], [], [], wait_s)[0]:
                while len(datagrams) < MAX_READS:
                    datagrams.append((0, (self._socket.recv(DATAGRAM_BYTES),)))
        if datagrams:
            self._heard_s = self._clock()
        return datagrams

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class RzSource(LiveSource):
    """Counts in whole bins, and says at the beginning of a session where its windows are then."""

    bin_samples, ticks_per_s = 1, Fraction(1)

    def begin(self, settings: dict[str, Any]) -> None:
        """Start afresh for a session."""
        super().begin(settings)
        for name, wished_s in (("response", self._windows.response_s), ("baseline", self._windows.baseline_s)):
            counted_s = in_bins(wished_s, self.ticks_per_s, self.bin_samples)
            if counted_s != wished_s:
                log.info("tdt: the %s window of %s is %s in whole bins", name, _ms(wished_s), _ms(counted_s))


def in_bins(window_s: tuple[float, float], ticks_per_s: Fraction, bin_samples: int) -> tuple[float, float]:
    """Return where a window begins and ends in whole bins, to the microsecond."""
    window = Window.of(window_s, ticks_per_s)
    start, end = (-(-tick // bin_samples) * bin_samples / ticks_per_s for tick in (window.start, window.end))
    return round(float(start), 6), round(float(end), 6)


def tdt_wire(channels: str, bin_samples: str, codes: str, rate_hz: str, **options: str) -> tuple[TdtWire, Rules]:
    """Return what reads an RZ's packets, and the rules; a tap keeps these options."""
    rules = parse_rules(options)
    if not bin_samples:
        raise SourceError("say how many samples of the RZ a bin has, as its circuit counts them: -o bin_samples=24")
    rate, n_samples, n_codes = _rate(rate_hz), whole("bin_samples", bin_samples), whole("codes", codes)
    if not 0 < n_samples <= MAX_BIN_S * rate:
        raise SourceError(f"bins must last {1000 * MAX_BIN_S:g} ms at most, got {float(1000 * n_samples / rate):.3g}.")
    columns = parse_channels(channels)
    for name in columns.names:
        _check_channel(name, n_codes)
    return TdtWire(columns, rules, rate, n_samples, n_codes), rules


def tdt(
    channels: str,
    host: str = "10.1.0.100",
    port: str = PORT,
    bin_samples: str = "",
    codes: str = "4",
    rate_hz: str = "24414.0625",
    synapse_host: str = "",
    synapse_port: str = str(SYNAPSE),
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that an RZ's UDP interface feeds; `bin_samples` and `codes` are as its circuit has them."""
    wired = {"channels": channels, "bin_samples": bin_samples, "codes": codes, "rate_hz": rate_hz, **options}
    wire, rules = tdt_wire(**wired)
    try:
        reader = RzReader((host, port_number("port", port)))
    except OSError as error:
        raise SourceError(f"no way to the RZ at {host}: {error}.") from error
    guards = [synapse_guard(synapse_host, port_number("synapse_port", synapse_port))] if synapse_host else []
    source = RzSource(wire, Pump(reader), rules, tap=open_tap(tap, "tdt", wired), companions=guards)
    source.bin_samples, source.ticks_per_s = int(bin_samples), _rate(rate_hz)
    return source


def _ms(window_s: tuple[float, float]) -> str:
    return f"{1000 * window_s[0]:g} to {1000 * window_s[1]:g} ms"


def _check_channel(name: str, n_codes: int) -> None:
    """Raise SourceError unless a name is a number from 1, or such a number and one of the sort codes."""
    channel, colon, code = name.partition(":")
    is_code = not colon or (code.isdecimal() and 0 < int(code) <= n_codes)
    if not (channel.isdecimal() and int(channel) and is_code):
        raise SourceError(f"channels of TDT are numbers from 1, such as 5, or 5:1 to 5:{n_codes}, got {name!r}.")


def _rate(text: str) -> Fraction:
    """Return the exact rate: 24414.0625 is 390625/16."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 1000 <= rate <= 10**6:
        raise SourceError(f"rate_hz must be the RZ's samples a second, such as 24414.0625, got {text!r}.")
    return rate


def _words(datagram: bytes) -> NDArray[np.uint32] | None:
    """Return the words of a data packet, None for a packet that carries no data."""
    magic, command, n_words = HEAD.unpack_from(datagram)
    if magic != MAGIC:
        raise ValueError("it does not begin as TDT's do")
    if command != DATA:
        return None
    if n_words <= N_HEAD_WORDS or len(datagram) != HEAD.size + 4 * n_words:
        raise ValueError("its words are not those of a number, the lines and the counts")
    return np.frombuffer(datagram, ">u4", offset=HEAD.size).astype(np.uint32)
