"""The server's end of the wire: one ROUTER socket, peers known by their role.

With a lock, every connection is CURVE, every peer has a key of the lock's list, takes a role that the key is for, and
is heard under that key alone. Whatever arrives from whomever costs bounded memory, log and time a turn.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import zmq

from protocol.codec import MAX_REPORT_BYTES, DecodeError, decode, encode
from protocol.lock import Lock
from protocol.messages import PROTOCOL_VERSION, Farewell, Heartbeat, Hello, Message, Role
from protocol.peer import HEARTBEAT_S
from server.door import Door
from server.strangers import plain

PEER_LOST_S = 2.0
LEAVE_S = 1.0
QUIET_MS = 100
MAX_AT_ONCE, AT_ONCE_S = 500, 0.2
"""Messages taken in one go, and for how long: whoever floods the port keeps nobody else waiting for ever."""
MAX_OPERATORS = 64
MAX_REFUSED = 256
"""Peers of which it is remembered since when they are refused."""
HELLOS_S, MAX_HELLOS = 1.0, 100
"""So many are heard in that time; each that is let in is a row on disk. A peer says it again by itself."""
MAX_NAME = 200
ONE_OF = frozenset({Role.DISPLAY, Role.ACQUISITION})
"""Roles that one peer at a time can have; there may be many operators."""


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
    key: str = ""
    """The public key that it was let in with; "" without a lock."""


class Router:
    """Receives from all peers, sends to a role, and knows who is alive. `clock` is monotonic."""

    def __init__(
        self,
        address: str,
        clock: Callable[[], float] = time.monotonic,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
        lock: Lock | None = None,
    ) -> None:
        """Listen at an address such as tcp://127.0.0.1:5670, or tcp://127.0.0.1:* for any free port."""
        self.lock = lock
        """Who is let in; None = whoever reaches the address."""
        self._clock = clock
        self._links: dict[bytes, Link] = {}
        self._refused_s: OrderedDict[str, float] = OrderedDict()
        self._hellos_s: deque[float] = deque(maxlen=MAX_HELLOS)
        self._beat_s = -inf
        self.n_dropped = 0
        """Messages that were none, or made no sense from their sender."""
        self.socket = (context or zmq.Context.instance()).socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_REPORT_BYTES)
        self.socket.setsockopt(zmq.SNDHWM, 10_000)
        self.socket.setsockopt(zmq.RCVHWM, MAX_AT_ONCE)
        self._door = Door(self.socket, lock, clock)
        try:
            self.socket.bind(address)
        except zmq.ZMQError as error:
            self._close()
            raise OSError(f"cannot listen at {address}: {error.strerror}. Is another server running there?") from error
        self.address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """What to wait for: when there is something at one of them, `receive`."""
        return [self.socket, *self._door.sockets]

    def receive(self) -> Iterator[tuple[Role, Message]]:
        """Yield what has arrived, with the sender's role, without waiting; keep the peers' hearts beating."""
        self.beat()
        began_s = self._clock()
        for _ in range(MAX_AT_ONCE):
            if not self.socket.poll(0) or self._clock() - began_s > AT_ONCE_S:
                return
            first = self.socket.recv(copy=False)
            arrived = self._read(first.bytes, self.socket.recv_multipart(), self._door.key_of(first))
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
        """Return how the one display and the one acquisition side are heard, and who was turned away, for people."""
        refused = {"name": self._door.strangers.last, "heard_s": self._clock() - self._door.strangers.last_s}
        return ({"refused": refused} if self._door.strangers.last else {}) | {
            link.role.value: {
                "name": link.hello.name,
                "heard_s": self._clock() - link.heard_s,
                "data_age_s": link.data_age_s,
            }
            for link in self._links.values()
            if link.role in ONE_OF
        }

    def newly_lost(self) -> Iterator[tuple[Role, str]]:
        """Yield (role, name) of each display or acquisition side that has been silent too long, once.

        An operator that falls silent is forgotten: nothing hangs on it.
        """
        for identity, link in list(self._links.items()):
            if link.lost or self._clock() - link.heard_s <= PEER_LOST_S:
                continue
            if link.role not in ONE_OF:
                del self._links[identity]
                continue
            link.lost = True
            yield link.role, link.hello.name

    def drop(self, sender: str, error: ValueError) -> None:
        """Count and log a message that is not to be acted on."""
        self.n_dropped += 1
        self._door.strangers.tell("message", f"dropped a message from {sender}: {error}")

    def close(self, reason: str = "") -> None:
        """Close the socket, the last messages having left; tell whoever still talks the reason first."""
        patience_s = self._clock() + LEAVE_S if reason else 0.0
        while self._clock() < patience_s and self.socket.poll(QUIET_MS):
            identity, *_ = self.socket.recv_multipart()
            self.socket.send_multipart([identity, *encode(Farewell(reason))])
            self._door.attend()
        self._close()

    def _close(self) -> None:
        self._door.close()
        self.socket.close()

    def _read(self, identity: bytes, frames: list[bytes], key: str) -> tuple[Role, Message] | None:
        link = self._links.get(identity)
        link = link if link and link.key == key else None
        try:
            message = decode(frames)
        except DecodeError as error:
            self.drop(link.hello.name if link else "a stranger", error)
            return None
        if isinstance(message, Hello):
            return self._greet(identity, message, key)
        if link is None:
            # A peer of before a restart, or of a connection given up: it is to introduce itself again.
            self.drop("a stranger", ValueError(f"{type(message).__name__} before Hello"))
            self._ask_for_hello(identity)
            return None
        link.heard_s = self._clock()
        if isinstance(message, Heartbeat):
            link.round_trip_s, link.data_age_s = link.heard_s - message.echo_s, message.data_age_s
            link.sent_s = message.sent_s
            if link.lost:  # which trials it held when it said Hello is long out of date
                self._ask_for_hello(identity)
            return None
        if isinstance(message, Farewell):
            del self._links[identity]
        return link.role, message

    def _ask_for_hello(self, identity: bytes) -> None:
        self.socket.send_multipart([identity, *encode(Farewell("say Hello first", final=False))])

    def _greet(self, identity: bytes, hello: Hello, key: str) -> tuple[Role, Message] | None:
        now_s = self._clock()
        if len(self._hellos_s) == MAX_HELLOS and now_s - self._hellos_s[0] < HELLOS_S:
            self.drop("a stranger", ValueError(f"more than {MAX_HELLOS} Hellos in {HELLOS_S:g} s"))
            return None
        self._hellos_s.append(now_s)
        refusal = self._refusal(identity, hello, key)
        if refusal:
            self._door.strangers.tell("hello", f"refused the {hello.role} {hello.name}: {refusal}")
            self.socket.send_multipart([identity, *encode(Farewell(refusal, self._is_final(hello, key)))])
            return None
        self._refused_s.pop(hello.instance, None)
        role = Role(hello.role)
        if role in ONE_OF:
            self._links = {i: link for i, link in self._links.items() if link.role is not role}
        self._links[identity] = Link(role, hello, now_s, key=key)
        return role, hello

    def _refusal(self, identity: bytes, hello: Hello, key: str) -> str:
        if hello.protocol_version != PROTOCOL_VERSION:
            older = "this server" if hello.protocol_version > PROTOCOL_VERSION else hello.name
            return (
                f"{hello.name} speaks protocol version {hello.protocol_version}, this server {PROTOCOL_VERSION}. "
                f"Install the same xdream on both machines: {older} is the older one (pip install -U xdream)."
            )
        if hello.role not in set(Role):
            return f"there is no role {plain(hello.role)!r}; there are {', '.join(Role)}"
        if not all(each.isprintable() and len(each) <= MAX_NAME for each in (hello.name, hello.instance)):
            return f"name and instance are printable and at most {MAX_NAME} characters"
        return self._door.why_not(hello.role, key) or self._taken(identity, hello, key)

    def _taken(self, identity: bytes, hello: Hello, key: str) -> str:
        """Return who has the role already, or what this one is; "" if the role can be had."""
        mine = self._links.get(identity)
        if mine and (mine.role != hello.role or mine.key != key):
            return f"this connection is that of the {mine.role} {mine.hello.name}; open one of your own"
        if hello.role not in ONE_OF:
            n_others = sum(link.role not in ONE_OF and other != identity for other, link in self._links.items())
            return f"this server has {n_others} operators already" if n_others >= MAX_OPERATORS else ""
        for other, link in self._links.items():
            alive = not link.lost and self._clock() - link.heard_s <= PEER_LOST_S
            same = (other == identity or link.hello.instance == hello.instance) and link.key == key
            if link.role == hello.role and alive and not same:
                role = "an acquisition side" if hello.role == Role.ACQUISITION else f"a {hello.role}"
                return f"this server has {role} already: {link.hello.name}. Stop that one first."
        return ""

    def _is_final(self, hello: Hello, key: str) -> bool:
        """Whether asking again is no use: what stands in the way is no peer that has just died."""
        first_s = self._refused_s.setdefault(hello.instance[:MAX_NAME], self._clock())
        while len(self._refused_s) > MAX_REFUSED:
            self._refused_s.popitem(last=False)
        hopeless = hello.protocol_version != PROTOCOL_VERSION or hello.role not in set(Role)
        hopeless = hopeless or bool(self._door.why_not(hello.role, key))
        return hopeless or self._clock() - first_s > 2 * PEER_LOST_S

    def beat(self) -> None:
        """Send every peer a heartbeat, if it is time for one; let in those who knock."""
        self._door.attend()
        now_s = self._clock()
        if now_s - self._beat_s < HEARTBEAT_S:
            return
        self._beat_s = now_s
        for identity, link in self._links.items():
            self.socket.send_multipart([identity, *encode(Heartbeat(now_s, link.sent_s))])
