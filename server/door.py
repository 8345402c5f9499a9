"""The door of the server: who has come in with which key, what that key is for, and who was turned away."""

from collections.abc import Callable

import zmq

from protocol.handshakes import Handshakes
from protocol.lock import Lock
from server.strangers import Strangers

HANDSHAKE_MS = 10_000
"""Whoever has not shaken hands by then is hung up on."""


class Door:
    """The handshakes of a socket, and its lock if there is one; to be made before the socket is bound."""

    def __init__(self, socket: "zmq.Socket[bytes]", lock: Lock | None, clock: Callable[[], float]) -> None:
        self.strangers = Strangers(clock, locked=lock is not None)
        self._lock = lock
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        if lock is not None:
            lock.put_on(socket)
        self._handshakes = Handshakes(socket)

    @property
    def sockets(self) -> "list[zmq.Socket[bytes]]":
        """What to wait for: when there is something at one of them, `attend`."""
        return [self._handshakes.socket, *([self._lock.socket] if self._lock else [])]

    def attend(self) -> None:
        """Let in, or not, those who knock; tell of those who failed."""
        for who in self._lock.answer() if self._lock else ():
            self.strangers.unknown_key(who)
        for how in self._handshakes.failed():
            self.strangers.failed(how)

    def key_of(self, first: zmq.Frame) -> str:
        """Return the public key with which the sender of a message was let in; "" = it needed none, or has none."""
        try:
            return str(first.get("User-Id")) if self._lock else ""
        except zmq.ZMQError:
            return ""

    def why_not(self, role: str, key: str) -> str:
        """Return why a key is none for a role; "" if it is."""
        if self._lock is None:
            return ""
        holder = self._lock.holders().get(key)
        if holder is None:
            return "this key is not on the server's list any more: xdream keys make NAME --role ROLE makes another"
        if role in holder.roles:
            return ""
        return (
            f"the key {holder.name!r} is for {' and '.join(sorted(holder.roles))}, not for {role}. "
            f"On the server's machine: xdream keys make NAME --role {role}"
        )

    def close(self) -> None:
        """Let nobody in any more."""
        self._handshakes.close()
        if self._lock is not None:
            self._lock.close()
