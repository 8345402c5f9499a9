"""SpikeGLX through its command server: samples are fetched, spikes are found here, onsets are bits of the sync word."""

import logging
import re
from collections.abc import Callable
from contextlib import closing, suppress
from fractions import Fraction
from time import monotonic, sleep

import numpy as np
from numpy.typing import NDArray

from adapters.channels import Columns, parse_channels
from adapters.detection import DetectionRules, SpikeDetector
from adapters.events import Begin, Chunk, Edge, Event, Spikes, Watermark, Word
from adapters.guard import EVERY_S, Guard
from adapters.live import LiveSource
from adapters.patience import ask_for
from adapters.pump import CUT, Pump
from adapters.readers import RETRY_S, Read
from adapters.rules import Rules, number, parse_rules, port_number, whole
from adapters.source import SourceError
from adapters.spikeglx_server import CommandServer, fetched
from adapters.tap import open_tap
from adapters.troubles import note

MAX_SAMPLES = 60_000
PAUSE_S = 0.005
"""Between fetches that gave nothing: there are 5 ms of samples then."""
SYNC_CHANNEL = "384"
log = logging.getLogger(__name__)
_STREAM = re.compile(r"-?\d \d{1,3}")


class SpikeGlxWire:
    """Fetches as events. SpikeGLX gives channels in ascending order, in whichever they are asked for."""

    name = "spikeglx"

    def __init__(
        self,
        columns: Columns,
        rules: Rules,
        ticks_per_s: Fraction,
        detection: DetectionRules,
        sync_channel: int = int(SYNC_CHANNEL),
    ) -> None:
        self.columns = columns
        self.troubles: dict[str, int] = {}
        self._rate, self._rules, self._detection = ticks_per_s, rules, detection
        *self._places, self._sync_place = _places([*map(int, columns.names), sync_channel])
        self._cut("we joined")

    @property
    def channels(self) -> tuple[str, ...]:
        """Acquisition channels by number."""
        return self.columns.names

    def take(self, chunk: Chunk) -> list[Event]:
        """Return what a fetch says."""
        if chunk.port == CUT:
            self._cut(chunk.frames[0].decode())
            return []
        try:
            samples, head = _samples(chunk.frames, len(self.channels) + 1)
        except ValueError as error:
            note(self.troubles, f"a fetch could not be read: {error}")
            self._cut("a fetch could not be read")
            return []
        return self._fetched(samples, head) if len(samples) else []

    def _cut(self, why: str) -> None:
        self._why = why
        self._end: int | None = None
        self._sync: int | None = None
        self._detector = SpikeDetector(self._rate, len(self.columns.names), self._detection)

    def _fetched(self, samples: NDArray[np.int16], head: int) -> list[Event]:
        if self._end is not None and head != self._end:
            lost = head - self._end
            self._cut(f"{lost} samples were lost" if lost > 0 else "the run was started again")
        calibrating = self._detector.threshold is None
        ticks, columns = self._detector.detect(samples[:, self._places], head)
        edges = self._edges(samples[:, self._sync_place].view(np.uint16), head)
        self._end = head + len(samples)
        if self._detector.threshold is None:
            return []
        opening: list[Event] = []
        if calibrating:
            n_rest = self._detector.n_after_calibration
            opening.append(Begin(self._end - n_rest, self._rate, f"{self._why}, and the noise was measured"))
        return [*opening, Spikes(ticks, columns), *edges, Watermark(self._end)]

    def _edges(self, words: NDArray[np.uint16], head: int) -> list[Event]:
        """Return the changes of the sync word, line by line, and the words that they make."""
        before = int(words[0]) if self._sync is None else self._sync
        self._sync = int(words[-1])
        events: list[Event] = []
        for at in np.flatnonzero(np.diff(words, prepend=np.uint16(before))).tolist():
            old, new = int(words[at - 1]) if at else before, int(words[at])
            events += [Edge(head + at, line, bool(new >> line & 1)) for line in range(16) if (old ^ new) >> line & 1]
            value = self._rules.word(old, new)
            events += [Word(head + at, value)] if value else []
        return events


class SpikeGlxReader:
    """Fetches without end, from now on; after an error it connects and begins anew."""

    def __init__(
        self, address: tuple[str, int], stream: str, channels: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self._address, self._stream, self._channels, self._clock = address, stream, channels, clock
        self._server: CommandServer | None = None
        self._next = 0
        self._tried_s = -RETRY_S
        self._said = ""

    def read(self, wait_s: float) -> Read:
        """Return what one fetch gives."""
        try:
            if self._server is None:
                return self._connect(wait_s)
            return self._fetch(self._server, wait_s)
        except (OSError, ValueError) as error:
            self.close()
            why = f"fetching failed: {error}"
            if why != self._said:
                log.warning("SpikeGLX: %s; trying again", why)
            self._said = why
            return [(CUT, (why.encode(),))]

    def close(self) -> None:
        """Close the connection."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _connect(self, wait_s: float) -> Read:
        if self._clock() - self._tried_s < RETRY_S:
            sleep(wait_s)
            return []
        self._tried_s = self._clock()
        with suppress(OSError):
            self._server = CommandServer(self._address)
        if self._server is None:
            return []
        self._next = int(self._server.ask(f"GETSTREAMSAMPLECOUNT {self._stream}"))
        return [(CUT, (b"a connection was made",))]

    def _fetch(self, server: CommandServer, wait_s: float) -> Read:
        head, data = server.fetch(f"FETCH {self._stream} {self._next} {MAX_SAMPLES} {self._channels} 1")
        _, n_samples, first = fetched(head)
        if not n_samples:
            sleep(min(PAUSE_S, wait_s))
            return []
        self._next, self._said = first + n_samples, ""
        return [(0, (head, data))]


def spikeglx_wire(
    channels: str, rate_hz: str, sync_channel: str, k: str, lockout_ms: str, **options: str
) -> tuple[SpikeGlxWire, Rules]:
    """Return what finds spikes and edges in samples, and the rules; a tap keeps these options."""
    rules, columns = parse_rules(options, line=6), parse_channels(channels)
    detection = DetectionRules(number("k", k), number("lockout_ms", lockout_ms) / 1000)
    sync = whole("sync_channel", sync_channel)
    numbers = [whole("channels", name) for name in columns.names]
    if len({*numbers, sync}) <= len(numbers):
        raise SourceError(f"channels must be different ones, and none the sync channel {sync}, got {channels!r}.")
    return SpikeGlxWire(columns, rules, Fraction(rate_hz), detection, sync), rules


def spikeglx(
    channels: str,
    host: str = "127.0.0.1",
    port: str = "4142",
    stream: str = "2 0",
    sync_channel: str = SYNC_CHANNEL,
    k: str = "4.5",
    lockout_ms: str = "2",
    wait_s: str = "0",
    tap: str = "",
    **options: str,
) -> LiveSource:
    """Return the source that finds spikes on these acquisition channels; `stream` is SpikeGLX's js and ip.

    SpikeGLX must run, and has `wait_s` to begin.
    """
    wired = {"channels": channels, "sync_channel": sync_channel, "k": k, "lockout_ms": lockout_ms, **options}
    spikeglx_wire(rate_hz="1000", **wired)
    if not _STREAM.fullmatch(stream):
        raise SourceError(f"stream is SpikeGLX's js and ip, such as '2 0' for the first imec probe, got {stream!r}.")
    address = (host, port_number("port", port))
    wired["rate_hz"] = str(ask_for(whole("wait_s", wait_s), lambda: _ask_rate(address, stream)))
    wire, rules = spikeglx_wire(**wired)
    asked = sorted(map(int, (*wire.channels, sync_channel)))
    reader = SpikeGlxReader(address, stream, "".join(f"{each}#" for each in asked))
    opened = open_tap(tap, "spikeglx", wired)
    return LiveSource(wire, Pump(reader), rules, tap=opened, companions=[saving_guard(address)])


def saving_guard(address: tuple[str, int], every_s: float = EVERY_S) -> Guard:
    """Return what asks SpikeGLX now and then whether it writes files, on a connection of its own."""
    return Guard("spikeglx", lambda: _not_saving(address), "enable recording in SpikeGLX's Run window", every_s)


def _not_saving(address: tuple[str, int]) -> str | None:
    """Return what is to be said; nothing if all is well, None if SpikeGLX does not tell."""
    try:
        with closing(CommandServer(address)) as server:
            saving = bool(int(server.ask("ISSAVING")))
            running = saving or bool(int(server.ask("ISRUNNING")))
    except (OSError, ValueError):
        return None
    if saving:
        return ""
    return f"SpikeGLX does NOT save{'' if running else ' (nothing runs at all)'}: raw data are not kept"


def _ask_rate(address: tuple[str, int], stream: str) -> Fraction:
    try:
        server = CommandServer(address)
    except OSError as error:
        raise SourceError(
            f"no connection to SpikeGLX at {address[0]}:{address[1]} ({error}). Switch on Options > Command Server."
        ) from error
    try:
        rate = Fraction(server.ask(f"GETSTREAMSAMPLERATE {stream}"))
    except (OSError, ValueError) as error:
        raise SourceError(f"SpikeGLX gives no sample rate for stream {stream!r}: {error}. Is it running?") from error
    finally:
        server.close()
    if not 1000 <= rate <= 10**6:
        raise SourceError(f"SpikeGLX says that stream {stream!r} has {float(rate):g} samples/s.")
    return rate


def _places(numbers: list[int]) -> list[int]:
    """Return where each channel stands among these in ascending order."""
    ascending = sorted(numbers)
    return [ascending.index(each) for each in numbers]


def _samples(frames: tuple[bytes, ...], n_wanted: int) -> tuple[NDArray[np.int16], int]:
    head, data = frames
    n_channels, n_samples, first = fetched(head)
    if n_channels != n_wanted or len(data) != 2 * n_channels * n_samples:
        raise ValueError("another number of samples than it says")
    return np.frombuffer(data, "<i2").reshape(n_samples, n_channels), first
