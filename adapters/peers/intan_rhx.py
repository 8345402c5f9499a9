"""RHX's voice: blocks of 128 frames on the waveform port, 14 bytes a spike on the other."""

import struct
from collections.abc import Callable, Iterable
from fractions import Fraction

import numpy as np

from adapters.peers.block import Block
from adapters.peers.questions import Answers

N_FRAMES = 128
WAVEFORM, SPIKE = 0, 1


class IntanPeer:
    """Says blocks as RHX does, with some amplifier words before the digital-in word. Blocks must be of 128 samples."""

    def __init__(self, names: Iterable[str], n_words: int = 1, first_timestamp: int = 0) -> None:
        self.names, self.n_words = tuple(names), n_words
        self._offset = first_timestamp
        self._din = 0

    def say(self, block: Block) -> list[tuple[int, bytes]]:
        """Return (port, bytes) of a block: the waveforms, then the spikes."""
        n = block.end - block.start
        frames = np.zeros((n, 2 + self.n_words + 1), "<u2")
        stamps = (np.arange(block.start, block.end) + self._offset) & 0xFFFFFFFF
        frames[:, 0], frames[:, 1] = stamps & 0xFFFF, stamps >> 16
        frames[:, 2:] = 32_768
        frames[:, -1] = self._digital(block)
        spikes = b"".join(
            struct.pack("<I5sIB", 0x3AE2710F, self.names[column].encode(), (tick + self._offset) & 0xFFFFFFFF, 1)
            for tick, column in zip(block.ticks.tolist(), block.columns.tolist(), strict=True)
        )
        said = [(WAVEFORM, struct.pack("<I", 0x2EF07A08) + frames.tobytes())]
        return [*said, (SPIKE, spikes)] if spikes else said

    def _digital(self, block: Block) -> np.ndarray:
        words = np.full(block.end - block.start, self._din, np.uint16)
        for edge in block.edges:
            self._din = self._din | 1 << edge.line if edge.rising else self._din & ~(1 << edge.line)
            words[edge.tick - block.start :] = self._din
        return words


def rhx_answers(rate: Fraction, saves: Callable[[], bool]) -> Answers:
    """Return what RHX replies to `get` on its command port, by the name that is asked for."""
    return {
        "type": lambda: "Type ControllerRecordUSB3",
        "version": lambda: "Version 3.4.0",
        "sampleratehertz": lambda: f"SampleRateHertz {rate}",
        "runmode": lambda: f"RunMode {'Record' if saves() else 'Run'}",
    }
