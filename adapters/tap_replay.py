"""A raw tap answered again: the same chunks, requests and clock give the same answers, to the bit."""

import json
from pathlib import Path
from typing import cast

from adapters.events import Chunk
from adapters.live import LiveSource, Wire
from adapters.pump import CUT
from adapters.rules import Rules
from adapters.tap import POLL, REQUEST, SETTINGS, read_tap
from protocol.codec import decode
from protocol.messages import Onsets, Responses


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
    deck = _TapeDeck()
    source = LiveSource(wire, deck, rules, lambda: deck.now_s)
    answers: list[Responses] = []
    for record in read_tap(path):
        if record.port >= CUT:
            deck.chunks.append(record)
            continue
        deck.now_s = record.at_s
        if record.port == SETTINGS:
            source.begin(json.loads(record.frames[0]))
        elif record.port == REQUEST:
            source.request(cast(Onsets, decode(record.frames)))
        elif record.port == POLL:
            answers += source.poll()
    return answers
