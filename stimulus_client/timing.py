"""Durations in whole frames of a display, and the verdict on each flash from the flips' times."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocol.arrays import Ids
from protocol.messages import Trial, TrialReport, Void


@dataclass(frozen=True, slots=True)
class Timing:
    """How long everything stays on screen, in frames of `refresh_hz`."""

    refresh_hz: float
    on_frames: int
    off_frames: int
    fixation_frames: int
    inter_trial_frames: int
    acquire_frames: int = 180
    """How long the subject has to find the fixation point."""
    timeout_frames: int = 0
    """How much longer the screen stays empty after a trial that the subject broke off."""

    @classmethod
    def at(cls, refresh_hz: float, settings: dict[str, Any]) -> "Timing":
        """Return the server's durations rounded to frames; fixation point and image stay for one at least."""
        frames = {
            name: max(least, round(float(settings.get(name, default_s)) * refresh_hz))
            for name, default_s, least in (
                ("on_s", 0.1, 1),
                ("off_s", 0.1, 0),
                ("inter_trial_s", 0.4, 0),
                ("fixation_s", 0.3, 1),
                ("acquire_s", 3.0, 1),
                ("timeout_s", 0.0, 0),
            )
        }
        return cls(refresh_hz, **{name.replace("_s", "_frames"): n for name, n in frames.items()})

    def __str__(self) -> str:
        parts = (
            ("on", self.on_frames),
            ("off", self.off_frames),
            ("fixation", self.fixation_frames),
            ("between trials", self.inter_trial_frames),
            ("time-out", self.timeout_frames),
        )
        said = ", ".join(f"{what} {n} frames ({1000 * n / self.refresh_hz:.1f} ms)" for what, n in parts)
        return f"at {self.refresh_hz:.2f} Hz: {said}"

    def duration_s(self, n_presentations: int) -> float:
        """Return how long a trial lasts that nothing breaks."""
        frames = self.fixation_frames + n_presentations * (self.on_frames + self.off_frames)
        return frames / self.refresh_hz

    def frames(self, stimulus_ids: Sequence[int]) -> Iterator[tuple[int | None, int | None]]:
        """Yield each frame of a trial from the eye's arrival on: an image's id, or None for the fixation point alone.

        Beside it stands the place in the trial of the flash that begins in that frame, or None.
        """
        yield from [(None, None)] * self.fixation_frames
        for place, stimulus_id in enumerate(stimulus_ids):
            yield stimulus_id, place
            yield from [(stimulus_id, None)] * (self.on_frames - 1)
            yield from [(None, None)] * self.off_frames


def judged(trial: Trial, flips_s: Sequence[float], timing: Timing, broken: Void | None) -> TrialReport:
    """Return the report of a trial from the times of its flips, the last of which took everything off screen.

    A flash counts if each of its frames took one refresh and it stayed on for as many as it should. A long frame
    in the gap after it delays the next onset, which is measured, and spoils nothing. When the trial was broken
    off, the flash whose image or gap was then on screen is void with the cause, and so are those never shown.
    """
    times_s = np.asarray(flips_s, np.float64)
    last = len(times_s) - 1
    n = len(trial.presentation_ids)
    first = timing.fixation_frames + np.arange(n) * (timing.on_frames + timing.off_frames)
    shown = first < last
    begin, end = np.minimum(first, last), np.minimum(first + timing.on_frames, last)
    refreshes = np.rint(np.diff(times_s) * timing.refresh_hz).astype(np.int32)
    elapsed = np.concatenate([[0], np.cumsum(refreshes)])
    irregular = np.concatenate([[0], np.cumsum(refreshes != 1)])
    frames = elapsed[end] - elapsed[begin]
    bad = (frames != timing.on_frames) | (irregular[end] > irregular[begin])
    spoiled = first + timing.on_frames + timing.off_frames >= last if broken else np.zeros(n, bool)
    return TrialReport(
        trial.trial,
        _words(broken),
        trial.presentation_ids,
        np.where(shown, times_s[begin], np.nan),
        np.where(shown, times_s[end], np.nan),
        np.full(n, timing.on_frames, np.int32),
        frames.astype(np.int32),
        tuple(_void(broken if s else None, b) for s, b in zip(spoiled.tolist(), bad.tolist(), strict=True)),
        n_frames=last,
        n_long_frames=int((refreshes > 1).sum()),
        longest_frame_s=float(np.diff(times_s).max(initial=0)),
    )


def unshown(trial: Trial, void: Void, outcome: str = "") -> TrialReport:
    """Return the report of a trial of which nothing was shown."""
    ids: Ids = trial.presentation_ids
    never = np.full(len(ids), np.nan)
    none = np.zeros(len(ids), np.int32)
    return TrialReport(trial.trial, outcome or _words(void), ids, never, never, none, none, (void.value,) * len(ids))


def _void(broken: Void | None, bad: bool) -> str:
    return broken.value if broken else Void.FRAME.value if bad else ""


def _words(void: Void | None) -> str:
    return void.value.replace("_", " ") if void else "complete"
