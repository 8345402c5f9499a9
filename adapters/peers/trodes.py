"""Trodes' voice: a registry, the spikes, and the digital inputs of every sample, each in a msgpack map of its own."""

import threading
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import msgpack
import zmq

from adapters.peers.block import ANYWHERE, Block, Place
from adapters.trodes_network import DIGITAL, INFO, SOURCES, SPIKES

HOST = "127.0.0.1"
SAY_EVERY_S = 0.02
RATE_HZ = 5_000
"""Slower than any headstage, since there is a message a sample; the adapter asks for it."""
SYNC = b"\x55"
N_BYTES = 4
"""Of digital lines, after the sync byte."""
NS_PER_S = 10**9


class TrodesPeer:
    """Says blocks as Trodes does."""

    def __init__(self, channels: Iterable[str], ticks_per_s: Fraction = Fraction(RATE_HZ)) -> None:
        self.numbers = [int(channel) for channel in channels]
        self._rate = ticks_per_s
        self._lines = 0

    def say(self, block: Block) -> list[tuple[int, tuple[bytes, ...]]]:
        """Return (port, messages) of a block: its spikes in order of time, then one message a sample."""
        pairs = zip(block.ticks.tolist(), block.columns.tolist(), strict=True)
        spikes = tuple(self._spike(tick, self.numbers[column]) for tick, column in pairs)
        digital = (DIGITAL, tuple(self._digital(block)))
        return [(SPIKES, spikes), digital] if spikes else [digital]

    def _spike(self, tick: int, number: int) -> bytes:
        return _packed({"nTrodeId": number, "cluster": 1, **self._times(tick)})

    def _times(self, tick: int) -> dict[str, int]:
        return {"localTimestamp": tick & 0xFFFFFFFF, "systemTimestamp": int(tick * NS_PER_S / self._rate)}

    def _digital(self, block: Block) -> Iterable[bytes]:
        changes: dict[int, list[tuple[int, bool]]] = {}
        for edge in block.edges:
            changes.setdefault(edge.tick, []).append((edge.line, edge.rising))
        for tick in range(block.start, block.end):
            for line, rising in changes.get(tick, ()):
                self._lines = self._lines | 1 << line if rising else self._lines & ~(1 << line)
            data = SYNC + self._lines.to_bytes(N_BYTES, "little")
            yield _packed({"digitalData": [data], **self._times(tick)})


class BehindTrodes:
    """Trodes with its registry and its sources on random ports."""

    rate, block = Fraction(RATE_HZ), 300

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self._peer, self._wait_s = TrodesPeer(channels, self.rate), place.wait_s
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        # Not plain PUBs, so that it can be seen who subscribes.
        self._sources: dict[int, zmq.Socket[bytes]] = {port: context.socket(zmq.XPUB) for port in (DIGITAL, SPIKES)}
        self.endpoints: dict[str, str] = {}
        for port, source in self._sources.items():
            source.setsockopt(zmq.SNDHWM, 0)
            self.endpoints[SOURCES[port]] = _bound(source)
        self._registry: zmq.Socket[bytes] = context.socket(zmq.PUB)
        self._answers: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._info: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._reply_endpoint, self.endpoints[INFO] = _bound(self._answers), _bound(self._info)
        self.heard: list[Any] = []
        """What was asked, in order."""
        self.options = {
            "port": _bound(self._registry, place.port("port")).rpartition(":")[2],
            "channels": ",".join(channels),
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait until both sources are subscribed to, and publish all blocks."""
        for source in self._sources.values():
            if not source.poll(round(self._wait_s * 1000)):
                raise TimeoutError("nobody subscribes")
        for block in blocks:
            for port, messages in self._peer.say(block):
                for message in messages:
                    self._sources[port].send(message)

    def close(self) -> None:
        """Stop, and close the sockets."""
        self._stop.set()
        self._thread.join()
        for each in (*self._sources.values(), self._registry, self._answers, self._info):
            each.close(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        for service in (self._answers, self._info):
            poller.register(service, zmq.POLLIN)
        while not self._stop.is_set():
            self._registry.send(_packed({"replyEndpoint": self._reply_endpoint}))
            for service, _ in poller.poll(round(SAY_EVERY_S * 1000)):
                question = msgpack.unpackb(service.recv())
                self.heard.append(question)
                service.send(_packed(self._answer(question)))

    def _answer(self, question: dict[str, str]) -> Any:
        if "request" in question:
            return ["trodes", "info", {"timerate": int(self.rate)}]
        return self.endpoints.get(question["name"], "")


def _bound(zmq_socket: "zmq.Socket[bytes]", port: int = 0) -> str:
    zmq_socket.bind(f"tcp://{HOST}:{port or '*'}")
    return zmq_socket.get_string(zmq.LAST_ENDPOINT)


def _packed(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value)
    return packed
