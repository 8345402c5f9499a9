"""The acquisition side of the conversation: passes onsets to a source and its answers to the server, once each."""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np
import zmq

from adapters.alarms import Alarm, Watchful, alarms_of, condition
from adapters.source import ResponseSource
from protocol.keys import PeerKey
from protocol.messages import (
    Control,
    Farewell,
    Heartbeat,
    Hello,
    Message,
    Notice,
    Onsets,
    Release,
    Responses,
    Role,
    StimulusBatch,
    Welcome,
)
from protocol.peer import Peer, new_instance
from protocol.software import software

IDLE_S = 0.1
"""How long to wait for a message when no answer is due; a stop is noticed within it."""
POLL_S = 0.005
"""How long to wait for one when the source still owes answers: what this adds to their delay."""
KEPT_ANSWERS = 10_000
"""Presentations whose answer is kept for a server that asks again; it asks only for those it has lost."""
log = logging.getLogger(__name__)


def _no_drill(arguments: dict[str, Any]) -> None:
    log.info("a drill was asked for, which is for rehearsals alone: %s", arguments.get("what"))


class Adapter:
    """A peer with neurons: one source, what it still owes, and what it has answered."""

    def __init__(
        self,
        address: str,
        source: ResponseSource,
        clock: Callable[[], float] = time.monotonic,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
        key: PeerKey | None = None,
    ) -> None:
        self.source = source
        self.stopped = False
        self._session: tuple[str, dict[str, Any]] | None = None
        self._owed: set[int] = set()
        self._answered: OrderedDict[int, Responses] = OrderedDict()
        self._alarms: dict[str, Alarm] | None = None
        """As the server knows them; None: it has to be told."""
        self._stale, self._stale_after_s = False, inf
        self._clock = clock
        self._instance = new_instance()
        self.peer = Peer(address, self._hello, clock, context, key)

    def run(self, patience_s: float = float("inf")) -> None:
        """Answer until the server says farewell, `stop` is called, or it was silent for longer than patience."""
        while not (self.stopped or self.peer.farewell is not None or self.peer.silence_s > patience_s):
            self.step()

    def step(self) -> None:
        """Deal with what has arrived, or else wait a little for it; then pass on what the source has found."""
        for message in self.peer.receive(POLL_S if self._owed else IDLE_S):
            self._take(message)
        for responses in self.source.poll():
            self._answer(responses)
        self.peer.data_age_s = self.source.data_age_s()
        self._say_whether_data_flow()
        self._say_what_is_wrong()

    def stop(self) -> None:
        """Finish nothing, and return from `run` soon; safe to call from a signal handler."""
        self.stopped = True

    def close(self, reason: str = "") -> None:
        """Let the source go, and take leave of the server if there is a reason that it does not know."""
        self.peer.close(reason)
        self.source.close()

    def _hello(self) -> Hello:
        source = self.source
        channels = tuple(source.channels)
        return Hello(
            Role.ACQUISITION,
            source.name,
            self._instance,
            software=software(),
            channels=channels,
            wants_images=source.wants_images,
        )

    def _take(self, message: Message) -> None:
        match message:
            case Welcome():
                self._enter(message)
            case StimulusBatch():
                self.source.see(message)
            case Release():
                self.source.forget(message.stimulus_ids.tolist())
            case Onsets():
                self._request(message)
            case Control(action="drill"):
                # Only a rehearsal's source has drills; what a recording measures nobody spoils on purpose.
                getattr(self.source, "drill", _no_drill)(message.arguments)
            case Notice():
                log.log(logging.WARNING if message.level == "alarm" else logging.INFO, "%s", message.text)
            case Farewell(final=False):
                log.info("%s", message.reason)
            case Farewell():
                pass  # `run` returns
            case _:
                log.warning("dropped a %s: it is not for an acquisition side", type(message).__name__)

    def _enter(self, welcome: Welcome) -> None:
        """Begin a session, unless the server is only back in the one that we know."""
        self._alarms = None
        self._stale_after_s = float(welcome.settings.get("stale_after_s", inf))
        session = (welcome.session_id, welcome.settings)
        if session != self._session:
            self._session = session
            self._owed.clear()
            self._answered.clear()
            self.source.begin(welcome.settings)

    def _request(self, onsets: Onsets) -> None:
        """Ask the source for what was never asked for, and repeat what it has said already."""
        asked = onsets.presentation_ids.tolist()
        for responses in {id(r): r for r in map(self._answered.get, asked) if r is not None}.values():
            self.peer.keep(responses)
        new = np.array([p not in self._owed and p not in self._answered for p in asked], np.bool_)
        if new.any():
            self._owed.update(onsets.presentation_ids[new].tolist())
            self.source.request(
                Onsets(onsets.trial, onsets.presentation_ids[new], onsets.stimulus_ids[new], onsets.onsets_s[new])
            )

    def _say_whether_data_flow(self) -> None:
        """Let the server know at once, not with the next heartbeat, when data are too old for it or fresh again.

        It is told at its own limit plus IDLE_S at most: 0.9 s by default, so within a second of the last data.
        """
        stale = self.peer.data_age_s > self._stale_after_s
        if stale != self._stale and self.peer.welcomed:
            self.peer.send(Heartbeat(self._clock(), data_age_s=self.peer.data_age_s))
        self._stale = stale

    def _say_what_is_wrong(self) -> None:
        """Tell the server, if it does not know how things stand; a source that keeps no watch says nothing."""
        if not self.peer.welcomed or not isinstance(self.source, Watchful):
            return
        alarms = alarms_of(self.source)
        if alarms == self._alarms or not self.peer.send(condition(alarms)):
            return
        known, self._alarms = self._alarms or {}, alarms
        for key in alarms.keys() - known.keys():
            log.warning("%s: %s", self.source.name, " | ".join(alarms[key]))
        for key in known.keys() - alarms.keys():
            log.info("%s: over: %s", self.source.name, known[key].what)

    def _answer(self, responses: Responses) -> None:
        for presentation in responses.presentation_ids.tolist():
            self._owed.discard(presentation)
            self._answered[presentation] = responses
        while len(self._answered) > KEPT_ANSWERS:
            self._answered.popitem(last=False)
        self.peer.keep(responses)
