"""A source on a bench: its chunks, its clock and its requests come from a made-up rig."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from made_up_rig import BASELINE_S, RESPONSE_S, Rig

from adapters.events import Chunk
from adapters.live import LiveSource, Wire
from adapters.rules import Rules
from adapters.tap import Tap
from protocol.messages import Responses

Stream = Iterable[tuple[int, list[Chunk]]]
"""Ticks of arrival, and what arrives."""


@dataclass
class ListFeed:
    """Chunks that a test has put there."""

    chunks: list[Chunk] = field(default_factory=list)
    closed: bool = False

    def drain(self) -> list[Chunk]:
        chunks, self.chunks = self.chunks, []
        return chunks

    def close(self) -> None:
        self.closed = True


class Bench:
    """One source and its time."""

    def __init__(self, wire: Wire, rules: Rules | None = None, tap: Tap | None = None) -> None:
        self.now_s = 0.0
        self.feed = ListFeed()
        self.source = LiveSource(wire, self.feed, rules or Rules(), lambda: self.now_s, tap)
        self.source.begin({"response_window_s": RESPONSE_S, "baseline_window_s": BASELINE_S})

    def run(self, rig: Rig, stream: Stream) -> list[Responses]:
        """Return all that the source says while the stream comes and trials are reported in time."""
        return list(self._run(rig, stream))

    def _run(self, rig: Rig, stream: Stream) -> Iterator[Responses]:
        reported = 0
        for tick, chunks in stream:
            self.now_s = (tick - rig.first_tick) / float(rig.rate)
            self.feed.chunks += [Chunk(self.now_s, chunk.frames, chunk.port) for chunk in chunks]
            while reported < rig.n_trials and rig.report_ticks[reported] <= tick:
                self.source.request(rig.trials[reported])
                reported += 1
            yield from self.source.poll()
        self.now_s += 10
        yield from self.source.poll()


@dataclass
class Verdict:
    """How many presentations were measured rightly, measured wrongly, and not measured; and why not."""

    right: int = 0
    wrong: int = 0
    not_measured: int = 0
    reasons: set[str] = field(default_factory=set)
    ids: list[int] = field(default_factory=list)


def judge(rig: Rig, answers: list[Responses]) -> Verdict:
    """Compare answers with what was made up."""
    response, baseline = rig.truth(RESPONSE_S), rig.truth(BASELINE_S)
    verdict = Verdict()
    for answer in answers:
        rows = np.searchsorted(rig.ids, answer.presentation_ids)
        same = (response[rows] == answer.spike_counts).all(1) & (baseline[rows] == answer.baseline_counts).all(1)
        verdict.right += int(np.count_nonzero(answer.measured & same))
        verdict.wrong += int(np.count_nonzero(answer.measured & ~same))
        verdict.not_measured += int(np.count_nonzero(~answer.measured))
        verdict.reasons |= {answer.reason} - {""}
        verdict.ids += answer.presentation_ids.tolist()
    return verdict


def in_pieces(stream: Stream, cut: Callable[[bytes], list[bytes]]) -> Iterator[tuple[int, list[Chunk]]]:
    """Yield a byte stream in other pieces."""
    for tick, chunks in stream:
        yield tick, [Chunk(0.0, (piece,), each.port) for each in chunks for piece in cut(each.frames[0])]
