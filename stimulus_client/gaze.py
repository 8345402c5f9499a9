"""Where the subject looks: what the client needs of an eye tracker, none at all, the mouse, and a simulated one."""

from collections.abc import Callable
from math import inf
from typing import Any, Protocol, cast

import numpy as np

from protocol.plugins import create
from stimulus_client.geometry import Monitor

FRESH_S = 0.1
"""An eye that was not heard of for so long is lost; trackers send a sample every 1 to 20 ms."""
GAZES = {
    "none": "stimulus_client.gaze:NoGaze",
    "mouse": "stimulus_client.gaze:MouseGaze",
    "lsl": "stimulus_client.lsl:LslGaze",
    "eyelink": "stimulus_client.eyelink:EyeLink",
    "simulated": "stimulus_client.gaze:SimulatedGaze",
    "animal": "simulator.behaviour:Animal",
}


class Gaze(Protocol):
    """An eye tracker, calibrated so that the fixation point is at (0, 0)."""

    name: str

    def configure(self, settings: dict[str, Any], screen_px: tuple[int, int]) -> None:
        """Take the table that the server's Welcome brought, and the size of the screen; begin to track."""

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Take note that a trial begins, on the display's clock, and how long it lasts if it is not broken."""

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the newest gaze position, right and up; NaN while the eye is lost. Never waits."""

    def close(self) -> None:
        """Let the tracker go."""


class NoGaze:
    """No eye tracker: the subject is taken to fixate always."""

    name = "none"

    def configure(self, settings: dict[str, Any], screen_px: tuple[int, int]) -> None:
        """Change nothing."""

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Change nothing."""

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the fixation point."""
        return 0.0, 0.0

    def close(self) -> None:
        """Do nothing: there is no tracker."""


class MouseGaze(NoGaze):
    """The mouse in the place of an eye, to try a session out without an animal."""

    name = "mouse"

    def __init__(self, pointer_deg: Callable[[], tuple[float, float]]) -> None:
        self._pointer_deg = pointer_deg

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return where the pointer is."""
        return self._pointer_deg()


class SimulatedGaze(NoGaze):
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


def in_degrees(monitor: Monitor, x_px: float, y_px: float, screen_px: tuple[int, int]) -> tuple[float, float]:
    """Return a place on screen, in pixels right and down from its upper left corner, seen from its centre."""
    width, height = screen_px
    return monitor.deg(x_px - width / 2, width), monitor.deg(height / 2 - y_px, width)


def create_gaze(name: str, options: dict[str, Any]) -> Gaze:
    """Return the gaze source of that name, or of that `package.module:Class`; raise PluginError for an unknown one.

    "mouse" needs the option `pointer_deg`, a display's.
    """
    return cast(Gaze, create("gaze source", name, GAZES, **options))
