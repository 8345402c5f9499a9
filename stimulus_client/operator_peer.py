"""The person at the display's keyboard: to the server an operator like any other, on a connection of its own."""

import logging
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import zmq

from protocol.keys import PeerKey
from protocol.messages import Acknowledge, Control, Hello, Notice, Role, Welcome
from protocol.peer import RESEND_S, Peer, new_instance
from protocol.software import software

log = logging.getLogger(__name__)
AUTHOR = "the display's keyboard"


class Operator:
    """Says controls until they are on disk; connects with the first one, and never waits."""

    def __init__(
        self,
        address: str,
        clock: Callable[[], float],
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
        key: PeerKey | None = None,
    ) -> None:
        self.peer: Peer | None = None
        self.settings: dict[str, Any] = {}
        """What the server tells a display, as far as it tells an operator."""
        self._new_peer: Callable[[], Peer] = lambda: Peer(address, self._hello, clock, context, key)
        self._clock = clock
        self._instance = new_instance()
        self._said_s = clock()
        self._waiting: dict[str, Control] = {}

    @property
    def n_waiting(self) -> int:
        """How many controls are not yet on disk."""
        return len(self._waiting)

    def connect(self) -> Peer:
        """Begin to look for the server, unless that was done; return the connection."""
        self.peer = self.peer or self._new_peer()
        return self.peer

    def ask(self, action: str, **arguments: Any) -> None:
        """Have the server do something, or take a note; return at once."""
        control = Control(uuid4().hex, action, AUTHOR, arguments)
        self._waiting[control.control_id] = control
        peer = self.connect()
        if peer.welcomed:
            peer.send(control)

    def attend(self, timeout_s: float = 0.0) -> list[str]:
        """Keep in touch with the server; return what it wants people to read."""
        if self.peer is None:
            return []
        told = []
        for message in self.peer.receive(timeout_s):
            match message:
                case Welcome(settings=settings):
                    self.settings = settings
                    self._say(self.peer)
                case Acknowledge(controls=done):
                    self._waiting = {n: control for n, control in self._waiting.items() if n not in done}
                case Notice(text=text):
                    told.append(text)
        if self._waiting and self.peer.welcomed and self._clock() - self._said_s > RESEND_S:
            self._say(self.peer)
        return told

    def forget(self) -> None:
        """Ask no longer for what was asked: the session that it was meant for is over."""
        self._waiting.clear()

    def close(self) -> None:
        """Take leave of the server."""
        for control in self._waiting.values():
            log.warning("not on disk: %s %s", control.action, control.arguments)
        if self.peer is not None:
            self.peer.close("the display was closed")

    def _hello(self) -> Hello:
        return Hello(Role.OPERATOR, "display keyboard", self._instance, software=software())

    def _say(self, peer: Peer) -> None:
        self._said_s = self._clock()
        for control in self._waiting.values():
            peer.send(control)
