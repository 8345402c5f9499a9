"""The Event Broadcaster's voice: a kind of two bytes, then JSON or raw binary; TTL of all streams, and spikes."""

import json
import struct
from collections.abc import Iterable
from fractions import Fraction

import zmq

from adapters.peers.block import WAIT_S, Block
from adapters.peers.open_ephys import OpenEphysPeer

HOST = "127.0.0.1"
SPIKES_STREAM, LINES_STREAM = 20_001, 20_002
N_SAMPLES = 2


class BroadcasterPeer:
    """Says blocks as the plugin does.

    In the JSON format the lines are on the spikes' stream; in the raw one they are on another, whose samples are
    counted otherwise, and only the time in seconds is common.
    """

    def __init__(self, electrodes: Iterable[str], sample_rate_hz: float = 30_000.0, raw: bool = False) -> None:
        self.electrodes, self.rate, self.raw = tuple(electrodes), sample_rate_hz, raw
        self._word = 0

    def say(self, block: Block) -> list[tuple[bytes, ...]]:
        """Return the messages of a block of samples."""
        messages = [self._ttl(edge.tick, edge.line, edge.rising) for edge in block.edges]
        pairs = zip(block.ticks.tolist(), block.columns.tolist(), strict=True)
        return messages + [self._spike(tick, column) for tick, column in pairs]

    def _shared_s(self, tick: int) -> float:
        return 100.0 + tick / self.rate

    def _ttl(self, tick: int, line: int, rising: bool) -> tuple[bytes, ...]:
        self._word = self._word | 1 << line if rising else self._word & ~(1 << line)
        if self.raw:
            other = 987_654 + tick // 3
            head = struct.pack("<BBHHHqd", 1, 3, 100, LINES_STREAM, 0, other, self._shared_s(tick))
            return b"\0\0", head + struct.pack("<BBQ", line, rising, self._word)
        event = {
            "event_type": "ttl", "stream": "AP", "source_node": 100, "sample_rate": self.rate,
            "channel_name": "TTL", "sample_number": tick, "line": line, "state": rising,
        }  # fmt: skip
        return b"\0\0", json.dumps(event).encode()

    def _spike(self, tick: int, column: int) -> tuple[bytes, ...]:
        if self.raw:
            head = struct.pack("<BBHHHqdH", 2, 1, 102, SPIKES_STREAM, column, tick, self._shared_s(tick), 0)
            return b"\1\0", head + struct.pack(f"<{1 + N_SAMPLES}f", -50.0, *[0.0] * N_SAMPLES)
        event = {
            "event_type": "spike", "stream": "AP", "source_node": 102, "electrode": self.electrodes[column],
            "num_channels": 1, "sample_rate": self.rate, "sample_number": tick, "sorted_id": 0, "amp1": 60.0,
        }  # fmt: skip
        return b"\1\0", json.dumps(event).encode()


class BehindEventBroadcaster:
    """The GUI with both plugins: the ZMQ Interface sends data and spikes, the Event Broadcaster lines and spikes."""

    rate, block = Fraction(30_000), 640

    def __init__(self, channels: list[str], raw: bool = False) -> None:
        self._gui, self._broadcaster = OpenEphysPeer(channels), BroadcasterPeer(channels, float(self.rate), raw)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        # Not plain PUBs, so that it can be seen who subscribes.
        self._sockets = [context.socket(zmq.XPUB), context.socket(zmq.XPUB)]
        for each in self._sockets:
            each.setsockopt(zmq.SNDHWM, 0)
        port, events_port = (str(each.bind_to_random_port(f"tcp://{HOST}")) for each in self._sockets)
        self.options = {"port": port, "events_port": events_port, "channels": ",".join(channels)}
        if raw:
            self.options["events_stream"] = str(LINES_STREAM)

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait for a subscriber to both, and publish all blocks."""
        for each in self._sockets:
            if not each.poll(round(WAIT_S * 1000)):
                raise TimeoutError("nobody subscribes")
        data, events = self._sockets
        for block in blocks:
            for message in self._broadcaster.say(block):
                events.send_multipart(message)
            for message in self._gui.say(block):
                data.send_multipart(message)

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets:
            each.close(linger=0)
