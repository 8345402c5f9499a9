"""How a simulated recording's time goes on: with this machine's clock, or with a screen that keeps simulated time."""

from collections.abc import Callable
from typing import Protocol

BEHIND_S = 0.04
"""In real time the recording stays so far behind the clock between trials: the screen's next word must come in time."""
RUN_ON_S = 1.0
"""In simulated time it hurries for so long after the last flip, until all windows are over; then it takes its time."""


class Pace(Protocol):
    """What the display's clock says, up to where nothing new can happen."""

    def until_s(self) -> float:
        """Return the time of the display's clock before which all is known."""

    def asked(self) -> float:
        """Return the time to a screen that is about to flip."""

    def flipped(self, at_s: float, in_trial: bool) -> None:
        """Take note that the screen changed; in a trial nothing is known of what comes after."""


class RealTime:
    """The screen has a clock of its own, which runs as this machine's does."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._offset_s: float | None = None
        """This machine's clock less the screen's, by the flip that was heard of soonest."""
        self._held_s: float | None = None

    def until_s(self) -> float:
        """Return the last flip's time in a trial, and else what the clock says."""
        if self._held_s is not None:
            return self._held_s
        return self._clock() - (self._offset_s or 0.0) - BEHIND_S

    def asked(self) -> float:
        """Return the time."""
        return self._clock() - (self._offset_s or 0.0)

    def flipped(self, at_s: float, in_trial: bool) -> None:
        """Wait for the next flip if it is to come soon."""
        offset_s = self._clock() - at_s
        self._offset_s = offset_s if self._offset_s is None else min(offset_s, self._offset_s)
        self._held_s = at_s if in_trial else None


class SimulatedTime:
    """The recording has the only clock. A screen that asks stops it, and sets it by its flip."""

    def __init__(self, speed: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._speed, self._clock, self._sleep = speed, clock, sleep
        self._now_s = 0.0
        self._at = clock()
        """When, on this machine's clock, that is so: after a flip in a trial that may be a little later than now."""
        self._hurry_s = 0.0
        self._stands = False

    def until_s(self) -> float:
        """Return the time, which goes on by itself between trials."""
        at = self._clock()
        if not self._stands and at > self._at:
            self._now_s += (at - self._at) * (self._speed if self._now_s < self._hurry_s else 1.0)
            self._at = at
        return self._now_s

    def asked(self) -> float:
        """Stop, and return the time; no sooner than the speed allows."""
        self.until_s()
        if self._stands and (early_s := self._at - self._clock()) > 0:
            self._sleep(early_s)
        self._stands = True
        return self._now_s

    def flipped(self, at_s: float, in_trial: bool) -> None:
        """Go to the flip; go on from there by itself unless the next one comes soon."""
        takes_s = max(0.0, at_s - self._now_s) / self._speed
        self._at = max(self._at + takes_s, self._clock())
        self._now_s = max(self._now_s, at_s)
        self._hurry_s = self._now_s + RUN_ON_S
        self._stands = in_trial
