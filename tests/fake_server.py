"""A server for tests of peers: it says what a test tells it to, answers heartbeats, and remembers what it heard."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import zmq

from protocol.codec import decode, encode
from protocol.messages import Farewell, Heartbeat, Hello, Message

ADDRESS = "inproc://server"
MANY_STEPS = 1000
"""A peer that has not done in so many steps what a test waits for will not do it any more."""


class Ticking:
    """A clock that goes on by a little whenever it is asked: time passes, and nobody waits."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.0025
        return self.now_s


class FakeServer:
    """One ROUTER and one peer, in one thread."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.context = context
        self.hellos: list[Hello] = []
        self.heartbeats: list[Heartbeat] = []
        self.heard: list[Message] = []
        """All but Hello and Heartbeat."""
        self._peer = b""
        self._open()

    def _open(self) -> None:
        self._socket = self.context.socket(zmq.ROUTER)
        self._socket.bind(ADDRESS)

    def restart(self) -> None:
        """Go away and come back, having forgotten who was there."""
        self._socket.unbind(ADDRESS)  # closing alone frees the address only some time later
        self._socket.close(linger=0)
        self._open()

    def says(self, *messages: Message) -> None:
        for message in messages:
            self._socket.send_multipart([self._peer, *encode(message)])

    def listen(self) -> None:
        """Take in all that has arrived."""
        while self._socket.poll(0):
            self._peer, *frames = self._socket.recv_multipart()
            match decode(frames):
                case Hello() as hello:
                    self.hellos.append(hello)
                case Heartbeat() as heartbeat:
                    self.heartbeats.append(heartbeat)
                    self.says(Heartbeat(0.0, heartbeat.sent_s))
                case message:
                    self.heard.append(message)

    def run(self, step: Callable[[], None], until: Callable[[], bool]) -> None:
        """Let a peer take steps until something is so."""
        for _ in range(MANY_STEPS):
            self.listen()
            if until():
                return
            step()
        raise AssertionError(f"waited in vain; heard {self.heard}")

    def farewells(self) -> list[str]:
        return [message.reason for message in self.heard if isinstance(message, Farewell)]


@contextmanager
def a_server() -> Iterator[FakeServer]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    try:
        yield FakeServer(context)
    finally:
        context.destroy(linger=0)
