"""A server's socket behind a lock, and peers with keys of every kind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zmq

from protocol.keys import PeerKey, read_peer_key
from protocol.lock import Lock
from protocol.messages import Hello, Message, Notice, Role
from protocol.peer import Peer
from server.keyring import Keyring
from server.router import Router

MANY_TURNS = 1000
TURN_MS = 10


class Ticking:
    """A clock that goes on by a tenth of a second whenever a turn is taken."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def a_key(folder: Path, name: str, *roles: Role) -> PeerKey:
    """Make a key in a server's folder, and read it as its peer would."""
    file = Keyring(folder).make(name, roles)
    assert file is not None
    return read_peer_key(file)


class Doorway:
    """A router, and peers that talk to it, each side in a ZeroMQ context of its own; all take turns."""

    def __init__(self, keys: Path | None) -> None:
        self.clock = Ticking()
        self.heard: list[tuple[Role, Message]] = []
        self.told: dict[str, list[Message]] = {}
        self.peers: dict[str, Peer] = {}
        self._contexts: list[zmq.Context[Any]] = [zmq.Context(), zmq.Context()]
        self.router = Router("tcp://127.0.0.1:*", self.clock, self._contexts[0], Lock(keys) if keys else None)

    def peer(self, name: str, role: Role, key: PeerKey | None = None) -> Peer:
        """Let a peer come."""
        hello = Hello(role.value, name, name, channels=("u1",))
        self.peers[name] = Peer(self.router.address, lambda: hello, self.clock, self._contexts[1], key)
        self.told[name] = []
        return self.peers[name]

    def until(self, so: Callable[[], bool]) -> None:
        """Let everybody take turns until something is so."""
        poller = zmq.Poller()
        for each in self.router.sockets:
            poller.register(each, zmq.POLLIN)
        for _ in range(MANY_TURNS):
            if so():
                return
            self.clock.now_s += 0.1
            poller.poll(TURN_MS)
            self.heard += self.router.receive()
            for name, peer in self.peers.items():
                self.told[name] += peer.receive(0)
        raise AssertionError(f"waited in vain; heard {self.heard}, told {self.told}")

    def lets_in(self, name: str) -> bool:
        return any(isinstance(message, Hello) and message.name == name for _, message in self.heard)

    def reaches(self, role: Role, name: str) -> bool:
        """Whether what the server says to a role arrives."""
        self.router.send(role, Notice("info", "hello"))
        self.until(lambda: any(isinstance(message, Notice) for message in self.told[name]))
        return True

    def close(self) -> None:
        for peer in self.peers.values():
            peer.close()
        self.router.close()
        for context in self._contexts:
            context.destroy(linger=0)


@contextmanager
def a_doorway(keys: Path | None) -> Iterator[Doorway]:
    doorway = Doorway(keys)
    try:
        yield doorway
    finally:
        doorway.close()
