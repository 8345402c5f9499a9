"""An RZ's voice: a packet a bin, of big-endian words: its number, the lines, and counts of 4 bits, the lowest first."""

import select
import socket
from collections.abc import Iterable
from fractions import Fraction
from time import sleep

import numpy as np
from numpy.typing import NDArray

from adapters.peers.block import ANYWHERE, Block, Place, Resolution
from adapters.peers.questions import HttpAnswers
from adapters.readers import DATAGRAM_BYTES
from adapters.rules import number, whole
from adapters.source import SourceError
from adapters.synapse import MODE
from adapters.tdt import ASK, BITS, DATA, FULL, HEAD, MAGIC, N_HEAD_WORDS, PER_WORD

HOST = "127.0.0.1"
BIN_SAMPLES = 24
CODES = 4
RATE_HZ = "24414.0625"
LEAST_HZ = 1000
PAUSE_S = 0.0005
"""After each block: datagrams that come faster than 20 times real time are lost in a small buffer."""


class TdtPeer:
    """Says blocks of whole bins as an RZ does. Spikes have the sort code that their channel names, or 1."""

    def __init__(self, channels: Iterable[str], bin_samples: int = BIN_SAMPLES, codes: int = CODES) -> None:
        pairs = [name.partition(":")[::2] for name in channels]
        numbers, sorts = np.array([(int(channel), int(code or 1)) for channel, code in pairs]).T
        if not (numbers.min() and sorts.min() > 0 and sorts.max() <= codes):
            raise SourceError(f"channels begin with 1, and each has the sort codes 1 to {codes}.")
        self._places = (numbers - 1) * codes + sorts - 1
        self._bin = bin_samples
        self._n_words = -(-int(numbers.max()) * codes // PER_WORD)
        self._lines = 0

    def say(self, block: Block) -> list[tuple[bytes, ...]]:
        """Return a block's packets."""
        first, n_bins = block.start // self._bin, -(-(block.end - block.start) // self._bin)
        counts = np.zeros((n_bins, self._n_words * PER_WORD), np.int64)
        np.add.at(counts, ((block.ticks - block.start) // self._bin, self._places[block.columns]), 1)
        words = np.empty((n_bins, N_HEAD_WORDS + self._n_words), ">u4")
        words[:, 0] = np.arange(first, first + n_bins) & 0xFFFFFFFF
        words[:, 1] = self._lines_of(block, n_bins)
        packed = np.minimum(counts, FULL).reshape(n_bins, -1, PER_WORD) << np.arange(0, BITS * PER_WORD, BITS)
        words[:, N_HEAD_WORDS:] = packed.sum(axis=2)
        head = HEAD.pack(MAGIC, DATA, words.shape[1])
        return [(head + row.tobytes(),) for row in words]

    def _lines_of(self, block: Block, n_bins: int) -> NDArray[np.int64]:
        """Return the lines at the end of each bin."""
        lines = np.full(n_bins, self._lines)
        for edge in block.edges:
            self._lines = self._lines | 1 << edge.line if edge.rising else self._lines & ~(1 << edge.line)
            lines[(edge.tick - block.start) // self._bin :] = self._lines
        return lines


class BehindTdt:
    """An RZ that sends to whoever asks, and Synapse beside it, which records unless `saves` is made False."""

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        told = {"bin_samples": str(BIN_SAMPLES), "codes": str(CODES), "rate_hz": RATE_HZ, **place.options}
        bin_samples, codes = (whole(name, told[name]) for name in ("bin_samples", "codes"))
        if not bin_samples or not codes or number("rate_hz", told["rate_hz"]) < LEAST_HZ:
            raise SourceError(f"an RZ has bins, sort codes and {LEAST_HZ} samples a second at least, got {told}.")
        self.rate, self.block = Fraction(told["rate_hz"]), 10 * bin_samples
        self.resolution = Resolution(apart=bin_samples, bin=bin_samples, of_the_past=False)
        self._peer = TdtPeer(channels, bin_samples, codes)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, place.port("port")))
        self._socket.settimeout(place.wait_s)
        self.heard: set[bytes] = set()
        """What was sent to it."""
        self._asker = (HOST, 0)
        self.saves = True
        self._synapse = HttpAnswers(place.port("synapse_port"), {MODE: self._mode})
        self.options = {
            **told, "host": HOST, "port": str(self._socket.getsockname()[1]), "channels": ",".join(channels),
            "synapse_host": HOST, "synapse_port": str(self._synapse.port),
        }  # fmt: skip

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait to be asked, and send all packets to whoever asked last."""
        while not self._asked(wait=True):
            pass
        for block in blocks:
            self._asked(wait=False)
            for [packet] in self._peer.say(block):
                self._socket.sendto(packet, self._asker)
            sleep(PAUSE_S)

    def lose(self, block: Block) -> None:
        """Let a block's packets be lost on the way."""
        self._peer.say(block)

    def _asked(self, wait: bool) -> bool:
        """Return whether somebody asks for packets now."""
        if not wait and not select.select([self._socket], [], [], 0)[0]:
            return False
        said, asker = self._socket.recvfrom(DATAGRAM_BYTES)
        self.heard.add(said)
        if said == ASK:
            self._asker = asker
        return said == ASK

    def close(self) -> None:
        """Close the sockets."""
        self._synapse.close()
        self._socket.close()

    def _mode(self) -> dict[str, str]:
        return {"mode": "Record" if self.saves else "Preview"}
