"""Our own ingest, for recording systems that can only be read by a program of their own: docs/bridge.md.

A bridge PUSHes messages, msgpack or JSON, here: a `hello` that says what there is, then `data` with a number that
rises by one: spikes, edges, words and the watermark.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from time import monotonic
from typing import Any

import msgpack
import numpy as np
import zmq

from adapters.channels import Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.history import Ticks
from adapters.live import LiveSource
from adapters.pump import CUT, Pump
from adapters.readers import ZmqReader
from adapters.rules import Rules, parse_rules, whole
from adapters.source import SourceError
from adapters.tap import open_tap
from adapters.troubles import note

ADDRESS = "tcp://127.0.0.1:5580"
MAX_MESSAGE_BYTES = 1 << 24
MAX_QUEUED = 100_000
MAX_TICK = 1 << 62
LEAST_AHEAD_S = 1
"""So far ahead of its watermark a message may be, or further if one was seen to be: the rest of what it says then is
of a time that the watermark comes to later."""
WAIT_S = "30"
_BROKEN = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError, msgpack.UnpackException)


class BridgeWire:
    """Bridge messages as events. What cannot be read counts as lost: the numbers tell."""

    name = "bridge"

    def __init__(self, columns: Columns | None = None) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._number = 0
        self._watermark: int | None = None
        self._ahead = 0
        self._cut = ""

    @property
    def channels(self) -> tuple[str, ...]:
        """What is counted: as the user said, or else as the first hello said."""
        return self.columns.names if self.columns else ()

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what a message says."""
        if chunk.port == CUT:
            self._cut = chunk.frames[0].decode()
            return []
        try:
            message = _unpacked(chunk.frames)
            return self._hello(message) if message["type"] == "hello" else self._data(message)
        except _BROKEN as error:
            note(self.troubles, f"a message of the bridge makes no sense ({type(error).__name__})")
            return []

    def _hello(self, message: dict[str, Any]) -> list[Event]:
        # Whatever is wrong with a hello, what was before it has ended.
        self._watermark = None
        names = [str(name) for name in message["channels"]]
        tick, (numerator, denominator) = _tick(message["tick"]), message["ticks_per_s"]
        rate = Fraction(int(numerator), int(denominator))
        if not 0 < rate <= 10**10:
            raise ValueError("no rate")
        columns = self.columns or Columns(names)
        if unknown := set(columns.names) - set(names):
            note(self.troubles, f"the bridge has no channel {', '.join(sorted(unknown)):.80}: see -o channels=")
            return []
        self.columns, self._names = columns, names
        self._number, self._watermark, self._ahead = 0, tick, round(LEAST_AHEAD_S * rate)
        return [Begin(tick, rate, f"{message.get('name', 'the bridge')} began to send")]

    def _data(self, message: dict[str, Any]) -> list[Event]:
        number = int(message["n"])
        if self._watermark is None or number <= self._number:
            return []
        watermark = max(self._watermark, _tick(message["watermark"]))
        events: list[Event] = [_spikes(message.get("spikes", ((), ())), self._to_columns)]
        events += [Edge(_tick(tick), int(line), bool(state)) for tick, line, state in message.get("edges", ())]
        events += [Word(_tick(tick), int(value)) for tick, value in message.get("words", ())]
        self._ahead = max([self._ahead, *(tick - watermark for tick in _latest(events))])
        lost = number - self._number - 1
        if lost or self._cut:
            # What was lost is of no earlier time than the last watermark, but it may have been ahead of this one.
            events.append(Gap(self._watermark, watermark + self._ahead, self._cut or f"{lost} lost messages", lost))
        self._number, self._watermark, self._cut = number, watermark, ""
        return [*events, Watermark(watermark)]

    def _to_columns(self, channels: Ticks) -> Ticks:
        """Return [n] the columns of places in the bridge's own list of channels."""
        if self.columns is None or (len(channels) and not 0 <= channels.min() <= channels.max() < len(self._names)):
            raise ValueError("no such channel")
        place = {name: column for column, name in enumerate(self.columns.names)}
        return np.array([place.get(name, -1) for name in self._names], np.int64)[channels]


def bridge_wire(channels: str, **options: str) -> tuple[BridgeWire, Rules]:
    """Return what reads a bridge's messages, and the rules; a tap keeps these options."""
    return BridgeWire(parse_channels(channels, units=False)), parse_rules(options)


def bridge(
    address: str = ADDRESS, channels: str = "", wait_s: str = WAIT_S, tap: str = "", **options: str
) -> LiveSource:
    """Return the source that a bridge program feeds: it listens at `address` and waits for the first hello."""
    rules = parse_rules(options)
    wire = BridgeWire(parse_channels(channels, units=False) if channels else None)
    zmq_socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PULL)
    zmq_socket.setsockopt(zmq.RCVHWM, MAX_QUEUED)
    zmq_socket.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    try:
        zmq_socket.bind(address)
    except zmq.ZMQError as error:
        zmq_socket.close(linger=0)
        raise SourceError(
            f"cannot listen at {address}: {error}. Is another adapter running? Try -o address=..."
        ) from error
    pump = Pump(ZmqReader(zmq_socket))
    try:
        columns, first = wait_for_channels(pump, BridgeWire(), whole("wait_s", wait_s)) if not channels else (None, [])
    except SourceError as error:
        pump.close()
        raise SourceError(f"{error} at {address}. Start the bridge, or name its channels: -o channels=a,b") from error
    wire = BridgeWire(columns or parse_channels(channels, units=False))
    wired = {"channels": ",".join(wire.channels), **options}
    return LiveSource(wire, pump, rules, tap=open_tap(tap, "bridge", wired), first=first)


def wait_for_channels(pump: Pump, wire: BridgeWire, wait_s: float) -> tuple[Columns, list[Chunk]]:
    """Return the channels of the first hello, and all that has come up to then; raise SourceError if none comes."""
    chunks: list[Chunk] = []
    began_s = monotonic()
    while monotonic() - began_s < wait_s:
        for chunk in pump.wait(0.1):
            chunks.append(chunk)
            wire.take(chunk)
        if wire.columns is not None:
            return Columns(wire.channels), chunks
    raise SourceError(f"no bridge said hello for {wait_s:g} s")


def _unpacked(frames: tuple[bytes, ...]) -> dict[str, Any]:
    [frame] = frames
    message = json.loads(frame) if frame[:1] == b"{" else msgpack.unpackb(frame, raw=False)
    if not isinstance(message, dict):
        raise TypeError("not a map")
    return message


def _latest(events: Iterable[Event]) -> Iterator[int]:
    """Yield the last tick of each event that has one."""
    for event in events:
        if isinstance(event, Spikes) and len(event.ticks):
            yield int(event.ticks.max())
        elif isinstance(event, Edge | Word):
            yield event.tick


def _tick(value: Any) -> int:
    tick = int(value)
    if tick != value or abs(tick) > MAX_TICK:
        raise ValueError("not a tick")
    return tick


def _spikes(pair: Iterable[Any], to_columns: Callable[[Ticks], Ticks]) -> Spikes:
    ticks, channels = (_integers(each) for each in pair)
    if len(ticks) != len(channels):
        raise ValueError("as many ticks as channels")
    columns = to_columns(channels)
    counted = columns >= 0
    return Spikes(ticks[counted], columns[counted].astype(np.int32))


def _integers(values: bytes | list[int]) -> Ticks:
    """Return little-endian int64 bytes, or a list, as an array."""
    array = np.frombuffer(values, "<i8") if isinstance(values, bytes) else np.array(values, np.int64)
    if array.ndim != 1 or (len(array) and max(-int(array.min()), int(array.max())) > MAX_TICK):
        raise ValueError("not ticks")
    return array.astype(np.int64)
