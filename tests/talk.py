"""A peer and a bare ROUTER in conversation, on a clock that stands still: for tests of the peers' end."""

import zmq

from protocol.codec import decode, encode
from protocol.messages import Heartbeat, Hello, Message, Notice, Welcome
from protocol.peer import HELLO_S, SERVER_LOST_S, Peer, new_instance

DEADLINE_S = 10
FENCE = Notice("info", "all that was said before this has arrived")


class Server:
    """A ROUTER that says what a test tells it to, and nothing else."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.port = self.socket.bind_to_random_port("tcp://127.0.0.1")
        self.peer = b""
        """Whoever spoke last."""

    def hears_anything(self, within_s: float) -> bool:
        return bool(self.socket.poll(round(within_s * 1000)))

    def hears(self) -> Message:
        assert self.hears_anything(DEADLINE_S), "the peer says nothing"
        self.peer, *frames = self.socket.recv_multipart()
        return decode(frames)

    def says(self, *messages: Message) -> None:
        for message in messages:
            self.says_raw(*(bytes(frame) for frame in encode(message)))

    def says_raw(self, *frames: bytes) -> None:
        self.socket.send_multipart([self.peer, *frames])


class Talk:
    """A peer with a clock that stands still unless told, and the server it talks to."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        self.now_s = 100.0
        self.hello = Hello("display", "test", new_instance())
        self.server = Server(context)
        address = f"tcp://127.0.0.1:{self.server.port}"
        self.peer = Peer(address, lambda: self.hello, lambda: self.now_s, context)

    def hello_arrives(self) -> Hello:
        """Let time pass until the connection stands and the peer has said Hello."""
        for _ in range(round(DEADLINE_S / 0.01)):
            list(self.peer.receive(0))
            if self.server.hears_anything(0.01):
                message = self.server.hears()
                if isinstance(message, Hello):
                    return message
                assert isinstance(message, Heartbeat)
            self.now_s += HELLO_S
        raise AssertionError("the peer does not say Hello")

    def peer_hears(self, *messages: Message) -> list[Message]:
        """Say something and return what the peer makes of it, up to a fence."""
        self.server.says(*messages, FENCE)
        heard: list[Message] = []
        for _ in range(round(DEADLINE_S / 0.1)):
            for message in self.peer.receive(0.1):
                if isinstance(message, Notice) and message.text == FENCE.text:
                    return heard
                heard.append(message)
        raise AssertionError("the peer hears nothing")

    def peer_says(self) -> list[Message]:
        """Return all that the peer has said by now."""
        list(self.peer.receive(0))
        assert self.peer.send(FENCE)
        said: list[Message] = []
        while not isinstance(message := self.server.hears(), Notice):
            said.append(message)
        return said

    def join(self, session_id: str = "s1") -> list[Message]:
        """Welcome the peer to a session, and return what it says then, heartbeats apart."""
        self.hello_arrives()
        self.peer_hears(Welcome(session_id, "test", {}))
        return [message for message in self.peer_says() if not isinstance(message, Heartbeat)]

    def lose_the_server(self) -> None:
        """Let the server fall silent, having heard all that was said to it."""
        self.peer_says()
        self.now_s += SERVER_LOST_S + 0.1
