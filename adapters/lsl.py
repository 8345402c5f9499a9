"""Lab Streaming Layer: spikes as [channel, unit] samples, onsets as markers, and a stream that tells the time.

LSL carries the clocks of hosts, not of amplifiers: whatever lies between the electrode and the outlet is a constant
delay that only a photodiode recorded by the same device can show.
"""

import json
from collections.abc import Callable
from fractions import Fraction
from math import isfinite
from time import monotonic, sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.channels import NOT_COUNTED, Columns, parse_channels
from adapters.events import Begin, Chunk, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.live import LiveSource
from adapters.pump import CUT, Pump
from adapters.readers import RETRY_S, Read
from adapters.rules import MS_PER_S, Rules, choice, parse_rules, whole
from adapters.source import SourceError
from adapters.tap import open_tap
from adapters.troubles import note

SPIKES, MARKERS, TIME = 0, 1, 2
TICKS_PER_S = 1_000_000
JUMP = 60 * TICKS_PER_S
"""Further the time does not go from one sample to the next: a minute, since a network may have been away."""
MAX_S = 1e9
TOLD_EDGES = ("rising",)
"""A marker "onset" has no end."""
MAX_WAITING = 100_000
PAUSE_S = 0.005
RESOLVE_S = 1.0
MAX_SAMPLES = 10_000
"""At a time."""
MAX_READS = 1000
BUFFER_S = {SPIKES: 36_000, MARKERS: 360, TIME: 360}
"""How much liblsl holds for us. For a stream without a rate it takes 100 samples a second: 36,000 spikes would be a few
seconds of many channels, and what does not fit is dropped without a word."""


class LslWire:
    """What inlets gave as events; ticks are microseconds of this host's LSL clock."""

    name = "lsl"

    def __init__(self, columns: Columns, grace_ms: int) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._grace = int(grace_ms * TICKS_PER_S / MS_PER_S)
        self._why = "we joined"
        self._last: int | None = None
        self._waiting: list[Event] = []
        """What came since the time was last told."""
        self._unread = False

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels by the number in the first value of a spike, `5`; `5:1` is one unit."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what some samples say."""
        if chunk.port == CUT:
            self._why, self._last = chunk.frames[0].decode(), None
            self._waiting.clear()
            self._unread = False
            return []
        try:
            ticks = _ticks(chunk.frames[0])
            if chunk.port == TIME:
                return self._time(int(ticks.min()), int(ticks.max())) if len(ticks) else []
            read = self._spikes if chunk.port == SPIKES else self._markers
            self._waiting += read(ticks, chunk.frames[1])
        except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
            note(self.troubles, f"samples could not be read ({type(error).__name__})")
            self._unread = True
        if len(self._waiting) > MAX_WAITING:
            note(self.troubles, "spikes come, but no stream tells the time: see the watermark option")
            self._waiting.clear()
            self._last = None
        return []

    def _spikes(self, ticks: NDArray[np.int64], values: bytes) -> list[Event]:
        pairs = np.frombuffer(values, "<i4").reshape(len(ticks), 2)
        columns = np.array([self.columns.of(str(channel), unit) for channel, unit in pairs.tolist()], np.int32)
        counted = columns != NOT_COUNTED
        return [Spikes(ticks[counted], columns[counted])] if counted.any() else []

    def _markers(self, ticks: NDArray[np.int64], values: bytes) -> list[Event]:
        texts = json.loads(values)
        if len(texts) != len(ticks):
            raise ValueError("as many markers as times")
        marks = [_marker(tick, text) for tick, text in zip(ticks.tolist(), texts, strict=True)]
        return [mark for mark in marks if mark is not None]

    def _time(self, first: int, last: int) -> list[Event]:
        """Return what has waited for the time to be told."""
        events, self._waiting = self._waiting, []
        if self._last is None or not -self._grace <= first - self._last <= JUMP:
            # The time comes in pieces that begin before we joined, and spikes in none.
            events.insert(0, Begin(first + self._grace, Fraction(TICKS_PER_S), self._why))
            self._why = "the time of the stream jumped"
        elif self._unread:
            start, end = self._last - self._grace, last + self._grace
            events.append(Gap(start, end, "samples that could not be read"))
        self._unread = False
        self._last = last
        return [*events, Watermark(last - self._grace)]


class LslReader:
    """Three inlets, read in one thread; if one is lost all are looked for afresh."""

    def __init__(self, streams: tuple[str, str, str], clock: Callable[[], float] = monotonic) -> None:
        self._streams, self._clock = streams, clock
        self._inlets: list[Any] = []
        self._tried_s = -RETRY_S

    def read(self, wait_s: float) -> Read:
        """Return the samples that have come: those that tell the time last."""
        import pylsl

        if not self._inlets:
            return self._connect(wait_s)
        samples: Read = []
        try:
            # The time is pulled first: what is pulled after it, and to its end, has been sent by then.
            pulled = {TIME: self._inlets[TIME].pull_chunk(0.0, MAX_SAMPLES)}
            pulled |= {port: _all_of(self._inlets[port]) for port in (SPIKES, MARKERS)}
        except pylsl.LostError:
            self.close()
            return [(CUT, (b"an LSL stream was lost",))]
        for port in (SPIKES, MARKERS, TIME):
            values, times_s = pulled[port]
            if times_s:
                samples.append((port, (np.array(times_s, "<f8").tobytes(), _packed(port, values))))
        if not samples:
            sleep(min(PAUSE_S, wait_s))
        return samples

    def close(self) -> None:
        """Let the streams go."""
        for inlet in self._inlets:
            inlet.close_stream()
        self._inlets = []

    def _connect(self, wait_s: float) -> Read:
        import pylsl

        if self._clock() - self._tried_s < RETRY_S:
            sleep(wait_s)
            return []
        self._tried_s = self._clock()
        found = [pylsl.resolve_bypred(f"name='{each}' or type='{each}'", 1, RESOLVE_S) for each in self._streams]
        if not all(found):
            return []
        inlets = [
            pylsl.StreamInlet(each[0], BUFFER_S[port], recover=False, processing_flags=pylsl.proc_clocksync)
            for port, each in enumerate(found)
        ]
        for inlet in inlets:
            inlet.open_stream(RESOLVE_S)
        self._inlets = inlets
        return [(CUT, (b"the LSL streams were found",))]


def lsl_wire(channels: str, grace_ms: str, **options: str) -> tuple[LslWire, Rules]:
    """Return what reads the streams' samples, and the rules; a tap keeps these options."""
    rules = parse_rules(options, onset="marker", word_bits=64, lock_onsets=3, lock_trials=1)
    choice("edge", rules.edge, TOLD_EDGES)
    return LslWire(parse_channels(channels), whole("grace_ms", grace_ms)), rules


def lsl(
    channels: str,
    spikes: str = "Spikes",
    markers: str = "Markers",
    watermark: str = "Watermark",
    grace_ms: str = "100",
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that reads these streams, each by its name or its type."""
    wired = {"channels": channels, "grace_ms": grace_ms, **options}
    wire, rules = lsl_wire(**wired)
    try:
        import pylsl  # noqa: F401
    except (ImportError, RuntimeError) as error:
        raise SourceError(f"LSL needs pylsl and its library ({error}): pip install 'xdream[adapters]'") from error
    for name in (spikes, markers, watermark):
        if "'" in name:
            raise SourceError(f"a stream's name cannot hold a quotation mark, got {name!r}.")
    return LiveSource(wire, Pump(LslReader((spikes, markers, watermark))), rules, tap=open_tap(tap, "lsl", wired))


def _all_of(inlet: Any) -> tuple[list[Any], list[float]]:
    """Return all samples of an inlet, and their times: one that was left would be behind the time that is told."""
    values: list[Any] = []
    times_s: list[float] = []
    for _ in range(MAX_READS):
        more, more_s = inlet.pull_chunk(0.0, MAX_SAMPLES)
        values += more
        times_s += more_s
        if len(more_s) < MAX_SAMPLES:
            break
    return values, times_s


def _packed(port: int, values: Any) -> bytes:
    if port == MARKERS:
        return json.dumps([str(each[0]) for each in values]).encode()
    return np.array(values, "<i4").tobytes() if port == SPIKES else b""


def _ticks(times: bytes) -> NDArray[np.int64]:
    times_s = np.frombuffer(times, "<f8")
    if not np.isfinite(times_s).all() or np.abs(times_s).max(initial=0) > MAX_S:
        raise ValueError("no times")
    return np.round(times_s * TICKS_PER_S).astype(np.int64)


def _marker(tick: int, text: Any) -> Event | None:
    """Return a word for a marker that names its presentation, and an edge for a plain "onset"."""
    if text == "onset":
        return Edge(tick, 0, True)
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if isinstance(value, dict):
        value = value.get("presentation")
    whole_number = isinstance(value, int | float) and isfinite(value) and value == int(value)
    return Word(tick, int(value)) if whole_number else None
