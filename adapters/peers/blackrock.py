"""An instrument's voice: many packets a datagram, a monitor packet every 10 ms that counts them, and itself."""

import struct
from collections.abc import Iterable

from adapters.blackrock import CONFIGURATION, HEADERS, MONITOR, NOISE, STROBE
from adapters.peers.block import Block

WAVEFORM_BYTES = 96


class BlackrockPeer:
    """Says blocks as an instrument does; a block should last 10 ms, and ends with its monitor."""

    def __init__(self, channels: Iterable[str], protocol: str = "4.1", digital_channel: int = 279) -> None:
        self.numbers = [int(channel) for channel in channels]
        self._header = struct.Struct(HEADERS[protocol])
        self._bits = 32 if protocol == "3.11" else 64
        self._digital = digital_channel
        self._n_sent = self._counter = self._port = 0

    def say(self, block: Block) -> list[tuple[bytes, ...]]:
        """Return a block's datagrams: its packets in order of time, then the monitor."""
        timed = [
            (tick, self._spike(tick, column))
            for tick, column in zip(block.ticks.tolist(), block.columns.tolist(), strict=True)
        ]
        for edge in block.edges:
            self._port = self._port | 1 << edge.line if edge.rising else self._port & ~(1 << edge.line)
            timed.append((edge.tick, self._input(edge.tick, self._port, 1 << edge.line, 1)))
        timed += [(word.tick, self._input(word.tick, word.value, 0xFFFF, STROBE)) for word in block.words]
        datagrams = [b"".join(packet for _, packet in sorted(timed, key=lambda each: each[0]))] if timed else []
        self._n_sent += len(timed) + 1
        self._counter += 1
        monitor = self._packet(block.end, CONFIGURATION, MONITOR, struct.pack("<II", self._n_sent, self._counter))
        self._n_sent = 0
        return [(datagram,) for datagram in (*datagrams, monitor)]

    def noise(self, tick: int, column: int) -> bytes:
        """Return a spike that was sorted as noise."""
        return self._packet(tick, self.numbers[column], NOISE, bytes(16 + WAVEFORM_BYTES))

    def _spike(self, tick: int, column: int) -> bytes:
        return self._packet(
            tick, self.numbers[column], 0, struct.pack("<3fhh", 0, 0, 0, 10, -70) + bytes(WAVEFORM_BYTES)
        )

    def _input(self, tick: int, value: int, changed: int, kind: int) -> bytes:
        return self._packet(tick, self._digital, 0, struct.pack("<III", value, changed, kind))

    def _packet(self, tick: int, channel: int, kind: int, payload: bytes) -> bytes:
        fields = [tick & ((1 << self._bits) - 1), channel, kind, len(payload) // 4]
        padding = [0, 0] if self._bits == 64 else []
        return self._header.pack(*fields, *padding) + payload
