"""An RZ's voice: a packet a bin, of big-endian words: its number, the lines, and counts of 4 bits, the lowest first."""

import select
import socket
from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from adapters.peers.block import ANYWHERE, Block, Place
from adapters.readers import DATAGRAM_BYTES
from adapters.tdt import ASK, BITS, DATA, FULL, HEAD, MAGIC, PER_WORD

HOST = "127.0.0.1"
BIN_SAMPLES = 24
CODES = 4


class TdtPeer:
    """Says blocks as an RZ does; blocks must be of whole bins. All spikes have the first sort code."""

    def __init__(self, channels: Iterable[str], bin_samples: int = BIN_SAMPLES, codes: int = CODES) -> None:
        self.numbers = np.array([int(channel) for channel in channels])
        self._bin, self._codes = bin_samples, codes
        self._n_words = -(-int(self.numbers.max()) * codes // PER_WORD)
        self._lines = 0

    def say(self, block: Block) -> list[tuple[bytes, ...]]:
        """Return a block's packets."""
        bins = range(block.start // self._bin, -(-block.end // self._bin))
        counts = np.zeros((len(bins), self._n_words * PER_WORD), np.int64)
        places = (self.numbers[block.columns] - 1) * self._codes
        np.add.at(counts, (block.ticks // self._bin - bins.start, places), 1)
        changes: dict[int, list[tuple[int, bool]]] = {}
        for edge in block.edges:
            changes.setdefault(edge.tick // self._bin, []).append((edge.line, edge.rising))
        packets: list[tuple[bytes, ...]] = []
        for number, row in zip(bins, np.minimum(counts, FULL), strict=True):
            for line, rising in changes.get(number, ()):
                self._lines = self._lines | 1 << line if rising else self._lines & ~(1 << line)
            packed = (row.reshape(-1, PER_WORD) << np.arange(0, BITS * PER_WORD, BITS)).sum(1)
            words = np.array([number & 0xFFFFFFFF, self._lines, *packed.tolist()], ">u4")
            packets.append((HEAD.pack(MAGIC, DATA, len(words)) + words.tobytes(),))
        return packets


class BehindTdt:
    """An RZ that sends to whoever asks."""

    rate, block = Fraction(390_625, 16), 10 * BIN_SAMPLES

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self._peer = TdtPeer(channels)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, place.port("port")))
        self._socket.settimeout(place.wait_s)
        self.heard: set[bytes] = set()
        """What was sent to it."""
        self._asker = (HOST, 0)
        self.options = {
            "host": HOST, "port": str(self._socket.getsockname()[1]), "channels": ",".join(channels),
            "bin_samples": str(BIN_SAMPLES), "codes": str(CODES),
        }  # fmt: skip

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait to be asked, and send all packets to whoever asked last."""
        while not self._asked(wait=True):
            pass
        for block in blocks:
            self._asked(wait=False)
            for [packet] in self._peer.say(block):
                self._socket.sendto(packet, self._asker)

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
        """Close the socket."""
        self._socket.close()
