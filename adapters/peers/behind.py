"""A peer with real sockets behind each adapter: it plays a made-up recording to whoever connects."""

import socket
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Protocol

import zmq

from adapters.peers.blackrock import BlackrockPeer
from adapters.peers.block import Block
from adapters.peers.bridge import BridgePeer
from adapters.peers.intan_rhx import IntanPeer
from adapters.peers.lsl import BehindLsl
from adapters.peers.open_ephys import OpenEphysPeer
from adapters.peers.plexnet import PlexNetPeer
from adapters.peers.spikeglx import BehindSpikeGlx
from adapters.plexnet_greeting import CONNECT, GET_PARAMETERS, PACKET_BYTES, SERVER_AREA, SIZES, START, words

HOST = "127.0.0.1"
TIMEOUT_S = 5.0
RATE_HZ = 30_000


class Behind(Protocol):
    """Plays blocks to the adapter that was made with its options."""

    options: dict[str, str]
    rate: Fraction
    block: int
    """Length of a block in ticks."""

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait until the adapter has connected, if it must, and send the blocks as fast as they are taken."""

    def close(self) -> None:
        """Close the sockets."""


class BehindBridge:
    """A bridge program in this very process."""

    rate, block = Fraction(RATE_HZ), 300

    def __init__(self, channels: list[str]) -> None:
        self._peer = BridgePeer(channels, self.rate)
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        address = f"inproc://bridge-{id(self)}"
        self.options = {"address": address, "channels": ",".join(channels)}
        self._address = address

    def play(self, blocks: Iterable[Block]) -> None:
        """Say hello and all blocks."""
        self._socket.connect(self._address)
        for number, block in enumerate(blocks):
            messages = self._peer.say(block) if number else [*self._peer.hello(block.start), *self._peer.say(block)]
            for message in messages:
                self._socket.send_multipart(message)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)


class BehindOpenEphys:
    """The GUI's ZMQ Interface, without its HTTP server."""

    rate, block = Fraction(RATE_HZ), 640

    def __init__(self, channels: list[str]) -> None:
        self._peer = OpenEphysPeer(channels)
        # Not a plain PUB, so that it can be seen who subscribes.
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        port: int = self._socket.bind_to_random_port(f"tcp://{HOST}")
        self.options = {"port": str(port), "channels": ",".join(channels)}

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait for a subscriber and publish all blocks."""
        if not self._socket.poll(round(TIMEOUT_S * 1000)):
            raise TimeoutError("nobody subscribes")
        for block in blocks:
            for message in self._peer.say(block):
                self._socket.send_multipart(message)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)


class _Listening:
    """TCP ports that wait for one client each."""

    def __init__(self, n_ports: int) -> None:
        self._listeners = [socket.create_server((HOST, 0)) for _ in range(n_ports)]
        self.ports = [str(each.getsockname()[1]) for each in self._listeners]
        self._clients: list[socket.socket] = []
        for each in self._listeners:
            each.settimeout(TIMEOUT_S)

    def accept(self) -> list[socket.socket]:
        self._clients = [each.accept()[0] for each in self._listeners]
        for each in self._clients:
            each.settimeout(TIMEOUT_S)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._clients

    def close(self) -> None:
        for each in (*self._clients, *self._listeners):
            each.close()


class BehindIntan:
    """RHX with its data ports open and its command port closed."""

    rate, block = Fraction(20_000), 128

    def __init__(self, channels: list[str]) -> None:
        self._peer = IntanPeer(channels)
        self._listening = _Listening(2)
        waveform, spike = self._listening.ports
        self.options = {
            "waveform_port": waveform, "spike_port": spike, "channels": ",".join(channels), "rate_hz": "20000",
        }  # fmt: skip

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait for both connections and write all blocks."""
        clients = self._listening.accept()
        for block in blocks:
            # Spikes first: at this speed they would come seconds of recording behind the waveforms.
            for port, data in sorted(self._peer.say(block), reverse=True):
                clients[port].sendall(data)

    def close(self) -> None:
        """Close the ports."""
        self._listening.close()


class BehindBlackrock:
    """An instrument that broadcasts to one host only."""

    rate, block = Fraction(RATE_HZ), 300

    def __init__(self, channels: list[str]) -> None:
        self._peer = BlackrockPeer(channels)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, 0))
            self._port = probe.getsockname()[1]
        self.options = {"host": HOST, "port": str(self._port), "channels": ",".join(channels)}

    def play(self, blocks: Iterable[Block]) -> None:
        """Send all datagrams."""
        for block in blocks:
            for [datagram] in self._peer.say(block):
                self._socket.sendto(datagram, (HOST, self._port))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class BehindPlexNet:
    """PlexNetLocal, which must be greeted as it expects."""

    rate, block = Fraction(40_000), 400

    def __init__(self, channels: list[str]) -> None:
        self._peer = PlexNetPeer(channels)
        self._listening = _Listening(1)
        self.options = {"port": self._listening.ports[0], "channels": ",".join(channels)}
        self.heard: list[int] = []
        """Commands, in order."""

    def play(self, blocks: Iterable[Block]) -> None:
        """Answer the greeting and send all blocks."""
        [client] = self._listening.accept()
        answers = {CONNECT: words(SIZES, 0, 0, 2, 10400, 10401), GET_PARAMETERS: _server_area()}
        while START not in self.heard:
            [command] = struct.unpack_from("<i", client.recv(PACKET_BYTES, socket.MSG_WAITALL))
            self.heard.append(command)
            client.sendall(answers.get(command, b""))
        for block in blocks:
            client.sendall(b"".join(self._peer.say(block)))

    def close(self) -> None:
        """Close the port."""
        self._listening.close()


def _server_area() -> bytes:
    area = [0] * 18
    area[0], area[15], area[17] = SERVER_AREA, 128, 32
    return words(20_001) + words(*area)


BEHIND: dict[str, Callable[[list[str]], Behind]] = {
    "bridge": BehindBridge,
    "open_ephys": BehindOpenEphys,
    "intan_rhx": BehindIntan,
    "blackrock": BehindBlackrock,
    "plexnet": BehindPlexNet,
    "spikeglx": BehindSpikeGlx,
    "lsl": BehindLsl,
}
"""A peer for each adapter."""
