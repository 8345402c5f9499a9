"""One trial, flip by flip: fixation point, flashes, gaze. No socket and no clock of its own."""

from collections.abc import Generator
from math import hypot

from protocol.messages import Trial, TrialReport, Void
from stimulus_client.display import Display
from stimulus_client.gaze import Gaze
from stimulus_client.timing import Timing, judged

Showing = Generator[None, Void | None, TrialReport]
"""Runs to the next flip when sent None; sent a cause, breaks the trial off. Its value is the report."""


def show(trial: Trial, display: Display, gaze: Gaze, timing: Timing, fixation_radius_deg: float) -> Showing:
    """Show a trial, yielding after each flip so that the caller can do a little before the next."""
    flips_s: list[float] = []
    broken: Void | None = None
    for stimulus_id in timing.frames(trial.stimulus_ids.tolist()):
        now_s = display.flip(stimulus_id, fixation=True)
        if not flips_s:
            gaze.begin(trial.trial, now_s, timing.duration_s(len(trial.stimulus_ids)))
        flips_s.append(now_s)
        broken = yield
        # NaN, an eye that is lost, compares False: it counts as looking away.
        if broken is None and not hypot(*gaze.position_deg(now_s)) <= fixation_radius_deg:
            broken = Void.FIXATION
        if broken is not None:
            break
    flips_s.append(display.flip(None))
    return judged(trial, flips_s, timing, broken)
