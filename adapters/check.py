"""`--check`: watch a recording system without a server, and say line by line what is well and what is not."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from adapters.activity import HOT_HZ
from adapters.events import Begin, Chunk, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.guard import Guard
from adapters.live import LiveSource, Wire
from adapters.source import ResponseSource, SourceError, create_source
from protocol.plugins import PluginError

WATCH_S = 10.0
POLL_S = 0.01
FRESH_S = 1.0
SETTLED_S = 1.0
"""What had piled up before we came is read by then."""
PACE_OFF = 0.05
"""Blocks of a tenth of a second, over some seconds, make it less uncertain than that."""
PASS, FAIL, NOTE = "pass", "FAIL", "note"


class Line(NamedTuple):
    """One thing that was looked at."""

    verdict: str
    what: str
    sentence: str


@runtime_checkable
class Inspectable(Protocol):
    """A source without a stream, that can look at what it has instead."""

    def look(self) -> list[tuple[bool, str, str]]:
        """Return what was looked at: whether it is well, its name, and what was found."""


@dataclass
class Witness:
    """Stands in for a wire, and keeps account of what goes through."""

    wire: Wire

    def __post_init__(self) -> None:
        self.counts = np.zeros(len(self.wire.channels), np.int64)
        self.lines: dict[int, int] = {}
        """Rising edges on each digital line."""
        self.changed: dict[int, int] = {}
        """Changes of each digital line."""
        self.n_words = self.n_begun = self.n_chunks = self.lost = 0
        self.gaps: list[str] = []
        self.first: int | None = None
        self.last = 0
        self.told: list[tuple[float, int]] = []
        """When each watermark was read, since the last beginning."""
        self.troubles = self.wire.troubles

    @property
    def name(self) -> str:
        """The system's."""
        return self.wire.name

    @property
    def channels(self) -> tuple[str, ...]:
        """The wire's."""
        return self.wire.channels

    def take(self, chunk: Chunk) -> list[Event]:
        """Pass on what the wire says."""
        events = self.wire.take(chunk)
        self.n_chunks += 1
        for event in events:
            self._note(event, chunk.at_s)
        return events

    def pace(self, ticks_per_s: float) -> float | None:
        """Return the seconds of recording in a second; None if that was not seen for long enough."""
        settled = [each for each in self.told if each[0] >= self.told[0][0] + SETTLED_S]
        if not settled or settled[-1][0] < settled[0][0] + SETTLED_S:
            return None
        (first_s, first), (last_s, last) = settled[0], settled[-1]
        return (last - first) / ticks_per_s / (last_s - first_s)

    def _note(self, event: Event, at_s: float) -> None:
        match event:
            case Begin(tick):
                self.n_begun += 1
                self.first = self.last = tick
                self.told.clear()
            case Spikes():
                self.counts += np.bincount(event.columns, minlength=len(self.counts))
            case Edge(_, line, rising):
                self.changed[line] = self.changed.get(line, 0) + 1
                self.lines[line] = self.lines.get(line, 0) + rising
            case Word():
                self.n_words += 1
            case Watermark(tick):
                self.last = max(self.last, tick)
                self.told.append((at_s, tick))
            case Gap():
                self.lost += event.lost
                self.gaps.append(event.reason)


def look_over(source: ResponseSource, watch_s: float) -> list[Line]:
    """Return what can be found of a source: a stream is watched; nothing for one that has none and cannot look."""
    if isinstance(source, LiveSource):
        return check(source, watch_s, time.monotonic, time.sleep)
    found = source.look() if isinstance(source, Inspectable) else []
    return [Line(PASS if well else FAIL, what, sentence) for well, what, sentence in found]


def check(source: LiveSource, watch_s: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> list[Line]:
    """Watch a source for some seconds, and return what was found."""
    witness = Witness(source.wire)
    source.wire = witness
    source.begin({})
    ages_s = []
    end_s = clock() + watch_s
    while clock() < end_s:
        source.poll()
        if source.segment is not None:
            ages_s.append(source.data_age_s())
        sleep(POLL_S)
    if source.segment is None or witness.first is None:
        return [Line(FAIL, "data", f"nothing that could be understood came in {watch_s:g} s"), *_troubles(witness)]
    seconds = max(1e-9, (witness.last - witness.first) / float(source.segment.ticks_per_s))
    return [
        Line(PASS, "data", f"{seconds:.1f} s of recording at {float(source.segment.ticks_per_s):g} ticks/s"),
        *_pace(witness, float(source.segment.ticks_per_s)),
        _freshness(ages_s),
        _losses(witness, source.segment.counter.late),
        *_channels(witness, seconds),
        _onsets(witness, source),
        _clock(source),
        _recording(source),
        *_troubles(witness),
    ]


def _pace(witness: Witness, ticks_per_s: float) -> list[Line]:
    pace = witness.pace(ticks_per_s)
    if pace is None:
        return []
    if abs(pace - 1) <= PACE_OFF:
        return [Line(PASS, "pace", f"{pace:.2f} s of recording in a second")]
    sentence = f"{pace:.2g} s of recording in a second. Are rate_hz, or the kind of clock, those of the system?"
    return [Line(FAIL, "pace", sentence)]


def _freshness(ages_s: Sequence[float]) -> Line:
    median_s, worst_s = float(np.median(ages_s)), max(ages_s)
    sentence = f"data are {1000 * median_s:.0f} ms old in the middle, {1000 * worst_s:.0f} ms at worst"
    return Line(PASS if worst_s < FRESH_S else FAIL, "freshness", sentence)


def _losses(witness: Witness, late: int) -> Line:
    if witness.gaps or late or witness.n_begun > 1:
        reasons = ", ".join(sorted(set(witness.gaps))[:3])
        known = f", {witness.lost} lost messages, packets or samples in all" if witness.lost else ""
        return Line(
            FAIL,
            "losses",
            f"{len(witness.gaps)} gaps ({reasons}){known}, {late} late spikes, {witness.n_begun - 1} new beginnings. "
            "Send fewer channels, and use a wired network",
        )
    return Line(PASS, "losses", "nothing was lost")


def _channels(witness: Witness, seconds: float) -> list[Line]:
    lines = []
    for name, count in zip(witness.channels, witness.counts.tolist(), strict=True):
        rate_hz = count / seconds
        good = 0 < rate_hz < HOT_HZ
        remark = "" if good else ": silent, or named otherwise?" if not count else ": noise? raise its threshold"
        lines.append(Line(PASS if good else FAIL, f"channel {name}", f"{rate_hz:.1f} spikes/s{remark}"))
    columns = getattr(witness.wire, "columns", None)
    if columns is not None and columns.uncounted:
        others = sorted(columns.uncounted, key=columns.uncounted.get, reverse=True)
        lines.append(Line(NOTE, "not counted", ", ".join(others[:32])))
    return lines


def _onsets(witness: Witness, source: LiveSource) -> Line:
    n = source.segment.aligner.tally.edges if source.segment else 0
    seen = ", ".join(f"line {line}: {count}" for line, count in sorted(witness.lines.items()))
    seen = "; ".join(part for part in (seen, f"{witness.n_words} words" if witness.n_words else "") if part)
    flash = source.rules.photodiode_line
    if n and flash is not None and not witness.changed.get(flash):
        return Line(FAIL, "onsets", f"{n} words, but no flash on line {flash} (seen: {seen}). Check the photodiode")
    if n:
        return Line(PASS, "onsets", f"{n} onset edges ({seen})")
    return Line(
        FAIL, "onsets", f"no onset edges (seen: {seen or 'nothing'}). Show something; check cable, line and edge"
    )


def _clock(source: LiveSource) -> Line:
    fit = source.segment.aligner.clock.fit if source.segment else None
    if fit is None:
        return Line(NOTE, "clock", "is matched with the display's during a session")
    sentence = f"drift {1e6 * fit.drift:.1f} ppm, residual {1000 * fit.residual_s:.2f} ms over {fit.n_trials} trials"
    return Line(PASS, "clock", sentence)


def _recording(source: LiveSource) -> Line:
    guard = next((each for each in source.companions if isinstance(each, Guard)), None)
    sentence = guard.look() if guard is not None else None
    if sentence is None:
        return Line(NOTE, "recording", "whether raw data are kept cannot be seen from here: look")
    return Line(FAIL if sentence else PASS, "recording", sentence or "raw data are kept")


def _troubles(witness: Witness) -> list[Line]:
    return [Line(FAIL, "understanding", f"{sentence} ({n} times)") for sentence, n in witness.troubles.items()]


def report(name: str, options: dict[str, str], watch_s: float = WATCH_S) -> int:
    """Check the system of that name, write what was found to the terminal, and return the exit status."""
    try:
        source = create_source(name, options)
    except PluginError as wrong:
        sys.stdout.write(f"{FAIL}  connection  {wrong}\n")
        return 1
    try:
        lines = look_over(source, watch_s)
    except SourceError as wrong:
        lines = [Line(FAIL, "connection", str(wrong))]
    finally:
        source.close()
    if not lines:
        sys.stdout.write(f"{NOTE}  {name} cannot be looked over: it reads no stream\n")
        return 0
    width = max(len(line.what) for line in lines)
    sys.stdout.writelines(f"{line.verdict}  {line.what:{width}}  {line.sentence}\n" for line in lines)
    return int(any(line.verdict == FAIL for line in lines))
