"""Intan RHX over TCP: spikes from port 5002, onsets from the digital-in word of the waveform blocks of port 5001.

RHX says nowhere which words a frame has. A block is 128 frames with rising timestamps, so its layout shows in the
bytes; that the layout changed in mid-run shows in the same way.
"""

import struct
from collections import deque
from fractions import Fraction
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from adapters.channels import NOT_COUNTED, Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.intan_commands import RunModeGuard, ask_sample_rate
from adapters.live import LiveSource
from adapters.patience import ask_for
from adapters.pump import CUT, Pump
from adapters.readers import TcpReader
from adapters.rules import Rules, parse_rules, port_number, ticks_per_second, whole
from adapters.tap import open_tap
from adapters.troubles import note
from adapters.unwrap import Unwrap

WAVEFORM, SPIKE = 0, 1
WAVEFORM_MAGIC, SPIKE_MAGIC = (0x2EF07A08).to_bytes(4, "little"), (0x3AE2710F).to_bytes(4, "little")
N_FRAMES = 128
MAX_WORDS = 2048
NEXT_BLOCKS = 3
"""How many magic numbers to look at for the next block: one may stand in the data by chance."""
SPIKE_BYTES = 14
ARTEFACT = 0x80
GRACE_S = Fraction(60, 1000)
"""Spikes come on a socket of their own; Nagle and delayed acknowledgements may hold them for 40 ms."""
MAX_EARLY = 100_000
"""Spikes that wait for the waveforms of their time: ten seconds of 384 channels at 26 Hz."""
WRAP = 1 << 32
_SPIKE = struct.Struct("<4s5sIB")


class IntanWire:
    """Two byte streams as events, in pieces of any size. After garbage it goes on at the next magic number."""

    name = "intan_rhx"

    def __init__(self, columns: Columns, rules: Rules, ticks_per_s: Fraction) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._rules, self._rate = rules, ticks_per_s
        self._grace = int(GRACE_S * ticks_per_s)
        self._clock = Unwrap(32, int(ticks_per_s))
        self._cut("we joined")

    @property
    def channels(self) -> tuple[str, ...]:
        """Amplifier channels by their native names, `A-000`; `A-000:1` is one unit."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what has become complete."""
        if chunk.port == CUT:
            self._cut(chunk.frames[0].decode())
            return []
        buffer = self._buffers[chunk.port]
        buffer += chunk.frames[0]
        return self._waveforms(buffer) if chunk.port == WAVEFORM else self._spikes(buffer)

    def _cut(self, why: str) -> None:
        self._why = why
        self._buffers = {WAVEFORM: bytearray(), SPIKE: bytearray()}
        self._n_words: int | None = None
        self._clock.last = None
        self._end = 0
        self._din: int | None = None
        self._ahead: deque[tuple[int, int]] = deque()
        """Spikes whose waveforms are still on their way."""
        self._early: deque[tuple[int, int]] = deque(maxlen=MAX_EARLY)
        """Spikes of a run whose waveforms are still to come."""

    # -- spikes

    def _spikes(self, buffer: bytearray) -> list[Event]:
        spikes = []
        while len(buffer) >= SPIKE_BYTES:
            if self._skip_to(SPIKE_MAGIC, buffer) and len(buffer) >= SPIKE_BYTES:
                _, name, timestamp, unit = _SPIKE.unpack_from(buffer)
                del buffer[:SPIKE_BYTES]
                column = NOT_COUNTED if unit == ARTEFACT else self.columns.of(name.decode("latin-1").rstrip("\0"), unit)
                if column != NOT_COUNTED:
                    spikes.append((timestamp, column))
        return self._placed(spikes)

    def _placed(self, spikes: list[tuple[int, int]]) -> list[Event]:
        """Return spikes near the waveforms' time; others wait for theirs, which may be those of another run."""
        found = []
        for timestamp, column in spikes:
            tick = self._clock.place(timestamp)
            if tick is not None:
                found.append((tick, column))
            elif self._clock.last is not None and (timestamp - self._clock.last) % WRAP < WRAP // 2:
                self._ahead.append((timestamp, column))
            else:
                self._early.append((timestamp, column))
        if len(self._early) == MAX_EARLY:
            note(self.troubles, "spikes come without waveforms: let RHX send a DIGITAL-IN on the waveform port")
        ticks, columns = np.array(found, np.int64).reshape(-1, 2).T
        return [*([Spikes(ticks, columns.astype(np.int32))] if found else []), *self._crowded()]

    def _crowded(self) -> list[Event]:
        """Drop the oldest of too many spikes that wait, and say where they are missing."""
        last, n = self._clock.last, len(self._ahead) - MAX_EARLY
        if last is None or n <= 0:
            return []
        note(self.troubles, "waveforms come long after the spikes of their time")
        places = [last + (self._ahead.popleft()[0] - last) % WRAP for _ in range(n)]
        return [Gap(min(places), max(places) + 1, f"{n} spikes that could not wait for their waveforms", n)]

    def _overtaken(self) -> list[Event]:
        """Return the spikes that waited, and whose time the waveforms have come near to."""
        near = []
        while self._ahead and self._clock.place(self._ahead[0][0]) is not None:
            near.append(self._ahead.popleft())
        return self._placed(near) if near else []

    def _skip_to(self, magic: bytes, buffer: bytearray) -> bool:
        """Return whether the buffer begins with the magic number, after dropping what is not part of it."""
        if buffer.startswith(magic):
            return True
        note(self.troubles, "bytes that are no block: is this really RHX's data port?")
        place = buffer.find(magic)
        del buffer[: place if place >= 0 else max(0, len(buffer) - len(magic) + 1)]
        return place >= 0

    # -- waveforms

    def _waveforms(self, buffer: bytearray) -> list[Event]:
        events: list[Event] = []
        while len(buffer) >= 4 + 4 * N_FRAMES and self._skip_to(WAVEFORM_MAGIC, buffer):
            frames = self._frames(buffer)
            if frames is None:
                break
            events += self._block(frames)
        return events

    def _frames(self, buffer: bytearray) -> NDArray[np.uint16] | None:
        """Return [128, 2 + n_words] a block's frames and take them from the buffer; None if it is not complete."""
        n_words = self._n_words
        if n_words is not None and len(buffer) < _block_bytes(n_words):
            return None
        if n_words is None or not _fits(buffer, n_words):
            n_words = self._find_layout(buffer)
            if n_words is None:
                return None
        frames = np.frombuffer(bytes(buffer[4 : _block_bytes(n_words)]), "<u2").reshape(N_FRAMES, 2 + n_words)
        del buffer[: _block_bytes(n_words)]
        return frames

    def _find_layout(self, buffer: bytearray) -> int | None:
        """Return the number of words a frame, from the distance to a next block; None if that has not come."""
        places = _places(WAVEFORM_MAGIC, buffer)
        found = next((n for n in map(_n_words, places) if n is not None and _fits(buffer, n)), None)
        if found is not None:
            if self._n_words not in (None, found):
                note(self.troubles, "the channels that RHX sends were changed while it ran: leave them alone in a run")
                self._clock.last, self._why = None, "the channels that are sent were changed"
            self._n_words = found
        elif len(places) >= NEXT_BLOCKS or len(buffer) > _block_bytes(MAX_WORDS):
            note(self.troubles, "a waveform block could not be read")
            self._clock.last, self._why = None, "a block could not be read"
            del buffer[:4]
        return found

    def _block(self, frames: NDArray[np.uint16]) -> list[Event]:
        first = int(frames[0, 0]) | int(frames[0, 1]) << 16
        events = self._follow(first)
        start = self._clock.last if self._clock.last is not None else first
        if frames.shape[1] > 2:
            events += self._digital(frames[:, -1], start)
        self._end = start + N_FRAMES
        self._clock.last = self._end - 1
        return [*events, *self._overtaken(), Watermark(self._end - self._grace)]

    def _follow(self, first: int) -> list[Event]:
        """Return what a block's first timestamp says: nothing, a gap, or a new beginning."""
        start = self._clock.place(first)
        if start is not None and start >= self._end:
            self._clock.last = start
            lost = start - self._end
            # A line that changed among what was lost shows its change at `start`: an edge there is doubtful too.
            return [Gap(self._end - self._grace, start + 1, f"{lost} lost samples", lost)] if lost else []
        why = self._why if self._clock.last is None else "the run was started again"
        self._clock.restart(first)
        self._din = None
        early = [*self._ahead, *self._early]
        self._ahead.clear()
        self._early.clear()
        # Who joins in mid-run may have missed spikes of the first blocks.
        whole_from = first if first < N_FRAMES else first + N_FRAMES + self._grace
        return [Begin(whole_from, self._rate, why), *self._placed(early)]

    def _digital(self, words: NDArray[np.uint16], start: int) -> list[Event]:
        """Return the changes of the digital-in word, which is the last one of a frame."""
        before = words[:1] if self._din is None else np.array([self._din], np.uint16)
        both = np.concatenate([before, words])
        self._din = int(words[-1])
        events: list[Event] = []
        changes = np.flatnonzero(both[1:] != both[:-1])
        values = [int(both[0]), *(int(both[at + 1]) for at in changes)]
        for at, (old, new) in zip(changes.tolist(), pairwise(values), strict=True):
            events += [Edge(start + at, line, bool(new >> line & 1)) for line in range(16) if (old ^ new) >> line & 1]
            value = self._rules.word(old, new)
            events += [Word(start + at, value)] if value else []
        return events


def intan_wire(channels: str, rate_hz: str, **options: str) -> tuple[IntanWire, Rules]:
    """Return what reads RHX's blocks, and the rules; a tap keeps these options."""
    rules, rate = parse_rules(options), ticks_per_second("rate_hz", rate_hz)
    return IntanWire(parse_channels(channels), rules, Fraction(rate)), rules


def intan_rhx(
    channels: str,
    host: str = "127.0.0.1",
    waveform_port: str = "5001",
    spike_port: str = "5002",
    command_port: str = "5000",
    rate_hz: str = "",
    wait_s: str = "0",
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that counts the spikes of these amplifier channels.

    RHX must be listening on its ports; if its sample rate has to be asked for, it has `wait_s` to begin.
    """
    parse_rules(options)
    parse_channels(channels)
    guards: list[RunModeGuard] = []
    ports = [port_number("waveform_port", waveform_port), port_number("spike_port", spike_port)]
    # RHX lets nobody in again who has left, until somebody clicks: so it is connected to when all else is well.
    opened = open_tap(tap, "intan_rhx")
    if not rate_hz:
        place, patience_s = (host, port_number("command_port", command_port)), whole("wait_s", wait_s)
        rate_hz, commands = ask_for(patience_s, lambda: ask_sample_rate(*place))
        guards.append(RunModeGuard(commands))
    wired = {"channels": channels, "rate_hz": rate_hz, **options}
    wire, rules = intan_wire(**wired)
    if opened is not None:
        opened.options = wired
    reader = TcpReader([(host, port) for port in ports], silent_s=inf)
    return LiveSource(wire, Pump(reader), rules, tap=opened, companions=guards)


def _block_bytes(n_words: int) -> int:
    return 4 + N_FRAMES * (4 + 2 * n_words)


def _places(magic: bytes, buffer: bytearray) -> list[int]:
    """Return where the next blocks may begin."""
    places: list[int] = []
    place = 0
    while len(places) < NEXT_BLOCKS and (place := buffer.find(magic, place + 1)) > 0:
        places.append(place)
    return places


def _n_words(block_bytes: int) -> int | None:
    """Return the number of words a frame has in a block of that size."""
    stride, rest = divmod(block_bytes - 4, N_FRAMES)
    return None if rest or stride < 4 or stride % 2 else (stride - 4) // 2


def _fits(buffer: bytearray, n_words: int) -> bool:
    """Return whether there is a whole block in which timestamps rise by one from frame to frame."""
    if len(buffer) < _block_bytes(n_words):
        return False
    stride = 4 + 2 * n_words
    first, second = (int.from_bytes(buffer[at : at + 4], "little") for at in (4, 4 + stride))
    if second != (first + 1) & 0xFFFFFFFF:
        return False
    frames = np.frombuffer(bytes(buffer[4 : _block_bytes(n_words)]), np.uint8).reshape(N_FRAMES, stride)
    stamps = np.ascontiguousarray(frames[:, :4]).view("<u4").ravel()
    return bool(np.all(np.diff(stamps) == 1))
