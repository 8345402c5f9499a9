"""Trodes' voice: a registry, the spikes, and the digital inputs of every sample, each in a msgpack map of its own."""

import threading
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import msgpack
import numpy as np
import zmq

from adapters.peers.block import ANYWHERE, Block, Place, Resolution
from adapters.rules import whole
from adapters.source import SourceError
from adapters.trodes_network import DIGITAL, INFO, SOURCES, SPIKES

HOST = "127.0.0.1"
SAY_EVERY_S = 0.02
RATE_HZ = 5_000
"""Slower than any headstage, since there is a message a sample; the adapter asks for it."""
LEAST_HZ = 1000
SYNC = b"\x55"
N_BYTES = 4
"""Of digital lines, after the sync byte."""
NS_PER_S = 10**9
_MAP_OF_3, _LIST_OF_1, _BYTES, _UINT32, _UINT64 = b"\x83", b"\x91", b"\xc4", b"\xce", b"\xcf"
"""As msgpack begins what they are."""
_NAMES = {
    "data": _MAP_OF_3 + msgpack.packb("digitalData") + _LIST_OF_1 + _BYTES + bytes([len(SYNC) + N_BYTES]) + SYNC,
    "local": msgpack.packb("localTimestamp") + _UINT32,
    "system": msgpack.packb("systemTimestamp") + _UINT64,
}
_KINDS = {"data": f"<u{N_BYTES}", "local": ">u4", "system": ">u8"}
_SAMPLE = np.dtype([each for n in _NAMES for each in ((f"{n} is", f"V{len(_NAMES[n])}"), (n, _KINDS[n]))])
"""A message of the digital inputs: names, and the values after them."""


class TrodesPeer:
    """Says blocks as Trodes does. A spike is of the cluster that its channel names, or 1."""

    def __init__(self, channels: Iterable[str], ticks_per_s: Fraction = Fraction(RATE_HZ)) -> None:
        pairs = [name.partition(":")[::2] for name in channels]
        self._clusters = [(int(ntrode), int(cluster or 1)) for ntrode, cluster in pairs]
        self._rate_hz = int(ticks_per_s)
        self._lines = 0

    def say(self, block: Block) -> list[tuple[int, tuple[bytes, ...]]]:
        """Return (port, messages) of a block: its spikes in order of time, then one message a sample."""
        pairs = zip(block.ticks.tolist(), block.columns.tolist(), strict=True)
        spikes = tuple(self._spike(tick, *self._clusters[column]) for tick, column in pairs)
        digital = (DIGITAL, self._digital(block))
        return [(SPIKES, spikes), digital] if spikes else [digital]

    def _spike(self, tick: int, ntrode: int, cluster: int) -> bytes:
        times = {"localTimestamp": tick & 0xFFFFFFFF, "systemTimestamp": tick * NS_PER_S // self._rate_hz}
        return _packed({"nTrodeId": ntrode, "cluster": cluster, **times})

    def _digital(self, block: Block) -> tuple[bytes, ...]:
        """Return a message a sample; there are so many that they are packed at once."""
        samples = np.empty(block.end - block.start, _SAMPLE)
        for name in ("data", "local", "system"):
            samples[f"{name} is"] = np.void(_NAMES[name])
        ticks = np.arange(block.start, block.end)
        samples["local"], samples["system"] = ticks & 0xFFFFFFFF, ticks * NS_PER_S // self._rate_hz
        samples["data"] = self._lines
        for edge in block.edges:
            self._lines = self._lines | 1 << edge.line if edge.rising else self._lines & ~(1 << edge.line)
            samples["data"][max(0, edge.tick - block.start) :] = self._lines
        packed, n = samples.tobytes(), _SAMPLE.itemsize
        return tuple(packed[at : at + n] for at in range(0, len(packed), n))


class BehindTrodes:
    """Trodes with its registry and its sources on random ports; `-o rate_hz=` says how many samples it takes."""

    block, resolution = 300, Resolution(of_the_past=False)

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self.rate = Fraction(whole("rate_hz", place.options.get("rate_hz", str(RATE_HZ))))
        if self.rate < LEAST_HZ:
            raise SourceError(f"rate_hz must be {LEAST_HZ} samples a second at least, got {self.rate}.")
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
        where = _bound(self._registry, place.port("port")).rpartition(":")[2]
        self.options = {**place.options, "port": where, "channels": ",".join(channels)}
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

    def lose(self, block: Block) -> None:
        """Let a block's messages be lost on the way."""
        self._peer.say(block)

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
