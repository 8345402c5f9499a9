"""The server's end of the wire: one ROUTER socket, peers known by their role."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import zmq

from protocol.codec import MAX_ARRAY_BYTES, DecodeError, decode, encode
from protocol.messages import PROTOCOL_VERSION, Farewell, Heartbeat, Hello, Message, Role
from protocol.peer import HEARTBEAT_S

PEER_LOST_S = 2.0
LEAVE_S = 1.0
QUIET_MS = 100
ONE_OF = frozenset({Role.DISPLAY, Role.ACQUISITION})
"""Roles that one peer at a time can have; there may be many operators."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Link:
    """A peer that has said Hello."""

    role: Role
    hello: Hello
    heard_s: float
    round_trip_s: float = nan
    data_age_s: float = nan
    sent_s: float = nan
    lost: bool = False


class Router:
    """Receives from all peers, sends to a role, and knows who is alive. `clock` is monotonic."""

    def __init__(
        self,
        address: str,
        clock: Callable[[], float] = time.monotonic,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
    ) -> None:
        """Listen at an address such as tcp://127.0.0.1:5670, or tcp://127.0.0.1:* for any free port."""
        self._clock = clock
        self._links: dict[bytes, Link] = {}
        self._refused_s: dict[str, float] = {}
        self._beat_s = -inf
        self.n_dropped = 0
        """Messages that were none, or made no sense from their sender."""
        self.socket = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_ARRAY_BYTES)
        self.socket.setsockopt(zmq.SNDHWM, 10_000)
        try:
            self.socket.bind(address)
        except zmq.ZMQError as error:
            self.socket.close()
            raise OSError(f"cannot listen at {address}: {error.strerror}. Is another server running there?") from error
        self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    def receive(self) -> Iterator[tuple[Role, Message]]:
        """Yield what has arrived, with the sender's role, without waiting; keep the peers' hearts beating."""
        self.beat()
        while self.socket.poll(0):
            identity, *frames = self.socket.recv_multipart()
            arrived = self._read(identity, frames)
            if arrived is not None:
                yield arrived

    def send(self, role: Role, message: Message) -> None:
        """Send to the peers of a role; those that are not there miss it, and are caught up when they join."""
        frames = encode(message)
        for identity, link in self._links.items():
            if link.role is role:
                self.socket.send_multipart([identity, *frames])

    def dismiss(self, role: Role, reason: str) -> None:
        """Say Farewell to the peers of a role and forget them."""
        self.send(role, Farewell(reason))
        self._links = {identity: link for identity, link in self._links.items() if link.role is not role}

    def links(self) -> list[Link]:
        """Return every peer that has joined."""
        return list(self._links.values())

    def report(self) -> dict[str, dict[str, Any]]:
        """Return how the one display and the one acquisition side are heard, for people."""
        return {
            link.role.value: {
                "name": link.hello.name,
                "heard_s": self._clock() - link.heard_s,
                "data_age_s": link.data_age_s,
            }
            for link in self._links.values()
            if link.role in ONE_OF
        }

    def newly_lost(self) -> Iterator[tuple[Role, str]]:
        """Yield (role, name) of each peer that has been silent too long, once."""
        for link in self._links.values():
            if not link.lost and self._clock() - link.heard_s > PEER_LOST_S:
                link.lost = True
                yield link.role, link.hello.name

    def drop(self, sender: str, error: ValueError) -> None:
        """Count and log a message that is not to be acted on."""
        self.n_dropped += 1
        log.warning("dropped a message from %s: %s", sender, error)

    def close(self, reason: str = "") -> None:
        """Close the socket, the last messages having left; tell whoever still talks the reason first."""
        patience_s = self._clock() + LEAVE_S if reason else 0.0
        while self._clock() < patience_s and self.socket.poll(QUIET_MS):
            identity, *_ = self.socket.recv_multipart()
            self.socket.send_multipart([identity, *encode(Farewell(reason))])
        self.socket.close()

    def _read(self, identity: bytes, frames: list[bytes]) -> tuple[Role, Message] | None:
        link = self._links.get(identity)
        try:
            message = decode(frames)
        except DecodeError as error:
            self.drop(link.hello.name if link else "a stranger", error)
            return None
        if isinstance(message, Hello):
            return self._greet(identity, message)
        if link is None:
            # A peer of before a restart, or of a connection given up: it is to introduce itself again.
            self.drop("a stranger", ValueError(f"{type(message).__name__} before Hello"))
            self.socket.send_multipart([identity, *encode(Farewell("say Hello first", final=False))])
            return None
        link.heard_s = self._clock()
        if isinstance(message, Heartbeat):
            link.round_trip_s, link.data_age_s = link.heard_s - message.echo_s, message.data_age_s
            link.sent_s = message.sent_s
            back, link.lost = link.lost, False
            return (link.role, link.hello) if back else None
        if isinstance(message, Farewell):
            del self._links[identity]
        return link.role, message

    def _greet(self, identity: bytes, hello: Hello) -> tuple[Role, Message] | None:
        refusal = self._refusal(identity, hello)
        if refusal:
            log.warning("refused %s %s: %s", hello.role, hello.name, refusal)
            self.socket.send_multipart([identity, *encode(Farewell(refusal, self._is_final(hello)))])
            return None
        self._refused_s.pop(hello.instance, None)
        role = Role(hello.role)
        if role in ONE_OF:
            self._links = {i: link for i, link in self._links.items() if link.role is not role}
        self._links[identity] = Link(role, hello, self._clock())
        return role, hello

    def _refusal(self, identity: bytes, hello: Hello) -> str:
        if hello.protocol_version != PROTOCOL_VERSION:
            older = "this server" if hello.protocol_version > PROTOCOL_VERSION else hello.name
            return (
                f"{hello.name} speaks protocol version {hello.protocol_version}, this server {PROTOCOL_VERSION}. "
                f"Install the same xdream on both machines: {older} is the older one (pip install -U xdream)."
            )
        if hello.role not in set(Role):
            return f"there is no role {hello.role!r}; there are {', '.join(Role)}"
        for other, link in self._links.items():
            alive = not link.lost and self._clock() - link.heard_s <= PEER_LOST_S
            same = other == identity or link.hello.instance == hello.instance
            if link.role in ONE_OF and link.role == hello.role and alive and not same:
                return f"this server has a {hello.role} already: {link.hello.name}. Stop that one first."
        return ""

    def _is_final(self, hello: Hello) -> bool:
        """Whether asking again is no use: what stands in the way is no peer that has just died."""
        first_s = self._refused_s.setdefault(hello.instance, self._clock())
        hopeless = hello.protocol_version != PROTOCOL_VERSION or hello.role not in set(Role)
        return hopeless or self._clock() - first_s > 2 * PEER_LOST_S

    def beat(self) -> None:
        """Send every peer a heartbeat, if it is time for one."""
        now_s = self._clock()
        if now_s - self._beat_s < HEARTBEAT_S:
            return
        self._beat_s = now_s
        for identity, link in self._links.items():
            self.socket.send_multipart([identity, *encode(Heartbeat(now_s, link.sent_s))])
