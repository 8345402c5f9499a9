"""The one loop: all waiting happens here, and it knows no rule.

Everything that happens (a message, a result of the worker, a peer that fell silent, a key pressed) is an event for
the session; what the session returns is carried out: records first, in one transaction, then all the rest.
"""

import logging
import queue
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from math import inf, isnan

import zmq

from protocol.messages import Control, Notice, Role, Vitals
from protocol.peer import HEARTBEAT_S
from server.actions import (
    Action,
    Advance,
    Advanced,
    Cleared,
    Dismiss,
    Event,
    Failed,
    GraceOver,
    Record,
    Render,
    Rendered,
    Row,
    Send,
    State,
    Trouble,
)
from server.evolution import Evolution
from server.exchange import ProtocolError
from server.router import Router
from server.session import Session
from server.session_file import SessionFile
from server.worker import Worker

TICK_S = 0.1
"""How often peers' silence is looked at when nothing else happens."""
GRACE_S = 3.0
"""How long an ending session waits for reports and responses on their way."""
RETRY_S = 0.5
"""How often a disk that refuses to write is tried again."""
log = logging.getLogger(__name__)


class WorkFailed(RuntimeError):
    """A generator, optimizer or scorer failed; what had been recorded is safe."""


class Engine:
    """Runs one session to its end.

    An optimizer, generator or scorer that fails holds its generation until an operator has it tried again, or, where
    nobody is there to do so (`hold` false), ends the run with a WorkFailed.

    `watch` is told every row, after it is on disk; `check` is called each time round and may raise to end the loop.
    """

    def __init__(
        self,
        session: Session,
        evolutions: Sequence[Evolution],
        router: Router,
        file: SessionFile,
        stale_after_s: float = 0.9,
        watch: Callable[[Row], None] = lambda row: None,
        check: Callable[[], None] = lambda: None,
        hold: bool = True,
    ) -> None:
        self.session = session
        self.router = router
        self.file = file
        self._watch = watch
        self._check = check
        self._hold = hold
        self._vitals_s = -inf
        self._stale_after_s = stale_after_s
        self._asked: queue.SimpleQueue[Control] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[Advanced | Rendered | Failed] = queue.SimpleQueue()
        self._bell = _Bell()
        self._ending_since_s: float | None = None
        self._began_s = time.monotonic()
        self._worker = Worker(
            {evolution.number: evolution for evolution in evolutions}, self._announce, session.settings.images_per_trial
        )

    def ask(self, control: Control) -> None:
        """Pass on a wish of whoever started this process; may be called from a signal handler or any thread."""
        self._asked.put(control)
        self._bell.ring()

    def run(self) -> None:
        """Run the session until it has ended; raise WorkFailed if the work failed and is not held."""
        try:
            self.begin()
            while self.session.state is not State.ENDED:
                self.turn()
        finally:
            self.close()

    def begin(self) -> None:
        """Set the evolutions to work."""
        self._carry_out(self.session.start())

    def turn(self) -> None:
        """Wait for something to happen, at most one tick, and deal with all that has."""
        self._check()
        decided: list[Action] = []
        try:
            for sender, event in self._wait():
                decided += self._decide(event, sender)
        finally:
            # What came together is committed together: each commit is a wait for the disk, whatever is in it.
            self._carry_out(decided)
        self._say_vitals()
        if self.session.state is State.ENDING:
            self._ending_since_s = self._ending_since_s or time.monotonic()
            if time.monotonic() - self._ending_since_s > GRACE_S:
                self._carry_out(self._decide(GraceOver()))

    def close(self) -> None:
        """Stop the worker, which finishes the job at hand."""
        self._worker.close(timeout_s=GRACE_S)
        self._bell.close()

    def _wait(self) -> Iterator[tuple[Role | None, Event]]:
        """Yield what has happened, after waiting for it at most one tick."""
        poller = zmq.Poller()
        for each in self.router.sockets:
            poller.register(each, zmq.POLLIN)
        poller.register(self._bell.socket, zmq.POLLIN)
        poller.poll(round(TICK_S * 1000))
        self._bell.hush()
        yield from self.router.receive()
        yield from ((None, self._result()) for _ in range(self._results.qsize()))
        yield from ((Role.OPERATOR, self._asked.get()) for _ in range(self._asked.qsize()))
        yield from ((None, trouble) for trouble in self._look_round())

    def _decide(self, event: Event, sender: Role | None = None) -> list[Action]:
        """Return what the session makes of an event; one that makes no sense to it is dropped, and counted."""
        try:
            return self.session.receive(event, sender)
        except ProtocolError as error:
            self.router.drop(sender.value if sender else "the server itself", error)
            return []

    def _carry_out(self, actions: Sequence[Action]) -> None:
        self._commit([action.row for action in actions if isinstance(action, Record)])
        for action in actions:
            match action:
                case Record():
                    self._watch(action.row)
                case Send():
                    self.router.send(action.role, action.message)
                case Dismiss():
                    self.router.dismiss(action.role, action.reason)
                case Advance() | Render():
                    self._worker.submit(action)

    def _commit(self, rows: list[Row]) -> None:
        """Put the rows on disk, however long the disk refuses: nothing is acted on or acknowledged before.

        Whoever presses Ctrl-C twice meanwhile ends the server: what was not acknowledged, the peers still hold.
        """
        alarmed = False
        while rows:
            try:
                with self.file.transaction():
                    for row in rows:
                        self.file.add(row)
                break
            except sqlite3.OperationalError as error:
                if alarmed and self._asked.qsize() > 1:
                    raise OSError(f"{self.file.path} cannot be written: {error}; ended as asked") from error
                alarmed = True
                self._alarm(f"the session file cannot be written: {error}")
        if alarmed:
            self._say(Notice("info", "the session file can be written again: going on"))

    def _alarm(self, what: str) -> None:
        """Tell everybody that the disk refuses, and keep the peers' hearts beating until the next try."""
        log.error("%s: %s. Nothing new is shown until it can; nothing is lost. Make room.", self.file.path, what)
        self._say(Notice("alarm", f"{what} | nothing new is shown, nothing is lost | make room on the disk"))
        self.router.beat()
        self._bell.wait(RETRY_S)

    def _say(self, notice: Notice) -> None:
        for role in Role:
            self.router.send(role, notice)

    def _say_vitals(self) -> None:
        """Tell operators how things are, if it is time to."""
        now_s = time.monotonic()
        if now_s - self._vitals_s < HEARTBEAT_S:
            return
        self._vitals_s = now_s
        standing, router = self.session.standing, self.router
        n_waiting, commit_s = self._worker.n_waiting, self.file.commit_s
        vitals = Vitals(standing.state.value, standing.why, router.report(), commit_s, n_waiting, router.n_dropped)
        router.send(Role.OPERATOR, vitals)

    def _announce(self, result: Advanced | Rendered | Failed) -> None:
        self._results.put(result)
        self._bell.ring()

    def _result(self) -> Advanced | Rendered | Failed:
        result = self._results.get()
        if isinstance(result, Failed) and not self._hold:
            raise WorkFailed(f"{result.error}; what was measured is in {self.file.path}")
        minutes = (time.monotonic() - self._began_s) / 60
        return replace(result, minutes=minutes) if isinstance(result, Advanced) else result

    def _look_round(self) -> Iterator[Trouble | Cleared]:
        """Yield what silence and old data mean: trouble, or its end."""
        for role, name in self.router.newly_lost():
            silent = f"the {role.value} ({name}) has fallen silent"
            yield Trouble(role.value, silent, f"look at the {role.value}'s machine")
        for link in self.router.links():
            if link.role is not Role.ACQUISITION or isnan(link.sent_s) or link.lost:
                continue  # it has yet to say how old its data are
            if link.data_age_s > self._stale_after_s:
                yield Trouble("spikes", "no fresh data from the recording system", f"look at {link.hello.name}")
            else:
                yield Cleared("spikes")


class _Bell:
    """Wakes the loop from another thread: a socket pair that the poller can watch."""

    def __init__(self) -> None:
        self.socket, self._button = socket.socketpair()
        self.socket.setblocking(False)
        self._button.setblocking(False)

    def ring(self) -> None:
        with suppress(BlockingIOError, OSError):
            self._button.send(b"!")

    def hush(self) -> None:
        with suppress(BlockingIOError):
            self.socket.recv(4096)

    def wait(self, timeout_s: float) -> None:
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.poll(round(timeout_s * 1000))
        self.hush()

    def close(self) -> None:
        self.socket.close()
        self._button.close()
