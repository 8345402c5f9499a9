"""What a dry run is made of: the simulated neurons, how subject and display misbehave, what is to go wrong."""

from typing import Literal

from pydantic import Field, model_validator

from protocol.ids import MAX_GENERATIONS
from server.config_table import Open, Table
from server.config_values import FromMs, Share


class Fault(Table):
    """One thing that goes wrong in a dry run, on purpose: docs/simulator.md says what each is. Any number of them."""

    what: Literal[
        "stall", "lose", "clock", "photodiode", "channel", "storm", "not_recording", "crash_simulator",
        "crash_adapter", "crash_server", "crash_page", "look_away", "slow", "crash_display",
    ]  # fmt: skip
    """`stall`, `lose`, `clock`, `photodiode`, `channel`, `storm`, `not_recording`, `crash_simulator`, `crash_adapter`, `crash_server`, `crash_page`; `look_away`, `slow`, `crash_display`."""  # noqa: E501
    generation: int = Field(0, ge=0, lt=MAX_GENERATIONS)
    """When, for all but the last three."""
    trial: int = Field(0, ge=0)
    """When, for what happens at the display: the last three."""
    seconds: float = Field(5, ge=0, le=3600)
    """How long a stall lasts, or the subject is away."""
    share: Share = 0.5
    """How many showings are lost, or have artefacts."""
    channel: int = Field(0, ge=0)
    """Place of the channel that dies."""

    @model_validator(mode="after")
    def _at_some_time(self) -> "Fault":
        of_display = self.what in ("look_away", "slow", "crash_display")
        needed = "trial" if of_display else "generation"
        if not getattr(self, needed):
            raise ValueError(f"{self.what} needs a {needed}, from 1 on")
        return self

    @property
    def text(self) -> str:
        """How it is written in an option of a peer."""
        return " ".join([self.what, *(f"{k}={v}" for k, v in self.model_dump(exclude={"what"}).items())])


class Simulator(Open):
    """The neurons of a dry run: docs/simulator.md has the keys, which are given to the simulator as they stand."""

    faults: tuple[Fault, ...] = Field((), strict=False)


class Rehearsal(Table):
    """How subject and display misbehave in a dry run."""

    break_rate: Share = 0
    """Share of trials in which fixation breaks; about 0.35 is usual."""
    drop_rate: Share = 0
    """Share of images that lose a frame (headless)."""
    reaction_s: FromMs = 0
    """How long the subject takes to look at the fixation point, typically."""
    pause_rate: Share = 0
    """Share of trials before which it rests."""
    pause_s: FromMs = 5000
    """How long."""
    lost_rate: Share = 0
    """Share of broken trials in which the tracker loses the eye, rather than the eye the point."""
