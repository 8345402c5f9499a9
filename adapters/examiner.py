"""A server of one peer, which listens, remembers and asks: what `xdream conformance` examines peers with."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import zmq

from protocol.codec import DecodeError, decode, encode
from protocol.messages import Heartbeat, Message

M = TypeVar("M")


class Failed(Exception):
    """The peer did not do what the protocol asks; the sentence says what."""


@dataclass
class Examiner:
    """A server of one peer."""

    socket: "zmq.Socket[bytes]"
    clock: Callable[[], float] = time.monotonic
    peer: bytes = b""
    heard: list[Message] = field(default_factory=list)
    undecodable: int = 0
    latencies_s: list[float] = field(default_factory=list)
    beats_s: list[float] = field(default_factory=list)

    def says(self, *messages: Message) -> None:
        """Send to the peer."""
        for message in messages:
            self.socket.send_multipart([self.peer, *encode(message)])

    def listen(self, wait_s: float) -> None:
        """Take in what comes within this time; answer heartbeats."""
        end_s = self.clock() + wait_s
        while (left_s := end_s - self.clock()) > 0:
            if self.socket.poll(round(1000 * left_s) + 1):
                self._take(*self.socket.recv_multipart())

    def wait_for(self, kind: type[M], good: Callable[[M], bool], within_s: float, what: str) -> M:
        """Return the first message of a kind that will do; raise Failed if none comes in time."""
        end_s = self.clock() + within_s
        while True:
            for message in self.all(kind):
                if good(message):
                    return message
            if self.clock() > end_s:
                raise Failed(f"{what} did not come within {within_s:g} s")
            self.listen(0.02)

    def all(self, kind: type[M]) -> list[M]:
        """Return the messages of a kind that were heard and not forgotten."""
        return [message for message in self.heard if isinstance(message, kind)]

    def forget(self, kind: type[M]) -> None:
        """Forget the messages of a kind."""
        self.heard = [message for message in self.heard if not isinstance(message, kind)]

    def _take(self, peer: bytes, *frames: bytes) -> None:
        now_s = self.clock()
        try:
            message = decode(frames)
        except DecodeError:
            self.undecodable += 1
            return
        self.peer = peer
        if isinstance(message, Heartbeat):
            self.beats_s.append(now_s)
            self.says(Heartbeat(now_s, message.sent_s))
        self.heard.append(message)
