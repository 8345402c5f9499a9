"""The ZMQ Interface's voice: CRLF JSON, names that end in NUL, events and spikes before DATA, 100 samples held back."""

import json
import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from adapters.events import Edge
from adapters.peers.block import Block
from adapters.peers.questions import Answers

HOLD_BACK = 100
N_WAVEFORM = 40
FILE_NAME = ("parent_directory", "prepend_text", "base_text", "append_text")
"""What the GUI makes the name of a recording of; a simulated one writes nothing."""


class OpenEphysPeer:
    """Says blocks as the plugin does, for one stream with one channel enabled."""

    def __init__(self, electrodes: Iterable[str], sample_rate_hz: float = 30_000.0, n_channels: int = 1) -> None:
        self.electrodes, self.rate, self.n_channels = tuple(electrodes), sample_rate_hz, n_channels
        self._waveform = np.zeros(N_WAVEFORM, "<f4").tobytes()
        self.start_acquisition()

    def start_acquisition(self) -> None:
        """Count messages from 1 again; sample numbers go on."""
        self._number = 0
        self._word = 0
        self._held: list[tuple[int, int]] = []

    def say(self, block: Block) -> list[tuple[bytes, ...]]:
        """Return the messages of a block of samples."""
        spikes = [*self._held, *zip(block.ticks.tolist(), block.columns.tolist(), strict=True)]
        now = [spike for spike in spikes if spike[0] < block.end - HOLD_BACK]
        self._held = [spike for spike in spikes if spike[0] >= block.end - HOLD_BACK]
        by_electrode = sorted(now, key=lambda spike: spike[1])
        messages = [message for edges in _at_once(block.edges) for message in self._ttl(edges)]
        messages += [self._spike(tick, column) for tick, column in by_electrode]
        return messages + [self._data(block, channel) for channel in range(self.n_channels)]

    def _ttl(self, edges: list[Edge]) -> list[tuple[bytes, ...]]:
        """Return one message a line, all with the word that all lines make together."""
        for edge in edges:
            self._word = self._word | 1 << edge.line if edge.rising else self._word & ~(1 << edge.line)
        return [
            self._message(
                b"EVENT\0",
                {
                    "type": "event",
                    "content": {"stream": "AP", "source_node": 100, "type": 3, "sample_num": edge.tick},
                    "data_size": 10,
                },
                struct.pack("<BBQ", edge.line, edge.rising, self._word),
            )
            for edge in edges
        ]

    def _spike(self, tick: int, column: int) -> tuple[bytes, ...]:
        spike = {
            "stream": "AP",
            "source_node": 102,
            "electrode": self.electrodes[column],
            "sample_num": tick,
            "num_channels": 1,
            "num_samples": N_WAVEFORM,
            "sorted_id": 0,
            "threshold": [-50.0],
        }
        return self._message(b"EVENT\0", {"type": "spike", "spike": spike}, self._waveform)

    def _data(self, block: Block, channel: int) -> tuple[bytes, ...]:
        n = block.end - block.start
        content = {
            "stream": "AP",
            "channel_num": channel,
            "channel_name": f"CH{channel + 1}",
            "num_samples": n,
            "sample_num": block.start,
            "sample_rate": self.rate,
        }
        return self._message(b"DATA\0", {"type": "data", "content": content, "data_size": 4 * n}, bytes(4 * n))

    def _message(self, envelope: bytes, header: dict[str, Any], payload: bytes) -> tuple[bytes, ...]:
        self._number += 1
        text = json.dumps(
            {"message_num": self._number, **header, "timestamp": 1767225600123}, indent=2, ensure_ascii=False
        ).replace("\n", "\r\n")
        # The plugin's bug: as many bytes as the text has characters.
        return envelope, text.encode()[: len(text)], payload


def _at_once(edges: tuple[Edge, ...]) -> list[list[Edge]]:
    """Return edges in groups of one tick."""
    groups: list[list[Edge]] = []
    for edge in edges:
        if groups and groups[-1][0].tick == edge.tick:
            groups[-1].append(edge)
        else:
            groups.append([edge])
    return groups


def gui_answers(saves: Callable[[], bool]) -> Answers:
    """Return what the GUI's HTTP server answers, by path."""
    return {
        "/api/status": lambda: {"mode": "RECORD" if saves() else "ACQUIRE"},
        "/api/recording": lambda: dict.fromkeys(FILE_NAME, ""),
    }
