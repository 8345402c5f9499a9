"""The page's connection to the server: an operator like any other, in a thread of its own."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from protocol.keys import PeerKey
from protocol.messages import Acknowledge, Control, Farewell, Hello, Message, Role, Vitals, Welcome
from protocol.peer import Peer, new_instance

TURN_S = 0.05
"""A wish waits at most so long before it is sent."""
COME_BACK_S = 1.0
"""After a session has ended, its address is tried again for the next one."""
FRESH_S = 3.0
"""Vitals come twice a second; older than this they say nothing about now."""
MAX_KEPT = 100
"""Wishes that wait for a server; more is no person at a button."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the server said of itself last, and when (seconds since 1970)."""

    session_id: str
    vitals: Vitals
    at: float


class Operator:
    """Passes wishes on to the server at an address, and keeps what it says of itself. `start` it, then `close` it."""

    def __init__(
        self,
        address: str,
        software: str = "",
        clock: Callable[[], float] = time.time,
        key: PeerKey | None = None,
    ) -> None:
        self.address = address
        self.heard: Heard | None = None
        self._hello = Hello(Role.OPERATOR.value, "status page", new_instance(), software=software)
        self._clock = clock
        self._key = key
        self._wishes: queue.SimpleQueue[Control] = queue.SimpleQueue()
        self._kept: dict[str, Control] = {}
        self._answers: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._session_id = ""
        self._thread = threading.Thread(target=self._run, name="operator", daemon=True)

    def start(self) -> None:
        """Begin to look for the server."""
        self._thread.start()

    def close(self) -> None:
        """Take leave."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def session_id(self) -> str:
        """The session that can be acted on; "" while there is none."""
        heard = self.heard
        return heard.session_id if heard and self._clock() - heard.at < FRESH_S else ""

    def ask(self, control: Control) -> "Future[None]":
        """Pass a wish on; the result comes when it is on disk. The same id asked twice is one wish."""
        with self._lock:
            answer = self._answers.get(control.control_id)
            if answer is None:
                if len(self._kept) >= MAX_KEPT:
                    raise OverflowError("too many wishes wait for the server already")
                answer = self._answers[control.control_id] = Future()
                self._kept[control.control_id] = control
                self._wishes.put(control)
        return answer

    def _run(self) -> None:
        while not self._over.is_set():
            peer = Peer(self.address, lambda: self._hello, time.monotonic, key=self._key)
            while peer.farewell is None and not self._over.is_set():
                for message in peer.receive(TURN_S):
                    self._take(message, peer)
                while peer.welcomed and not self._wishes.empty():
                    peer.send(self._wishes.get())
            peer.close("the page was closed" if self._over.is_set() else "")
            self._over.wait(COME_BACK_S)

    def _take(self, message: Message, peer: Peer) -> None:
        match message:
            case Welcome():
                self._enter(message, peer)
            case Vitals():
                self.heard = Heard(self._session_id, message, self._clock())
            case Acknowledge():
                self._settle(message.controls)
            case Farewell():
                self._forget()

    def _enter(self, welcome: Welcome, peer: Peer) -> None:
        """Say again what this session has not confirmed; a wish meant for another session dies with it."""
        if welcome.session_id != self._session_id:
            self._forget()
            self._session_id = welcome.session_id
        with self._lock:
            kept = list(self._kept.values())
        for control in kept:
            peer.send(control)

    def _settle(self, control_ids: tuple[str, ...]) -> None:
        with self._lock:
            for control_id in control_ids:
                self._kept.pop(control_id, None)
                answer = self._answers.get(control_id)
                if answer is not None and not answer.done():
                    answer.set_result(None)
            for control_id in list(self._answers)[: -2 * MAX_KEPT]:
                if control_id not in self._kept:
                    del self._answers[control_id]

    def _forget(self) -> None:
        """Drop every wish that is not confirmed, also those that were not sent yet: their session is over."""
        self.heard = None
        with self._lock:
            while not self._wishes.empty():
                self._wishes.get()
            for control_id in self._kept:
                self._answers.pop(control_id).cancel()
            self._kept.clear()
