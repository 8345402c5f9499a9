"""A server of one peer, which listens, remembers and asks: what `xdream conformance` examines peers with."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isnan, nan
from typing import TypeVar

import numpy as np
import zmq

from protocol.codec import DecodeError, decode, encode
from protocol.lock import Lock
from protocol.messages import Farewell, Heartbeat, Hello, Message, Responses, TrialReport

M = TypeVar("M")
log = logging.getLogger(__name__)
N_TRIALS = 5
"""Over so many it is measured how soon, how evenly, and how much is lost."""
SETTLE_S = 0.3
"""What is on its way has come by then."""


class Failed(Exception):
    """The peer did not do what the protocol asks; the sentence says what."""


@dataclass
class Figures:
    """What was measured on the way, for the badge."""

    latencies_s: list[float] = field(default_factory=list)
    """Acquisition: from a question to its answer. Display: what a trial took beside its images."""
    jitter_s: float = nan
    """Acquisition: spread of the latencies. Display: how unevenly images followed each other."""
    n_asked: int = 0
    n_lost: int = 0
    """Presentations that were not answered, or not measured; or not shown well."""
    clock_residual_s: float = nan

    def __str__(self) -> str:
        """Return them in words; what could not be measured is said to be unknown."""
        latency_s = float(np.median(self.latencies_s)) if self.latencies_s else nan
        loss = f"{self.n_lost} of {self.n_asked} presentations" if self.n_asked else "unknown"
        return f"latency {in_ms(latency_s)}, jitter {in_ms(self.jitter_s)}, loss {loss}"


def in_ms(seconds: float) -> str:
    """Return a time in words."""
    return "unknown" if isnan(seconds) else f"{1000 * seconds:.1f} ms"


@dataclass
class Examiner:
    """A server of one peer."""

    socket: "zmq.Socket[bytes]"
    clock: Callable[[], float] = time.monotonic
    hello_within_s: float = 30.0
    answer_within_s: float = 15.0
    listen_s: float = 2.0
    """How long to listen for what should not come, or should come again and again."""
    peer: bytes = b""
    heard: list[Message] = field(default_factory=list)
    undecodable: int = 0
    beats_s: list[float] = field(default_factory=list)
    lock: Lock | None = None
    """Asks peers for their keys; None: whoever comes is let in."""
    came_s: dict[int, float] = field(default_factory=dict)
    """When each presentation was first answered or reported."""
    figures: Figures = field(default_factory=Figures)

    def says(self, *messages: Message) -> None:
        """Send to the peer."""
        for message in messages:
            self.socket.send_multipart([self.peer, *encode(message)])

    def listen(self, wait_s: float) -> None:
        """Take in what comes within this time; answer heartbeats."""
        end_s = self.clock() + wait_s
        poller = zmq.Poller()
        for each in (self.socket, *([self.lock.socket] if self.lock else [])):
            poller.register(each, zmq.POLLIN)
        while (left_s := end_s - self.clock()) > 0:
            poller.poll(round(1000 * left_s) + 1)
            for refused in self.lock.answer() if self.lock else ():
                log.warning("turned away %s: not on the list; xdream keys list says which are", refused)
            if self.socket.poll(0):
                self._take(*self.socket.recv_multipart())

    def dismiss(self, farewell: Farewell) -> None:
        """Say goodbye, and again to a peer that was just connecting afresh and did not hear it."""
        n_hellos = len(self.all(Hello))
        self.says(farewell)
        self.listen(self.listen_s)
        if len(self.all(Hello)) > n_hellos:
            self.says(farewell)

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
        if isinstance(message, Responses | TrialReport):
            for presentation in message.presentation_ids.tolist():
                self.came_s.setdefault(presentation, now_s)
        self.heard.append(message)
