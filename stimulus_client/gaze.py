"""Where the subject looks: what the client needs of an eye tracker, none at all, and a simulated one."""

from math import inf
from typing import Any, Protocol, cast

import numpy as np

from protocol.plugins import create

GAZES = {
    "none": "stimulus_client.gaze:NoGaze",
    "simulated": "stimulus_client.gaze:SimulatedGaze",
}


class Gaze(Protocol):
    """An eye tracker, calibrated so that the fixation point is at (0, 0)."""

    name: str

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Take note that a trial begins, on the display's clock, and how long it lasts if it is not broken."""

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the newest gaze position, right and up; NaN while the eye is lost. Never waits."""

    def close(self) -> None:
        """Let the tracker go."""


class NoGaze:
    """No eye tracker: the subject is taken to fixate always."""

    name = "none"

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Change nothing."""

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the fixation point."""
        return 0.0, 0.0

    def close(self) -> None:
        """Do nothing: there is no tracker."""


class SimulatedGaze:
    """A subject that looks away at some moment of a share of the trials.

    Whether and when depends on the seed and the trial's number alone, so a repeated run breaks the same ones.
    """

    name = "simulated"
    AWAY_DEG = (10.0, 0.0)

    def __init__(self, break_rate: float = 0.0, seed: int = 0) -> None:
        self.break_rate = break_rate
        self.seed = seed
        self._breaks_s = inf

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Decide whether and when the subject looks away."""
        random = np.random.default_rng((self.seed, 2, trial))
        breaks = random.random() < self.break_rate
        self._breaks_s = start_s + random.random() * duration_s if breaks else inf

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the fixation point until the subject looks away."""
        return (0.0, 0.0) if now_s < self._breaks_s else self.AWAY_DEG

    def close(self) -> None:
        """Do nothing: there is no tracker."""


def create_gaze(name: str, options: dict[str, Any]) -> Gaze:
    """Return the gaze source of that name, or of that `package.module:Class`; raise PluginError for an unknown one."""
    return cast(Gaze, create("gaze source", name, GAZES, **options))
