"""A raw tap answered again: the same chunks, requests and clock give the same answers, to the bit."""

import json
import logging
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np

from adapters.events import Chunk
from adapters.live import LiveSource, Wire
from adapters.pump import CUT
from adapters.recorded import Row
from adapters.rules import Rules
from adapters.segment import Windows
from adapters.source import SourceError
from adapters.tap import MAGIC, POLL, REQUEST, SETTINGS, read_tap, tap_head
from protocol.codec import decode
from protocol.messages import Onsets, Responses
from protocol.plugins import load

WIRES = {
    "bridge": "adapters.bridge:bridge_wire",
    "open_ephys": "adapters.open_ephys:open_ephys_wire",
    "intan_rhx": "adapters.intan_rhx:intan_wire",
    "blackrock": "adapters.blackrock:blackrock_wire",
    "plexnet": "adapters.plexnet:plexnet_wire",
    "spikeglx": "adapters.spikeglx:spikeglx_wire",
    "trodes": "adapters.trodes:trodes_wire",
    "tdt": "adapters.tdt:tdt_wire",
    "lsl": "adapters.lsl:lsl_wire",
}
"""What makes each adapter's wire and its rules of the options that its tap keeps."""
FROM_PYTHON = "adapters.tap_replay.answer_again(path, wire, rules) answers it again from Python."
log = logging.getLogger(__name__)


class _TapeDeck:
    """A feed and a clock that stand where the tape stands."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.chunks: list[Chunk] = []

    def drain(self) -> list[Chunk]:
        chunks, self.chunks = self.chunks, []
        return chunks

    def close(self) -> None:
        self.chunks = []


def answer_again(path: Path, wire: Wire, rules: Rules) -> list[Responses]:
    """Return all answers of the session that a tap was made of, in order."""
    return [each for each in _said(path, wire, rules) if isinstance(each, Responses)]


def _said(path: Path, wire: Wire, rules: Rules) -> Iterator[Responses | dict[str, Any]]:
    """Yield the settings of each session on a tap, and its answers after them."""
    deck = _TapeDeck()
    source = LiveSource(wire, deck, rules, lambda: deck.now_s)
    for record in read_tap(path):
        if record.port >= CUT:
            deck.chunks.append(record)
            continue
        deck.now_s = record.at_s
        if record.port == POLL:
            yield from source.poll()
            continue
        try:
            if record.port == SETTINGS:
                settings = json.loads(record.frames[0])
                source.begin(settings)
                yield settings
            elif record.port == REQUEST:
                source.request(cast(Onsets, decode(record.frames)))
        except (ValueError, TypeError, LookupError, AttributeError) as wrong:
            raise SourceError(f"{path} is damaged: what the server said cannot be read ({wrong}).") from wrong


class TapRecord:
    """The answers of the last session on a raw tap, found by sending all that was read through the same code again."""

    def __init__(self, path: Path) -> None:
        wire, rules = wire_of(path)
        self.channels = tuple(wire.channels)
        self.windows_s = _windows_s({})
        self._rows: dict[int, Row] = {}
        log.info("sending %s (%.1f MB) through the adapter again", path, path.stat().st_size / 1e6)
        for said in _said(path, wire, rules):
            if isinstance(said, Responses):
                self._keep(said)
            elif (windows_s := _windows_s(said)) != self.windows_s:
                # Of another session than the last: its counts are of other windows.
                self._rows.clear()
                self.windows_s = windows_s
        log.info("%d presentations are on it, %d of them measured", *self.count())

    def row(self, presentation: int) -> Row | None:
        """Return what was answered for a presentation."""
        return self._rows.get(presentation)

    def count(self) -> tuple[int, int]:
        """Return how many presentations were asked about, and how many of them are measured."""
        return len(self._rows), sum(row.measured for row in self._rows.values())

    def close(self) -> None:
        """Do nothing: the file has been read to its end."""

    def _keep(self, answer: Responses) -> None:
        """Keep its rows; where a presentation was asked about twice, one that was measured."""
        bounds = np.searchsorted(answer.spike_rows, np.arange(len(answer.presentation_ids) + 1))
        rows = zip(answer.presentation_ids.tolist(), pairwise(bounds.tolist()), strict=True)
        for place, (presentation, (first, last)) in enumerate(rows):
            known = self._rows.get(presentation)
            measured = bool(answer.measured[place])
            if measured or known is None or not known.measured:
                self._rows[presentation] = Row(
                    measured,
                    answer.spike_counts[place].astype("<i4").tobytes(),
                    answer.baseline_counts[place].astype("<i4").tobytes(),
                    answer.onset_source,
                    "" if measured else answer.reason,
                    answer.spike_times_s[first:last].astype("<f4").tobytes(),
                    answer.spike_channels[first:last].astype("<i4").tobytes(),
                )


def wire_of(path: Path) -> tuple[Wire, Rules]:
    """Return the wire and the rules of the adapter that wrote a tap; raise SourceError if the tap does not tell."""
    head = tap_head(path)
    if head is None:
        raise SourceError(f"{path} is a tap of another version than {MAGIC}: answer it with the XDream that wrote it.")
    name, options = head.get("name"), head.get("options")
    if options is None:
        raise SourceError(
            f"{path} is a tap of {name} from before taps kept the adapter's options, so what it holds cannot be "
            f"understood by itself: {FROM_PYTHON}"
        )
    if name not in WIRES:
        raise SourceError(f"{path} is a tap of {name!r}, which is no adapter of ours: {FROM_PYTHON}")
    try:
        return cast(tuple[Wire, Rules], load(WIRES[name])(**options))
    except (TypeError, SourceError) as wrong:
        raise SourceError(f"{path}: the options in its first line do not make a {name} adapter: {wrong}") from wrong


def _windows_s(settings: dict[str, Any]) -> dict[str, tuple[float, float]]:
    usual = Windows()
    return {
        "response_window": tuple(settings.get("response_window_s", usual.response_s)),
        "baseline_window": tuple(settings.get("baseline_window_s", usual.baseline_s)),
    }
