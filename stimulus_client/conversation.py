"""The display's side of the conversation: shows the trials that the server sends, reports what was truly shown.

While a trial runs, messages are only taken in between flips; all but those that break it off wait for its end.
Images are made ready for the screen between trials, never in one.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import zmq

from protocol.arrays import Ids
from protocol.keys import PeerKey
from protocol.messages import (
    Control,
    Farewell,
    Hello,
    Message,
    Notice,
    Recall,
    Release,
    Role,
    StimulusBatch,
    Trial,
    TrialReport,
    Void,
    Welcome,
)
from protocol.peer import SERVER_LOST_S, Peer, new_instance
from protocol.software import software
from stimulus_client.devices import Devices
from stimulus_client.display import Display
from stimulus_client.keyboard import Keyboard
from stimulus_client.library import Library
from stimulus_client.presenter import Patch, Windows, show, unseen
from stimulus_client.timing import Timing, unshown

IDLE_S = 0.1
"""How long to wait for a message when there is nothing to show; a stop is noticed within it."""
LISTEN_S = 0.002
"""How often to look at the socket between flips: each flip of any real screen, not each of a simulated one."""
log = logging.getLogger(__name__)


def _no_drill(arguments: dict[str, Any]) -> None:
    log.info("a drill was asked for, which is for rehearsals alone: %s", arguments.get("what"))


class Client:
    """A peer with a screen: one display, what is wired to it, the trials that wait, and the images to show."""

    def __init__(
        self,
        address: str,
        display: Display,
        devices: Devices,
        clock: Callable[[], float] = time.perf_counter,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
        key: PeerKey | None = None,
    ) -> None:
        self.display = display
        self.devices = devices
        self.keyboard = Keyboard(address, display, devices, clock, context, key)
        self.library = Library(display)
        self.timing = Timing.at(display.refresh_hz, {})
        self.windows = Windows()
        self.patch = Patch()
        self.stopped = False
        self._settings: dict[str, Any] = {}
        self._away = False
        self._session_id: str | None = None
        self._trials: dict[int, Trial] = {}
        self._running: Trial | None = None
        self._reported: set[int] = set()
        self._inbox: deque[Message] = deque()
        self._clock = clock
        self._listened_s = clock()
        self._instance = new_instance()
        self.peer = Peer(address, self._hello, clock, context, key)

    def run(self, patience_s: float = float("inf")) -> None:
        """Show trials until the server says farewell, `stop` is called, or it was silent for longer than patience."""
        while not (self.stopped or self.peer.farewell is not None or self.peer.silence_s > patience_s):
            self.step()

    def step(self) -> None:
        """Deal with what has arrived, or else wait a little for it; then show the next trial, if there is one."""
        self._listen(0.0 if self._inbox or self._ready else IDLE_S)
        self._attend()
        self._say_if_away()
        if self._ready:
            self._show(self._trials.pop(next(iter(self._trials))))

    def stop(self) -> None:
        """Finish nothing, and return from `run` soon; safe to call from a signal handler."""
        self.stopped = True

    def close(self, reason: str = "") -> None:
        """Take leave of the server and give the screen back."""
        self.peer.close(reason or ("the stimulus client was stopped" if self.stopped else ""))
        self.keyboard.close()
        self.devices.close()
        self.display.close()

    @property
    def _ready(self) -> bool:
        return bool(self._trials) and self.peer.welcomed and not (self.stopped or self.keyboard.holding)

    def _hello(self) -> Hello:
        return Hello(Role.DISPLAY, self.display.name, self._instance, software=software(), trials=self._held())

    def _held(self) -> Ids:
        """Return the trials that need not be sent again: received, running, or reported and perhaps not on disk."""
        self._forget_settled()
        held = {*self._trials, *self._reported, *(m.trial for m in self._inbox if isinstance(m, Trial))}
        if self._running is not None:
            held.add(self._running.trial)
        return np.array(sorted(held), np.int64)

    # -- messages

    def _listen(self, timeout_s: float) -> None:
        """Take in messages, without a timeout for `LISTEN_S` at most: many large ones must not delay a flip."""
        began_s = self._clock()
        for message in self.peer.receive(timeout_s):
            self._inbox.append(message)
            if timeout_s == 0.0 and self._clock() - began_s > LISTEN_S:
                break
        self.keyboard.attend()
        self._listened_s = self._clock()

    def _attend(self) -> None:
        while self._inbox and not self.stopped:
            self._take(self._inbox.popleft())
        self.library.load()

    def _take(self, message: Message) -> None:
        match message:
            case Welcome():
                self._enter(message)
            case StimulusBatch():
                self.library.add(message)
            case Release():
                self.library.forget(message.stimulus_ids.tolist())
            case Trial():
                self._queue(message)
            case Control(action="drill"):
                # Only a rehearsal's eyes have drills; a tracker of a real animal has none.
                getattr(self.devices.gaze, "drill", _no_drill)(message.arguments)
            case Recall():
                self.keyboard.obeyed()
                self._give_back()
            case Notice():
                self.keyboard.note(message.text)
                self.display.tell(message.level, message.text)
            case Farewell(final=False):
                self.display.tell("info", message.reason)
            case Farewell():
                pass  # `run` returns
            case _:
                log.warning("dropped a %s: it is not for a display", type(message).__name__)

    def _enter(self, welcome: Welcome) -> None:
        """Take the settings; in a session other than the last one, nothing received before means anything."""
        if welcome.session_id != self._session_id:
            self._session_id = welcome.session_id
            self._trials.clear()
            self._reported.clear()
            self.library.clear()
            self.devices.reward.forget()
            self.keyboard.forget()
        settings = dict(welcome.settings)
        n_given = int(settings.pop("rewards_given", 0))
        if settings != self._settings:
            self._configure(settings)
        self.devices.reward.n_given = max(self.devices.reward.n_given, n_given)

    def _configure(self, settings: dict[str, Any]) -> None:
        self.display.configure(settings)
        self.devices.configure(settings, self.display)
        self.timing = Timing.at(self.display.refresh_hz, settings)
        self.windows = Windows.of(settings)
        self.patch = Patch(settings.get("photodiode", {}).get("mode") == "toggle", self.patch.lit)
        self._settings = settings
        log.info("%s", self.timing)
        if why := unseen(settings, self.timing):
            self.display.tell("alarm", why)
            self.keyboard.operator.ask("note", text=why)

    def _queue(self, trial: Trial) -> None:
        self._forget_settled()
        if trial.trial not in self._reported:
            self._trials[trial.trial] = trial

    def _forget_settled(self) -> None:
        if not self.peer.unacknowledged:
            self._reported.clear()

    def _give_back(self) -> None:
        trials, self._trials = self._trials, {}
        for trial in trials.values():
            self._report(unshown(trial, Void.NOT_SHOWN))

    def _say_if_away(self) -> None:
        """Say so on screen when the server has fallen silent, once."""
        if self.peer.welcomed:
            self._away = False
        elif not self._away and self.peer.silence_s > SERVER_LOST_S and self.peer.farewell is None:
            self._away = True
            self.display.tell(
                "alarm",
                f"no word from the server at {self.peer.address} since {self.peer.silence_s:.0f} s | nothing is shown, "
                "nothing is lost | start it: xdream run, or xdream resume",
            )

    def _report(self, report: TrialReport) -> None:
        # A report of a session that is over means nothing in the one that has begun.
        if self.peer.session_id == self._session_id:
            self._reported.add(report.trial)
            self.peer.keep(report)

    # -- trials

    def _show(self, trial: Trial) -> None:
        """Show one trial and report it; show nothing of a trial whose images are not all here."""
        if not self.library.has(trial.stimulus_ids.tolist()):
            self._report(unshown(trial, Void.IMAGE_MISSING))
            return
        self._running = trial
        report = self._run_through(trial)
        self._running = None
        if not self.stopped:
            if report.outcome == "complete" and self.devices.reward.pulse_s:
                self.devices.reward.give()
            onsets_s, durations_s = self.devices.reward.taken()
            self._report(replace(report, reward_onsets_s=onsets_s, reward_durations_s=durations_s))
            # Before the socket is read again: an acknowledgement would let the same trial, sent twice, be shown twice.
            self._attend()
            for complaint in self.devices.complaints():
                self.display.tell("alarm", complaint)
                self.keyboard.operator.ask("note", text=complaint)
            broken = Void.FIXATION in report.voids
            self._rest(self.timing.inter_trial_frames + (self.timing.timeout_frames if broken else 0))

    def _run_through(self, trial: Trial) -> TrialReport:
        showing = show(trial, self.display, self.devices.gaze, self.timing, self.windows, self.patch)
        cause: Void | None = None
        try:
            while True:
                begun = showing.send(cause)
                if begun is not None:
                    self.devices.markers.mark(begun)
                cause = self._between_flips()
        except StopIteration as end:
            report: TrialReport = end.value
            return report

    def _between_flips(self) -> Void | None:
        """Take in what has arrived, without waiting; return why the trial must be broken off, if it must."""
        if self._clock() - self._listened_s >= LISTEN_S:
            n_known = len(self._inbox)
            self._listen(0.0)
            if any(self._breaks(self._inbox[i]) for i in range(n_known, len(self._inbox))):
                return Void.OPERATOR
        return Void.OPERATOR if self.stopped or self.keyboard.at_once else None

    def _breaks(self, message: Message) -> bool:
        match message:
            case Recall(now=now):
                return now
            case Farewell(final=final):
                return final
            case Welcome(session_id=session_id):
                return session_id != self._session_id
        return False

    def _rest(self, n_frames: int) -> None:
        """Leave the screen empty between two trials, and do all that had to wait."""
        for _ in range(n_frames):
            self.display.flip(None, patch=self.patch.lit)
            if self._clock() - self._listened_s >= LISTEN_S:
                self._listen(0.0)
                self._attend()
            if self.stopped or self.peer.farewell is not None:
                return
