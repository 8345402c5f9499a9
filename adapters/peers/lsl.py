"""LSL outlets of a recording made beforehand: spikes, markers and the time, stamped as they were recorded."""

import json
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from adapters.lsl import MARKERS, SPIKES, TICKS_PER_S, TIME
from adapters.peers.block import EXACT, Block, Place

PATIENT = Place(wait_s=10.0)
"""The network takes its time to find streams."""


class LslPeer:
    """Says blocks as an inlet would give them: (port, times, values)."""

    def __init__(self, channels: Iterable[str]) -> None:
        self.numbers = np.array([int(channel) for channel in channels])

    def say(self, block: Block) -> list[tuple[int, list[float], list[list[int]] | list[str]]]:
        """Return a block's samples, the time last."""
        spikes = [[int(self.numbers[column]), 0] for column in block.columns.tolist()]
        marks = [(edge.tick, "onset") for edge in block.edges if edge.rising]
        marks += [(word.tick, json.dumps({"presentation": word.value})) for word in block.words]
        return [
            (SPIKES, [tick / TICKS_PER_S for tick in block.ticks.tolist()], spikes),
            (MARKERS, [tick / TICKS_PER_S for tick, _ in marks], [text for _, text in marks]),
            (TIME, [block.end / TICKS_PER_S], [[0]]),
        ]


class BehindLsl:
    """Real outlets in this process."""

    rate, block, resolution = Fraction(TICKS_PER_S), 100_000, EXACT

    def __init__(self, channels: list[str], place: Place = PATIENT) -> None:
        import pylsl

        self._peer, self._wait_s = LslPeer(channels), place.wait_s
        tag = place.options.get("spikes", f"Spikes{id(self):x}").removeprefix("Spikes")
        kinds = {
            SPIKES: ("Spikes", 2, pylsl.cf_int32),
            MARKERS: ("Markers", 1, pylsl.cf_string),
            TIME: ("Watermark", 1, pylsl.cf_int32),
        }
        self._outlets = {
            port: pylsl.StreamOutlet(pylsl.StreamInfo(name + tag, name, width, 0, kind, name + tag))
            for port, (name, width, kind) in kinds.items()
        }
        self.options = {
            "channels": ",".join(channels), "onset": "ttl",
            "spikes": "Spikes" + tag, "markers": "Markers" + tag, "watermark": "Watermark" + tag,
        }  # fmt: skip

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait for the inlets and push all blocks."""
        for outlet in self._outlets.values():
            if not outlet.wait_for_consumers(self._wait_s):
                raise TimeoutError("nobody listens")
        for block in blocks:
            for port, times_s, values in self._peer.say(block):
                for time_s, value in zip(times_s, values, strict=True):
                    self._outlets[port].push_sample([value] if port == MARKERS else value, time_s)

    def close(self) -> None:
        """Let the outlets go."""
        self._outlets.clear()
