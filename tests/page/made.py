"""Sessions made at once, without any process: the rules and the file are real, the peers are played."""

from pathlib import Path
from typing import Any

from protocol.messages import Control, Onsets, Role
from server.actions import Cleared, Record, Send, State, Trouble
from server.build import Changes, begin
from server.config import parse_config
from tests.builders import Desk, a_display, a_report, an_acquisition
from tests.page.spiking import SpikingNeuron

CONFIG = """
[session]
name = "made"
subject = "monkey <b>A</b>"
seed = 3
[[evolution]]
name = "IT-14"
channels = ["pixel/0"]
optimizer = { name = "genetic", population = 6 }
generator = { name = "raw_pixel", size = 8 }
[[evolution]]
name = "V4-03"
channels = ["pixel/1", "pixel/2"]
optimizer = { name = "genetic", population = 6 }
generator = { name = "raw_pixel", size = 8 }
[references]
count = 3
"""


class MadeSession:
    """A session that goes on whenever a test says so, and is on disk before it says anything."""

    def __init__(self, path: Path, generations: int = 0) -> None:
        self.now_s = 1_700_000_000.0
        built = begin(parse_config(CONFIG, "made"), Changes(generations=generations), path, self._clock)
        self.session, self.file = built.session, built.file
        self._desk = Desk(built.session, built.evolutions)
        self._neuron = SpikingNeuron()
        self._n_done = self._n_trials = 0
        self._desk.start()
        self._keep()

    def begin(self) -> "MadeSession":
        self.tell(an_acquisition("a1", SpikingNeuron.channels, wants_images=True), Role.ACQUISITION)
        self.tell(a_display("d1"), Role.DISPLAY)
        return self

    def go_on(self, trials: int, void_every: int = 0) -> "MadeSession":
        """Have so many trials shown and answered, or fewer if the session ends before."""
        for _ in range(trials):
            self._n_trials += 1
            if not self.session.traffic.out:
                break
            trial = next(iter(self.session.traffic.out.values()))
            void = {0: "fixation_broken"} if void_every and self._n_trials % void_every == 0 else {}
            self.tell(a_report(trial, void), Role.DISPLAY)
        return self

    def to_the_end(self, void_every: int = 0) -> "MadeSession":
        while self.session.state is State.RUNNING:
            self.go_on(1, void_every)
        return self

    def ask(self, action: str, control_id: str = "a-wish-of-a-test", **arguments: Any) -> None:
        self.tell(Control(control_id, action, "JD", arguments), Role.OPERATOR)

    def suspend(self) -> None:
        self.tell(Trouble("spikes", "no fresh data from the recording system", "look at probe A"))

    def clear(self) -> None:
        self.tell(Cleared("spikes"))

    def tell(self, event: Any, sender: Role | None = None) -> None:
        """Tell the session something, and answer for the neuron all that it asks."""
        self._desk.tell(event, sender)
        for message in self._keep():
            self._neuron_hears(message)

    def close(self) -> None:
        self.file.close()

    def _neuron_hears(self, message: Any) -> None:
        if isinstance(message, Onsets):
            self._neuron.request(message)
            for answer in self._neuron.poll():
                self.tell(answer, Role.ACQUISITION)
        elif hasattr(message, "images"):
            self._neuron.see(message)

    def _keep(self) -> list[Any]:
        """Put on disk what has happened since, and return what the acquisition side is told."""
        fresh, self._n_done = self._desk.log[self._n_done :], len(self._desk.log)
        with self.file.transaction():
            for action in fresh:
                if isinstance(action, Record):
                    self.file.add(action.row)
        return [each.message for each in fresh if isinstance(each, Send) and each.role is Role.ACQUISITION]

    def _clock(self) -> float:
        self.now_s += 0.02
        return self.now_s


def fade(session: MadeSession) -> None:
    """Have the reference images draw a twentieth less with every generation."""
    fading = "UPDATE scores SET score = (40 + 10 * stimulus_id) * (1 - 0.05 * generation) WHERE stimulus_id < 100"
    session.file.connection.execute(fading)
