"""The keys at the display: space pauses and goes on, Esc breaks off, q stops after the generation, r gives a reward.

What is to happen here happens at once; the server is told, and its word goes from then on.
"""

import logging
from collections.abc import Callable

import zmq

from protocol.keys import PeerKey
from stimulus_client.devices import Devices
from stimulus_client.display import Display
from stimulus_client.operator_peer import Operator

STATES = {"waiting", "running", "paused", "suspended", "ending", "ended"}
"""How a notice begins that says how the session stands."""
log = logging.getLogger(__name__)


class Keyboard:
    """Turns keys into what they stand for."""

    def __init__(
        self,
        address: str,
        display: Display,
        devices: Devices,
        clock: Callable[[], float],
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
        key: PeerKey | None = None,
    ) -> None:
        self.operator = Operator(address, clock, context, key)
        self.holding = False
        """No trial is begun: a pause was asked for, and the server has not yet taken its trials back."""
        self.at_once = False
        """The trial that runs is broken off."""
        self._paused = False
        self._display = display
        self._devices = devices

    def attend(self) -> None:
        """Take in what was pressed, and keep the server told."""
        for key in self._display.pressed():
            self._press(key)
        self.operator.attend()

    def note(self, text: str) -> None:
        """Learn from what the server has people read whether the session is paused."""
        state = text.partition(":")[0]
        if state in STATES:
            self._paused = state == "paused"

    def obeyed(self) -> None:
        """Take note that the server has taken its trials back: what comes from now on is to be shown."""
        self.holding = self.at_once = False

    def forget(self) -> None:
        """Begin a new session: what was pressed in the last one means nothing."""
        self.obeyed()
        self._paused = False
        self.operator.forget()

    def close(self) -> None:
        """Take leave of the server."""
        self.operator.close()

    def _press(self, key: str) -> None:
        match key:
            case "space" if self._paused or self.holding:
                self.obeyed()
                self._paused = False
                self.operator.ask("resume")
            case "space":
                self.holding = True
                self.operator.ask("pause")
            case "escape":
                self.holding = self.at_once = True
                self.operator.ask("pause_now")
            case "q":
                self.operator.ask("stop")
            case "r":
                refusal = self._devices.reward.give()
                self.operator.ask("note", text=f"no reward by hand: {refusal}" if refusal else "reward by hand")
            case _:
                return
        log.info("%s was pressed", key)
