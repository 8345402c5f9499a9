"""Open Ephys GUI through its ZMQ Interface plugin: threshold spikes and TTL lines of one stream; nothing is sent.

Within a block of samples the plugin sends events and spikes first and DATA after them, so that DATA for
[s, s + n) says: all spikes before s + n - 100 have come. (The Spike Detector holds 100 samples back.)
"""

import json
import struct
from fractions import Fraction
from itertools import product
from math import isfinite
from typing import Any

from adapters.channels import NOT_COUNTED, Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Watermark, Word, one_spike
from adapters.live import LiveSource
from adapters.open_ephys_events import BroadcastLines
from adapters.open_ephys_http import recording_guard
from adapters.pump import CUT, Pump
from adapters.rules import MS_PER_S, Rules, parse_rules, port_number, whole
from adapters.source import SourceError
from adapters.tap import open_tap
from adapters.troubles import note
from adapters.zmq_readers import ZmqReaders, subscribed

EVENTS = 1
"""The port of the Event Broadcaster, if there is one; the ZMQ Interface has 0."""
HOLD_BACK = 100
"""Samples at the end of a block that the Spike Detector leaves for the next one."""
MAX_QUEUED = 100_000
"""Messages: 384 channels send 18,000 a second. What is lost beyond is seen by its number."""
EVENTS_GRACE_MS = "100"
"""By how much the Event Broadcaster's lines may come behind the data of their time: four blocks."""
MAX_WAITING = 100_000
"""Spikes and events of a block: more are no block's, but come without DATA."""
MAX_MISSING_BRACES = 4
CUT_SHORT = "headers come cut short: rename the streams and electrodes that are not ASCII"
_TTL = struct.Struct("<BBQ")


class OpenEphysWire:
    """Messages of the ZMQ Interface as events. The number that each message has shows what was lost.

    With `events_stream` (empty = that of the spikes) lines come from the Event Broadcaster instead, `events_grace_ms`
    behind the data of their time at most.
    """

    name = "open_ephys"

    def __init__(
        self, columns: Columns, rules: Rules, events_stream: str | None = None, events_grace_ms: int = 0
    ) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._broadcast = None if events_stream is None else BroadcastLines(events_stream, rules, self.troubles)
        self._grace_ms = events_grace_ms
        self._shift, self._mask = rules.line, (1 << rules.word_bits) - 1
        self._start_anew(whole=False)

    @property
    def channels(self) -> tuple[str, ...]:
        """Electrodes, by the names that the Spike Detector gives them."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what a message says; events wait for the DATA of their block."""
        if chunk.port == CUT:
            self._lost += 1
            self._why = chunk.frames[0].decode()
            return []
        if chunk.port == EVENTS:
            if self._broadcast is not None:
                self._broadcast.hear(chunk.frames)
            return []
        try:
            header = self._header(chunk.frames)
            if not self._follows(header["message_num"]):
                return []
            match header["type"]:
                case "data":
                    return self._data(header["content"])
                case "spike":
                    self._spike(header["spike"])
                case "event":
                    self._event(header["content"], chunk.frames[2])
            if len(self._waiting) > MAX_WAITING:
                self._without_data()
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError, struct.error) as error:
            # It may have been a spike: what it was is lost.
            note(self.troubles, f"a message could not be read ({type(error).__name__})")
            self._lost += 1
        return []

    def _start_anew(self, whole: bool) -> None:
        """Expect a first block; `whole` = nothing of it was missed."""
        self._whole = whole
        self._number = 0
        self._lost = 0
        self._why = ""
        self._block: tuple[int, int] | None = None
        self._rate = Fraction(0)
        self._waiting: list[Event] = []
        if self._broadcast is not None:
            self._broadcast.forget()

    def _without_data(self) -> None:
        """Drop what waits for a block that does not come."""
        note(self.troubles, "spikes and events come without DATA: let the ZMQ Interface send one channel")
        self._lost += len(self._waiting)
        self._waiting.clear()
        if self._broadcast is not None:
            self._broadcast.forget()

    def _header(self, frames: tuple[bytes, ...]) -> dict[str, Any]:
        header = self._parsed(frames[1])
        if "message_no" in header:
            note(self.troubles, "this is the ZMQ Interface of GUI 0.5 or older, which is not understood: update it")
        if not isinstance(header["message_num"], int):
            raise TypeError("no message number")
        return header

    def _parsed(self, text: bytes) -> dict[str, Any]:
        """Return the header; the plugin cuts off its end, a byte or two for each letter that is not ASCII."""
        whole_fields = text[: max(0, text.rfind(b","))]
        for kept, n_missing in product((text, whole_fields), range(MAX_MISSING_BRACES + 1)):
            try:
                header: dict[str, Any] = json.loads(kept + b"}" * n_missing)
            except ValueError:
                continue
            if n_missing:
                note(self.troubles, CUT_SHORT)
            return header
        if not text.isascii():
            note(self.troubles, CUT_SHORT)
        raise ValueError("no JSON")

    def _follows(self, number: int) -> bool:
        """Return whether a message is news; fewer is a new acquisition, and more by two or more a loss."""
        if number == self._number:
            return False
        if number < self._number or not self._number:
            self._start_anew(whole=number == 1)
        else:
            self._lost += number - self._number - 1
        self._number = number
        return True

    def _spike(self, spike: dict[str, Any]) -> None:
        column, tick = self.columns.of(str(spike["electrode"]), int(spike["sorted_id"])), int(spike["sample_num"])
        if self._broadcast is not None:
            self._broadcast.see_spike(tick)
        if column != NOT_COUNTED:
            self._waiting.append(one_spike(tick, column))

    def _event(self, event: dict[str, Any], payload: bytes) -> None:
        if event["type"] != 3 or self._broadcast is not None:
            return
        line, state, word = _TTL.unpack(payload)
        tick = int(event["sample_num"])
        self._waiting.append(Edge(tick, line, bool(state)))
        value = (word >> self._shift) & self._mask
        if value and (1 << line >> self._shift) & self._mask:
            self._waiting.append(Word(tick, value))

    def _data(self, data: dict[str, Any]) -> list[Event]:
        start, end = int(data["sample_num"]), int(data["sample_num"]) + int(data["num_samples"])
        if self._block is not None and start == self._block[0]:
            return []
        rate = _rate(data["sample_rate"])
        events, self._waiting = self._waiting, []
        opening = self._opening(start, end, rate)
        self._block, self._rate, self._lost, self._why = (start, end), rate, 0, ""
        whole_to = end - HOLD_BACK - int(self._grace_ms * rate / int(MS_PER_S))
        if self._broadcast is not None:
            events += self._broadcast.settle(str(data["stream"]), whole_to, rate)
        return [*opening, *events, Watermark(whole_to)]

    def _opening(self, start: int, end: int, rate: Fraction) -> list[Event]:
        """Return what a block says about the record before it: it begins, it lacks something, or nothing."""
        if self._block is None:
            whole = self._whole and not self._lost
            return [Begin(start if whole else end, rate, "the acquisition began" if whole else "we joined")]
        last = self._block[1]
        if not last <= start <= last + rate or rate != self._rate:
            return [Begin(end, rate, f"the sample numbers jumped from {last} to {start}")]
        if self._lost:
            return [Gap(last - HOLD_BACK, end, self._why or f"{self._lost} lost messages", self._lost)]
        return [Gap(last - HOLD_BACK, start, f"{start - last} lost samples")] if start > last else []


def open_ephys_wire(
    channels: str, events_port: str, events_stream: str, events_grace_ms: str, **options: str
) -> tuple[OpenEphysWire, Rules]:
    """Return what reads the plugins' messages, and the rules; a tap keeps these options."""
    rules, columns = parse_rules(options), parse_channels(channels)
    if events_port:
        return OpenEphysWire(columns, rules, events_stream, whole("events_grace_ms", events_grace_ms)), rules
    return OpenEphysWire(columns, rules), rules


def open_ephys(
    channels: str = "",
    host: str = "127.0.0.1",
    port: str = "5556",
    http_port: str = "37497",
    events_port: str = "",
    events_stream: str = "",
    events_grace_ms: str = EVENTS_GRACE_MS,
    wait_s: str = "3",
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that counts the spikes of these electrodes, as the GUI names them."""
    rules = parse_rules(options)
    if (events_stream or events_grace_ms != EVENTS_GRACE_MS) and not events_port:
        raise SourceError("events_stream and events_grace_ms are of the Event Broadcaster: say its events_port too.")
    ports = [port_number("port", port), *([port_number("events_port", events_port)] if events_port else [])]
    pump = Pump(ZmqReaders([subscribed(f"tcp://{host}:{each}", MAX_QUEUED) for each in ports]))
    wired = {
        "channels": channels,
        "events_port": events_port,
        "events_stream": events_stream,
        "events_grace_ms": events_grace_ms,
        **options,
    }
    try:
        if not channels:
            _list_seen(pump, rules, whole("wait_s", wait_s))
        wire, rules = open_ephys_wire(**wired)
    except SourceError:
        pump.close()
        raise
    guard = recording_guard(host, port_number("http_port", http_port))
    return LiveSource(wire, pump, rules, tap=open_tap(tap, "open_ephys", wired), companions=[guard])


def _list_seen(pump: Pump, rules: Rules, wait_s: float) -> None:
    """Raise SourceError with the electrodes that spike: a list that is guessed would not be the same tomorrow."""
    wire = OpenEphysWire(Columns(["?"]), rules)
    n_blocks = 0
    for _ in range(round(wait_s * 10)):
        n_blocks += sum(isinstance(event, Watermark) for chunk in pump.wait(0.1) for event in wire.take(chunk))
    if not n_blocks:
        raise SourceError("no DATA came from the ZMQ Interface. Start the acquisition, and let it send one channel.")
    raise SourceError(
        f"say which electrodes to count: -o channels=... Seen: {', '.join(sorted(wire.columns.uncounted))}."
    )


def _rate(value: Any) -> Fraction:
    if not isfinite(value) or not 100 <= value <= 1e6:
        raise ValueError("no sample rate")
    return Fraction(value)
