"""A peer with real sockets behind each adapter: it plays a made-up recording to whoever connects.

Without a place to speak at, each takes any free one and says where in `options`, which are its adapter's. Blocks may
be made while they are played: a peer asks for the next one as soon as it has sent the last.
"""

import select
import socket
import struct
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Protocol

import zmq

from adapters.peers.blackrock import BlackrockPeer
from adapters.peers.block import ANYWHERE, EXACT, Block, Place, Resolution
from adapters.peers.bridge import BridgePeer
from adapters.peers.intan_rhx import IntanPeer, rhx_answers
from adapters.peers.lsl import BehindLsl
from adapters.peers.open_ephys import OpenEphysPeer, gui_answers
from adapters.peers.plexnet import PlexNetPeer
from adapters.peers.questions import CommandAnswers, HttpAnswers
from adapters.peers.spikeglx import BehindSpikeGlx
from adapters.peers.tdt import BehindTdt
from adapters.peers.trodes import BehindTrodes
from adapters.plexnet_greeting import CONNECT, GET_PARAMETERS, PACKET_BYTES, SERVER_AREA, SIZES, START, words

HOST = "127.0.0.1"
RATE_HZ = 30_000
GONE_MS = 500
"""An adapter that takes nothing for so long has gone: what is recorded meanwhile is lost to it."""


class Behind(Protocol):
    """Plays blocks to the adapter that was made with its options."""

    options: dict[str, str]
    rate: Fraction
    block: int
    """Length of a block in ticks."""
    resolution: Resolution

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait until the adapter has connected, if it must, and send the blocks as fast as they are taken."""

    def close(self) -> None:
        """Close the sockets."""


class BehindBridge:
    """A bridge program, in this very process unless told an address."""

    rate, block, resolution = Fraction(RATE_HZ), 300, EXACT

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self._peer, self._wait_s = BridgePeer(channels, self.rate), place.wait_s
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        # No queue for an adapter that is not there: only so can it be seen that one has gone.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        address = place.options.get("address", f"inproc://bridge-{id(self)}")
        self.options = {"address": address, "channels": ",".join(channels)}
        self._address = address

    def play(self, blocks: Iterable[Block]) -> None:
        """Say hello and all blocks; to an adapter that comes back, hello again."""
        self._socket.connect(self._address)
        heard, wait_ms, end = False, round(1000 * self._wait_s), 0
        for block in blocks:
            if not self._socket.poll(wait_ms, zmq.POLLOUT):
                heard = False
                continue
            # As a bridge does whose system's clock began anew.
            heard = heard and block.start - end < self.rate
            hello = [] if heard else self._peer.hello(block.start)
            for message in (*hello, *self._peer.say(block)):
                self._socket.send_multipart(message)
            heard, wait_ms, end = True, GONE_MS, block.end

    def lose(self, block: Block) -> None:
        """Say a block to nobody: it is lost on its way, and its number is missing."""
        self._peer.say(block)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)


class BehindOpenEphys:
    """The GUI's ZMQ Interface, and its HTTP server. It records, as it should, unless `saves` is made False."""

    rate, block, resolution = Fraction(RATE_HZ), 640, EXACT

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self._peer = OpenEphysPeer(channels)
        self._wait_s = place.wait_s
        # Not a plain PUB, so that it can be seen who subscribes.
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        port = place.port("port")
        if port:
            self._socket.bind(f"tcp://{HOST}:{port}")
        else:
            port = self._socket.bind_to_random_port(f"tcp://{HOST}")
        self.saves = True
        self._http = HttpAnswers(place.port("http_port"), gui_answers(lambda: self.saves))
        self.options = {"port": str(port), "http_port": str(self._http.port), "channels": ",".join(channels)}

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait for a subscriber and publish all blocks."""
        if not self._socket.poll(round(self._wait_s * 1000)):
            raise TimeoutError("nobody subscribes")
        for block in blocks:
            for message in self._peer.say(block):
                self._socket.send_multipart(message)

    def lose(self, block: Block) -> None:
        """Say a block to nobody: it is lost on its way, and its number is missing."""
        self._peer.say(block)

    def close(self) -> None:
        """Close the sockets."""
        self._http.close()
        self._socket.close(linger=0)


class _Listening:
    """TCP ports that wait for one client each, and for the next one when it has gone."""

    def __init__(self, place: Place, *ports: str) -> None:
        self._listeners = [socket.create_server((HOST, place.port(each))) for each in ports]
        self.ports = [str(each.getsockname()[1]) for each in self._listeners]
        self.clients: list[socket.socket] = []
        for each in self._listeners:
            each.settimeout(place.wait_s)
        self._wait_s = place.wait_s

    def accept(self) -> None:
        self.clients = [each.accept()[0] for each in self._listeners]
        for each in self.clients:
            each.settimeout(self._wait_s)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def somebody_comes(self) -> bool:
        """Accept the next client if there is one; return whether there was."""
        if not select.select(self._listeners[:1], [], [], 0)[0]:
            return False
        self.accept()
        return True

    def send(self, port: int, data: bytes) -> bool:
        """Send to a client, and let all go if it has gone; return whether it was still there."""
        try:
            self.clients[port].sendall(data)
        except (ConnectionError, IndexError):
            for each in self.clients:
                each.close()
            self.clients = []
            return False
        return True

    def close(self) -> None:
        for each in (*self.clients, *self._listeners):
            each.close()


class BehindIntan:
    """RHX with its data ports and its command port open. It records, as it should, unless `saves` is made False."""

    rate, block, resolution = Fraction(20_000), 128, EXACT

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self._peer = IntanPeer(channels)
        self._listening = _Listening(place, "waveform_port", "spike_port")
        waveform, spike = self._listening.ports
        self.saves = True
        self._commands = CommandAnswers(place.port("command_port"), rhx_answers(self.rate, lambda: self.saves))
        self.options = {
            "waveform_port": waveform, "spike_port": spike, "command_port": str(self._commands.port),
            "channels": ",".join(channels),
        }  # fmt: skip

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait for both connections and write all blocks."""
        self._listening.accept()
        for block in blocks:
            # Spikes first: at this speed they would come seconds of recording behind the waveforms.
            said = sorted(self._peer.say(block), reverse=True)
            if self._listening.clients or self._listening.somebody_comes():
                all(self._listening.send(port, data) for port, data in said)

    def lose(self, block: Block) -> None:
        """Say a block to nobody: it is lost on its way, and its number is missing."""
        self._peer.say(block)

    def close(self) -> None:
        """Close the ports."""
        self._commands.close()
        self._listening.close()


class BehindBlackrock:
    """An instrument that broadcasts to one host only."""

    rate, block, resolution = Fraction(RATE_HZ), 300, EXACT

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self._peer = BlackrockPeer(channels)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._port = place.port("port") or _free_port()
        self.options = {"host": HOST, "port": str(self._port), "channels": ",".join(channels)}

    def play(self, blocks: Iterable[Block]) -> None:
        """Send all datagrams."""
        for block in blocks:
            for [datagram] in self._peer.say(block):
                self._socket.sendto(datagram, (HOST, self._port))

    def lose(self, block: Block) -> None:
        """Say a block to nobody: it is lost on its way, and its number is missing."""
        self._peer.say(block)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class BehindPlexNet:
    """PlexNetLocal, which must be greeted as it expects."""

    rate, block, resolution = Fraction(40_000), 400, EXACT

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        self._peer = PlexNetPeer(channels)
        self._listening = _Listening(place, "port")
        self.options = {"port": self._listening.ports[0], "channels": ",".join(channels)}
        self.heard: list[int] = []
        """Commands, in order."""

    def play(self, blocks: Iterable[Block]) -> None:
        """Answer the greeting and send all blocks."""
        self._listening.accept()
        self._greet()
        for block in blocks:
            said = b"".join(self._peer.say(block))
            if not self._listening.clients and self._listening.somebody_comes():
                self._greet()
            self._listening.send(0, said)

    def _greet(self) -> None:
        self.heard.clear()
        [client] = self._listening.clients
        answers = {CONNECT: words(SIZES, 0, 0, 2, 10400, 10401), GET_PARAMETERS: _server_area()}
        while START not in self.heard:
            [command] = struct.unpack_from("<i", client.recv(PACKET_BYTES, socket.MSG_WAITALL))
            self.heard.append(command)
            client.sendall(answers.get(command, b""))

    def lose(self, block: Block) -> None:
        """Say a block to nobody: PlexNetLocal counts what it had to drop."""
        self._peer.n_dropped += len(self._peer.say(block))

    def close(self) -> None:
        """Close the port."""
        self._listening.close()


def _server_area() -> bytes:
    area = [0] * 18
    area[0], area[15], area[17] = SERVER_AREA, 128, 32
    return words(20_001) + words(*area)


BEHIND: dict[str, Callable[..., Behind]] = {
    "bridge": BehindBridge,
    "open_ephys": BehindOpenEphys,
    "intan_rhx": BehindIntan,
    "blackrock": BehindBlackrock,
    "plexnet": BehindPlexNet,
    "spikeglx": BehindSpikeGlx,
    "trodes": BehindTrodes,
    "tdt": BehindTdt,
    "lsl": BehindLsl,
}
"""A peer for each adapter, made of its channels, and of the `Place` to speak at if it can be told one."""
