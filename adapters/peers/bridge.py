"""A bridge program's voice: hello and data messages, as docs/bridge.md says them."""

from collections.abc import Iterable
from fractions import Fraction

import msgpack
import numpy as np

from adapters.peers.block import Block


class BridgePeer:
    """Says blocks as a bridge does."""

    def __init__(self, channels: Iterable[str], ticks_per_s: Fraction) -> None:
        self.channels, self.ticks_per_s = tuple(channels), ticks_per_s
        self._number = 0

    def hello(self, tick: int) -> list[tuple[bytes, ...]]:
        """Return what is said first: the record is whole from this tick on."""
        self._number = 0
        rate = self.ticks_per_s
        hello = {
            "type": "hello",
            "name": "a bridge",
            "channels": self.channels,
            "ticks_per_s": [rate.numerator, rate.denominator],
            "tick": tick,
        }
        return [(msgpack.packb(hello),)]

    def say(self, block: Block) -> list[tuple[bytes, ...]]:
        """Return a block's message."""
        self._number += 1
        data = {
            "type": "data",
            "n": self._number,
            "spikes": [block.ticks.astype("<i8").tobytes(), block.columns.astype(np.dtype("<i8")).tobytes()],
            "edges": [[edge.tick, edge.line, edge.rising] for edge in block.edges],
            "words": [[word.tick, word.value] for word in block.words],
            "watermark": block.end,
        }
        return [(msgpack.packb(data),)]
