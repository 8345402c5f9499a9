"""Simulated time in which no two trials follow each other alike, as they never do at a rig.

Where all trials are equally long, onsets fit the pulses of the trial before or after just as well as their own. At a
rig an adapter knows better: no pulse can have come before its time. In simulated time a whole trial lasts no longer
than a message may take, so there trials must not be alike.
"""

from simulator.pace import Pace

LULL_S = 4 / 60
"""Frames of 60 Hz; more than twice what an onset may be from its place."""
N_LULLS = 17
STEP = 7
"""All lulls are had in turn, long and short ones by turns: moved by fewer trials, no two in a row fit again."""


class Irregular:
    """A pace whose trials are followed by a lull, each by another one."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._in_trial = self._rests = False
        self._n_trials = 0

    def until_s(self) -> float:
        """Return the time of the display's clock before which all is known."""
        return self._pace.until_s()

    def asked(self) -> float:
        """Return the time to a screen that is about to flip: after a trial, when its lull is over."""
        if self._rests:
            self._rests, self._n_trials = False, self._n_trials + 1
            self._pace.flipped(self._pace.until_s() + STEP * self._n_trials % N_LULLS * LULL_S, in_trial=False)
        return self._pace.asked()

    def flipped(self, at_s: float, in_trial: bool) -> None:
        """Take note that the screen changed."""
        self._rests |= self._in_trial and not in_trial
        self._in_trial = in_trial
        self._pace.flipped(at_s, in_trial)
