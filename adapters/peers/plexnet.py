"""PlexNetLocal's voice: 512-byte packets, each a chain of blocks in order of time."""

import struct
from collections.abc import Iterable

from adapters.peers.block import Block
from adapters.plexnet import CONTINUOUS, EVENT, PACKET_BYTES, SPIKE, STROBED

HEAD_BYTES = 16
N_SAMPLES = 4


class PlexNetPeer:
    """Says blocks as PlexNetLocal does: timestamps of spikes and events, and one continuous channel at the end."""

    def __init__(self, channels: Iterable[str]) -> None:
        self.numbers = [int(channel) for channel in channels]
        self.n_dropped = 0

    def say(self, block: Block) -> list[bytes]:
        """Return a block's packets."""
        spikes = zip(block.ticks.tolist(), block.columns.tolist(), strict=True)
        timed = [(tick, self._piece(SPIKE, tick, self.numbers[column], 1)) for tick, column in spikes]
        timed += [(e.tick, self._piece(EVENT, e.tick, e.line + 1, 0)) for e in block.edges if e.rising]
        timed += [(w.tick, self._piece(EVENT, w.tick, STROBED, w.value)) for w in block.words]
        pieces = [piece for _, piece in sorted(timed, key=lambda each: each[0])]
        pieces.append(self._piece(CONTINUOUS, block.end, 0, 0, N_SAMPLES))
        return self._packed(pieces)

    def _piece(self, what: int, tick: int, channel: int, unit: int, n_samples: int = 0) -> bytes:
        unit = unit - 0x10000 if unit >= 0x8000 else unit
        head = struct.pack(
            "<hHIhhhh", what, tick >> 32 & 0xFF, tick & 0xFFFFFFFF, channel, unit, int(n_samples > 0), n_samples
        )
        return head + bytes(2 * n_samples)

    def _packed(self, pieces: list[bytes]) -> list[bytes]:
        packets = [b""]
        for piece in pieces:
            if HEAD_BYTES + len(packets[-1]) + len(piece) > PACKET_BYTES:
                packets.append(b"")
            packets[-1] += piece
        head = struct.pack("<4i", 1, 0, self.n_dropped, 0)
        return [(head + packet).ljust(PACKET_BYTES, b"\0") for packet in packets]
