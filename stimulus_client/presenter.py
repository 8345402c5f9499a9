"""One trial, flip by flip: fixation point, flashes, gaze, photodiode patch. No socket and no clock of its own."""

from collections.abc import Generator
from dataclasses import dataclass
from math import hypot
from typing import Any

from protocol.messages import Trial, TrialReport, Void
from stimulus_client.display import Display
from stimulus_client.gaze import Gaze
from stimulus_client.timing import Timing, judged, unshown

Showing = Generator[int | None, Void | None, TrialReport]
"""Runs to the next flip when sent None; sent a cause, breaks the trial off. Its value is the report.

It yields the id of the presentation that has just come on, or None.
"""


@dataclass(frozen=True, slots=True)
class Windows:
    """How near the fixation point the eye must come, and how near it must then stay."""

    acquire_deg: float = 1.2
    hold_deg: float = 1.2

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Windows":
        """Return the windows that the server asks for."""
        hold_deg = float(settings.get("fixation_radius_deg", 1.2))
        return cls(float(settings.get("acquire_radius_deg", 0.0)) or hold_deg, hold_deg)


@dataclass(slots=True)
class Patch:
    """The photodiode's corner: white while an image is on, or with `toggles` changing at each onset.

    What changes at each onset tells two images apart that follow each other without a gap.
    """

    toggles: bool = False
    lit: bool = False

    def next(self, image_is_on: bool, begins: bool) -> bool:
        """Return whether it is white in the next frame."""
        self.lit = self.lit != begins if self.toggles else image_is_on
        return self.lit


def unseen(settings: dict[str, Any], timing: Timing) -> str:
    """Return why the photodiode would not see every onset, and what to do; "" where it would, or there is none."""
    table = settings.get("photodiode", {})
    if not table.get("corner") or table.get("mode") == "toggle":
        return ""
    if timing.off_frames or settings.get("images_per_trial") == 1:
        return ""
    return (
        "no frame between two images: the photodiode's corner stays white from one to the next | their onsets cannot "
        'be found in the recording | mode = "toggle" in [display.photodiode], or a longer off_ms in [display]'
    )


def show(trial: Trial, display: Display, gaze: Gaze, timing: Timing, windows: Windows, patch: Patch) -> Showing:
    """Show a trial, yielding after each flip so that the caller can do a little before the next."""
    flips_s: list[float] = []
    broken = yield from _acquire(trial, display, gaze, timing, windows, patch, flips_s)
    if broken is not None:
        display.flip(None, patch=patch.next(False, False))
        return unshown(trial, broken, "no fixation" if broken is Void.NOT_SHOWN else "")
    frames = timing.frames(trial.stimulus_ids.tolist())
    next(frames)  # the one in which the eye arrived
    for stimulus_id, place in frames:
        lit = patch.next(stimulus_id is not None, place is not None)
        flips_s.append(display.flip(stimulus_id, fixation=True, patch=lit))
        broken = yield None if place is None else int(trial.presentation_ids[place])
        broken = broken or _broken(gaze, flips_s[-1], windows.hold_deg)
        if broken is not None:
            break
    flips_s.append(display.flip(None, patch=patch.next(False, False)))
    return judged(trial, flips_s, timing, broken)


def _acquire(
    trial: Trial, display: Display, gaze: Gaze, timing: Timing, windows: Windows, patch: Patch, flips_s: list[float]
) -> Generator[int | None, Void | None, Void | None]:
    """Show the fixation point until the eye has come to it; leave the last flip in the list, or return why not."""
    for frame in range(timing.acquire_frames):
        now_s = display.flip(None, fixation=True, patch=patch.next(False, False))
        if frame == 0:
            gaze.begin(trial.trial, now_s, timing.duration_s(len(trial.stimulus_ids)))
        cause = yield None
        if cause is not None:
            return cause
        if _broken(gaze, now_s, windows.acquire_deg) is None:
            flips_s.append(now_s)
            return None
    # Blameless: an animal that rests must not use up the showings that its images are allowed.
    return Void.NOT_SHOWN


def _broken(gaze: Gaze, now_s: float, radius_deg: float) -> Void | None:
    # NaN, an eye that is lost, compares False: it counts as looking away.
    return None if hypot(*gaze.position_deg(now_s)) <= radius_deg else Void.FIXATION
