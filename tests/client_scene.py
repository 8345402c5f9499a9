"""A stimulus client on a screen that remembers what it showed, and the fake server that it talks to."""

from collections.abc import Callable
from typing import Any

import numpy as np
from fake_server import ADDRESS, FakeServer, Ticking

from protocol.messages import Notice, StimulusBatch, Trial, TrialReport, Void, Welcome
from protocol.peer import HELLO_S
from stimulus_client.conversation import Client
from stimulus_client.devices import Devices
from stimulus_client.display import HeadlessDisplay
from stimulus_client.gaze import SimulatedGaze

SETTINGS = {"on_s": 0.1, "off_s": 0.1, "inter_trial_s": 0.1, "fixation_s": 0.1, "size_deg": 3.0, "background": 128}
DEADLINE_S = 20
FENCE = Notice("info", "all that was said before this has arrived")


class Screen(HeadlessDisplay):
    """A fast display that remembers what it showed and told, and lets a test act at a flip."""

    def __init__(self) -> None:
        super().__init__(fast=True)
        self.shown: list[int | None] = []
        self.told: list[str] = []
        self.keys: list[str] = []
        self.at_flip: dict[int, Callable[[], None]] = {}

    def flip(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> float:
        self.shown.append(stimulus_id)
        if act := self.at_flip.get(len(self.shown)):
            act()
        return super().flip(stimulus_id, fixation, patch)

    def tell(self, level: str, text: str) -> None:
        self.told.append(text)

    def pressed(self) -> list[str]:
        keys, self.keys = self.keys, []
        return keys


class Scene:
    """A client with its display, and the server it talks to."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.display = Screen()
        self.clock = Ticking()
        self.closed = False
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.client = Client(ADDRESS, self.display, Devices(SimulatedGaze()), self.clock, server.context)
        # What the keys say goes to the server on a connection of its own, which has its own tests.
        self.client.keyboard.operator.ask = lambda action, **arguments: self.asked.append((action, arguments))

    @property
    def reports(self) -> list[TrialReport]:
        return [message for message in self.server.heard if isinstance(message, TrialReport)]

    def join(self, session_id: str = "s1", **settings: Any) -> None:
        self.clock.now_s += HELLO_S
        n_hellos = len(self.server.hellos)
        self.server.run(self.client.step, until=lambda: len(self.server.hellos) > n_hellos)
        self.server.says(Welcome(session_id, "test", SETTINGS | settings))

    def hears_reports(self, n: int) -> list[TrialReport]:
        self.server.run(self.client.step, until=lambda: len(self.reports) >= n)
        return self.reports

    def settle(self) -> None:
        """Let the client deal with all that was said."""
        self.server.says(FENCE)
        self.server.run(self.client.step, until=lambda: FENCE.text in self.display.told)
        self.display.told.remove(FENCE.text)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.client.close()


def some_images(*stimulus_ids: int) -> StimulusBatch:
    return StimulusBatch(np.array(stimulus_ids, np.int64), np.zeros((len(stimulus_ids), 8, 8, 3), np.uint8))


def a_trial(trial: int, *stimulus_ids: int) -> Trial:
    return Trial(trial, 1000 * trial + np.arange(len(stimulus_ids)), np.array(stimulus_ids, np.int64))


def void_names(report: TrialReport) -> list[str]:
    return [Void(void).name if void else "" for void in report.voids]
