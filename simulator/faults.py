"""What goes wrong in a rehearsal, on purpose: by a schedule of generations, or now, as a drill.

By schedule, what is lost depends on the identity of a showing alone, and is lost the first time only: the same seed
loses the same ones, and each is shown again and measured. Drills go by the clock. What each fault is on a recording
system's own wire, `simulator.mishaps` says.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from math import inf
from typing import Any

import numpy as np

from adapters.source import SourceError
from protocol.ids import presentation_key
from protocol.plugins import nearest
from simulator.firing import Recorded, Windows
from simulator.jitter import Jitter
from simulator.trains import Trains

MEANINGS = {
    "stall": "the recording stands still for `seconds` from that generation on",
    "lose": "a `share` of the showings of that generation is lost on the way",
    "clock": "the clock jumps: showings of that generation cannot be aligned, of a direct dry run the first ten",
    "photodiode": "the photodiode is dead: no onset of that generation is found at first",
    "channel": "the `channel` at that place is silent from that generation on",
    "storm": "a `share` of the showings of that generation has artefacts on all channels",
    "not_recording": "no raw data are kept for `seconds`, 30 at least: only with `--as` a system that can be asked",
    "crash_simulator": "the simulator is killed in that generation",
    "look_away": "the subject looks away in that `trial`, for `seconds`",
    "slow": "the subject takes `seconds` longer to fixate in that `trial`",
    "crash_display": "the stimulus client is killed in that `trial`",
    "crash_adapter": "the acquisition adapter is killed in that generation (a direct dry run's is the simulator)",
    "crash_server": "the server is killed in that generation, and resumed",
    "crash_page": "the status page is killed in that generation",
}
DRILLS = {
    "stall": "The recording stands still",
    "lose": "Half of the data are lost on the way",
    "clock": "The recording's clock jumps",
    "photodiode": "The photodiode is dead: no onset pulses",
    "channel": "The first channel is silent",
    "storm": "Artefacts on all channels, half of the time",
    "not_recording": "The recording program keeps no raw data",
    "look_away": "The subject looks away",
    "crash_display": "The stimulus client is killed",
    "crash_simulator": "The simulated recording is killed",
    "crash_adapter": "The acquisition adapter is killed",
    "crash_server": "The server is killed: go on with xdream resume",
    "crash_page": "This page is killed: open it again with xdream status",
}
"""What can go wrong now, in words for whoever presses the button; it lasts for the seconds that are given."""
OF_DISPLAY = ("look_away", "slow", "crash_display")
"""What the display's side does."""
OF_PROGRAMS = ("crash_adapter", "crash_server", "crash_page")
"""What whoever started these programs does, for they cannot know; all else is the recording's."""
CAN_BE_ASKED = ("open_ephys", "intan_rhx", "spikeglx", "tdt")
"""Systems whose program says whether it keeps raw data."""
UNNOTICED_S = 30.0
"""Adapters ask every ten seconds: a recording that stops for less may never be missed."""
TRIAL_OF = 10
"""Showings that a jump of the clocks spoils."""
STORM_S = np.asarray(0.1 + 0.002 * np.arange(12))
"""When spikes of artefacts come, after the onset."""
LOST = "lost on the way"
JUMPED = "while the clocks jumped"
DARK = "without a pulse of the photodiode"
WHY_LOST = {"lose": LOST, "clock": JUMPED, "photodiode": DARK}
ASTRAY = "with an onset too far from where the clocks put it"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong."""

    what: str
    generation: int = 0
    """When, of any evolution; 0 = now, a drill."""
    trial: int = 0
    """When, for what the display's side does."""
    seconds: float = 5.0
    share: float = 0.5
    channel: int = 0
    """Its place in the array."""


def drilled(arguments: Mapping[str, Any]) -> Fault:
    """Return the fault that an operator's drill asks for: `what` and perhaps `seconds`, `share`, `channel`.

    One that makes no sense is said in the log, and does nothing.
    """
    given = {key: value for key, value in arguments.items() if key in ("seconds", "share", "channel")}
    try:
        return _parse(" ".join([str(arguments.get("what", "")), *(f"{key}={value}" for key, value in given.items())]))
    except SourceError as wrong:
        log.warning("no drill: %s", wrong)
        return Fault("none", seconds=0)


def offered(system: str) -> dict[str, str]:
    """Return what can be drilled, in words, while a recording system is rehearsed; "" = none, a direct dry run."""
    # Without a system the simulator is the adapter: to kill one is to kill the other.
    fits = {"crash_adapter": bool(system), "not_recording": system in CAN_BE_ASKED}
    return {what: words for what, words in DRILLS.items() if fits.get(what, True)}


def parse_faults(text: str) -> list[Fault]:
    """Return the faults that a text lists: "stall generation=5 seconds=10; lose generation=8 share=0.3"."""
    return [_parse(piece) for piece in text.split(";") if piece.strip()]


class AcquisitionFaults:
    """What goes wrong on the recording's side.

    `lives` is how often this program was started again before: so many crashes have been had already. With a `jitter`,
    onsets that stray beyond what an adapter tolerates are lost too.
    """

    def __init__(
        self,
        schedule: Iterable[Fault],
        seed: int,
        lives: int = 0,
        loss_rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        jitter: Jitter | None = None,
    ) -> None:
        self._schedule = list(schedule)
        self._seed, self._clock, self._loss_rate, self._jitter = seed, clock, loss_rate, jitter or Jitter()
        self._crashes = [fault for fault in self._schedule if fault.what == "crash_simulator"][lives:]
        self._to_begin = [fault for fault in self._schedule if fault.what in ("stall", "clock", "not_recording")]
        self._drills: list[tuple[Fault, float]] = []
        self._stalled_since_s = self._stalled_until_s = self._unsaved_until_s = -inf

    def drill(self, arguments: Mapping[str, Any]) -> None:
        """Let something happen now; what is the display's business is left to it."""
        fault = drilled(arguments)
        if fault.what in (*OF_DISPLAY, *OF_PROGRAMS, "none"):
            return
        if fault.what in ("stall", "not_recording"):
            self._begin(fault)
        elif fault.what == "crash_simulator":
            crash()
        else:
            self._drills.append((fault, self._clock() + fault.seconds))

    def reach(self, presentations: list[int]) -> list[Fault]:
        """Return what begins with these showings, the first ones of its generation; a stall, a crash begin at once."""
        generation = max((presentation_key(each).generation for each in presentations), default=0)
        begun = [fault for fault in self._to_begin if fault.generation == generation]
        self._to_begin = [fault for fault in self._to_begin if fault.generation > generation]
        for fault in begun:
            self._begin(fault)
        if any(each.generation <= generation for each in self._crashes):
            crash()
        return begun

    @property
    def data_age_s(self) -> float:
        """How old the newest data are: 0 unless they stand still."""
        return self._clock() - self._stalled_since_s if self.stands_still else 0.0

    @property
    def stands_still(self) -> bool:
        """Whether a stall lasts."""
        return self._clock() < self._stalled_until_s

    @property
    def saves(self) -> bool:
        """Whether the recording program keeps raw data."""
        return self._clock() >= self._unsaved_until_s

    def why_lost(self, presentation: int) -> str:
        """Return why a showing cannot be measured, or ""."""
        if self._jitter.is_astray(presentation):
            return ASTRAY
        return next((why for what, why in WHY_LOST.items() if self.loses(what, presentation)), "")

    def loses(self, what: str, presentation: int) -> bool:
        """Return whether "lose", "clock" or "photodiode" spoils a showing; by schedule, the first attempt alone."""
        if not (self._schedule or self._drills or self._loss_rate):
            return False
        key, luck = presentation_key(presentation), np.random.default_rng((self._seed, 5, presentation)).random()
        if what == "lose" and luck < self._loss_rate:
            return True
        for fault in self._now(presentation):
            drilled = not fault.generation
            spared = (key.attempt and not drilled) or (what == "lose" and luck >= fault.share)
            spared = spared or (what == "clock" and not drilled and key.slot >= TRIAL_OF)
            if fault.what == what and not spared:
                return True
        return False

    def spoil(self, recorded: Recorded, presentations: list[int], windows: Windows) -> Recorded:
        """Return what was recorded, less what dead channels would have fired, and more by artefacts."""
        if not (self._schedule or self._drills):
            return recorded
        counts, baseline, trains = recorded.spike_counts.copy(), recorded.baseline_counts.copy(), recorded.trains
        for row, presentation in enumerate(presentations):
            dead = [channel for channel in self.silent(presentation) if channel < counts.shape[1]]
            counts[row, dead] = baseline[row, dead] = 0
            trains = trains.only(~((trains.rows == row) & np.isin(trains.channels, dead))) if dead else trains
            if self.storms(presentation):
                storm = Trains.none().with_storm(row, counts.shape[1], STORM_S)
                counts += storm.counts(windows.response_s, *counts.shape)
                baseline += storm.counts(windows.baseline_s, *counts.shape)
                trains = trains.with_storm(row, counts.shape[1], STORM_S)
        return Recorded(counts, baseline, trains)

    def silent(self, presentation: int) -> list[int]:
        """Return the places of channels that are dead in a showing."""
        generation = presentation_key(presentation).generation
        dead = [f.channel for f in self._schedule if f.what == "channel" and f.generation < generation]
        return dead + [fault.channel for fault in self._now(presentation) if fault.what == "channel"]

    def storms(self, presentation: int) -> bool:
        """Return whether artefacts spoil a showing."""
        faults = [fault for fault in self._now(presentation) if fault.what == "storm"]
        luck = np.random.default_rng((self._seed, 6, presentation)).random() if faults else 1.0
        return any(luck < fault.share for fault in faults)

    def _now(self, presentation: int) -> list[Fault]:
        """Return what holds for a showing: what its generation is to suffer, and the drills that last."""
        now_s = self._clock() if self._drills else 0.0
        self._drills = [(fault, until_s) for fault, until_s in self._drills if now_s < until_s]
        generation = presentation_key(presentation).generation
        return [f for f in self._schedule if f.generation == generation] + [fault for fault, _ in self._drills]

    def _begin(self, fault: Fault) -> None:
        if fault.what == "stall":
            self._stalled_since_s = self._clock()
            self._stalled_until_s = self._stalled_since_s + fault.seconds
        elif fault.what == "not_recording":
            self._unsaved_until_s = self._clock() + max(fault.seconds, UNNOTICED_S)


def crash() -> None:
    """End this program as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _parse(piece: str) -> Fault:
    what, *pairs = piece.split() or [""]
    if what not in MEANINGS:
        raise SourceError(f"no fault named {what!r}.{nearest(what, MEANINGS)} Known: {', '.join(MEANINGS)}.")
    kinds = {each.name: each.type for each in fields(Fault) if each.name != "what"}
    values: dict[str, float | int] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key not in kinds or not equals:
            raise SourceError(f"fault {piece.strip()!r}: {pair!r} is none of {', '.join(f'{k}=' for k in kinds)}.")
        try:
            values[key] = int(value) if kinds[key] in (int, "int") else float(value)
        except ValueError:
            raise SourceError(f"fault {piece.strip()!r}: {key} must be a number, got {value!r}.") from None
    return Fault(what, **values)  # type: ignore[arg-type]
