"""What a session will take, before it is run: time, generations, presentations, reward and disk, each as a range.

A session is played through many times without showing anything: trials take the frames that the display counts them
in, a subject breaks some of them off, and what was lost is shown again. What nobody knows beforehand (how often a
subject breaks off, how long it takes to look, how long server and recording take between two generations) is drawn anew
for each. Pure: the same numbers for the same seed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from server.config_display import Display

N_PLAYED = 200
MOST_BROKEN = 0.95
"""A subject that breaks off more gets nowhere, and no plan would come to an end."""
USUAL_HZ = 60.0
Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Habits:
    """What a subject and a rig do: the least and the most, if nobody knows better."""

    break_share: Range = (0.1, 0.46)
    """Trials broken off: between the quartiles of logged sessions, where 54 to 90 % of trials succeed."""
    acquire_s: Range = (0.1, 0.5)
    """From the fixation point to the eye's arrival."""
    gap_s: Range = (0.2, 0.8)
    """From the last image of a generation to the first of the next, where no other evolution fills it."""

    def drawn(self, random: np.random.Generator) -> tuple[float, float, float]:
        """Return what one session has of each."""
        break_share = min(float(random.uniform(*self.break_share)), MOST_BROKEN)
        return break_share, float(random.uniform(*self.acquire_s)), float(random.uniform(*self.gap_s))


@dataclass(frozen=True, slots=True)
class Search:
    """What a generation of an evolution shows and leaves on disk."""

    name: str
    n_codes: int
    n_slots: int
    """Showings a generation, reference images and repeats among them."""
    share: float = 1.0
    generations: int = 0
    """When it ends; 0 = when time is up."""
    png_bytes: float = 0.0
    """Of one picture."""
    code_bytes: int = 0
    snapshot_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Spikes:
    """What a presentation's response leaves on disk."""

    n_channels: int = 1
    rate_hz: float = 50.0
    span_s: float = 0.2
    """From the beginning of the first window to the end of the last."""

    @property
    def n_bytes(self) -> float:
        """Counts of both windows, and a time and a channel for each spike."""
        return self.n_channels * (8 + 8 * self.rate_hz * self.span_s)


ROW_BYTES = {"presentation": 130, "response": 110, "stimulus": 2400, "score": 30, "trial": 110}
"""Of a row and what finds it, beside its pictures, codes and spikes; a picture leaves half a page of 4 kB empty."""
PARTS = (
    "images on screen",
    "fixation",
    "looking for the fixation point",
    "between trials",
    "broken trials",
    "between generations",
)


@dataclass(slots=True)
class Played:
    """One session that was played through."""

    seconds: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(PARTS)))
    """[n_parts] what took the time."""
    generations: list[int] = field(default_factory=list)
    presentations: int = 0
    """Shown well, so that they count."""
    shown: int = 0
    """With those that were broken off."""
    trials: int = 0
    rewards: int = 0


@dataclass(frozen=True, slots=True)
class Trials:
    """How long trials take on a display, in frames, as the stimulus client counts them."""

    display: Display
    refresh_hz: float

    def frames(self, name: str, least: int = 0) -> int:
        """Return a duration of the display's table in frames."""
        return max(least, round(float(getattr(self.display, name)) * self.refresh_hz))

    def whole(self, n: int) -> tuple[float, float, float]:
        """Return the seconds of images, of fixation, and of rest in a trial of n images that nothing breaks."""
        flashes = n * (self.frames("on_s", 1) + self.frames("off_s"))
        return flashes / self.refresh_hz, self.frames("fixation_s", 1) / self.refresh_hz, self.rest_s

    @property
    def rest_s(self) -> float:
        """The empty screen after a trial, with the frame that clears it."""
        return (1 + self.frames("inter_trial_s")) / self.refresh_hz

    def broken(self, n: int, moment: float) -> tuple[float, int, int]:
        """Return how long a trial lasts that is broken at a share of it, and how many images counted and were shown."""
        flash, fixation = self.frames("on_s", 1) + self.frames("off_s"), self.frames("fixation_s", 1)
        last = ceil(moment * (fixation + n * flash)) + 1
        counted = min(n, max(0, ceil((last - fixation) / flash) - 1))
        shown = min(n, max(0, ceil((last - fixation) / flash)))
        return (last + self.frames("timeout_s")) / self.refresh_hz + self.rest_s, counted, shown


@dataclass(frozen=True, slots=True)
class Plan:
    """What sessions came to that were played through: [n_played] of everything."""

    searches: tuple[Search, ...]
    played: tuple[Played, ...]
    minutes: float
    spikes: Spikes
    reference_bytes: float

    def quantiles(self, of: Callable[[Played], float]) -> tuple[float, float, float]:
        """Return the 5, 50 and 95 % quantiles of something."""
        low, middle, high = np.quantile([of(each) for each in self.played], (0.05, 0.5, 0.95))
        return float(low), float(middle), float(high)

    def generation_s(self, number: int) -> tuple[float, float, float]:
        """Return how long a generation of an evolution takes, by its place."""
        return self.quantiles(lambda each: float(each.seconds.sum()) / max(1, each.generations[number]))

    def shares(self) -> dict[str, float]:
        """Return what takes the time, the largest part first."""
        total = np.sum([each.seconds for each in self.played], axis=0)
        shares = dict(zip(PARTS, (total / max(float(total.sum()), 1e-9)).tolist(), strict=True))
        return dict(sorted(shares.items(), key=lambda pair: -pair[1]))

    def n_bytes(self, each: Played) -> dict[str, float]:
        """Return what a session leaves on disk."""
        pairs = list(zip(self.searches, each.generations, strict=True))
        n_images = sum(search.n_codes * n for search, n in pairs)
        rows = (
            each.shown * ROW_BYTES["presentation"]
            + each.presentations * (ROW_BYTES["response"] + ROW_BYTES["score"])
            + n_images * ROW_BYTES["stimulus"]
            + each.trials * ROW_BYTES["trial"]
        )
        return {
            "pictures": sum(s.png_bytes * s.n_codes * n for s, n in pairs) + self.reference_bytes,
            "codes": float(sum(s.code_bytes * s.n_codes * n for s, n in pairs)),
            "optimizers' states": float(sum(s.snapshot_bytes * (n + 1) for s, n in pairs)),
            "spikes": each.presentations * self.spikes.n_bytes,
            "the rest": float(rows),
        }


def plan(
    searches: Sequence[Search],
    display: Display,
    minutes: float,
    habits: Habits,
    spikes: Spikes,
    reference_bytes: float = 0.0,
    seed: int = 0,
    n_played: int = N_PLAYED,
) -> Plan:
    """Return what a session of so many minutes comes to; 0 = until every evolution has all its generations."""
    if not minutes and not all(each.generations for each in searches):
        raise ValueError("an evolution without an end needs a number of minutes")
    random = np.random.default_rng(seed)
    trials = Trials(display, display.monitor.refresh_hz or USUAL_HZ)
    limit_s = 60 * minutes or np.inf
    played = tuple(_play(searches, trials, limit_s, habits.drawn(random), random) for _ in range(n_played))
    return Plan(tuple(searches), played, minutes, spikes, reference_bytes)


def _play(
    searches: Sequence[Search],
    trials: Trials,
    limit_s: float,
    habits: tuple[float, float, float],
    random: np.random.Generator,
) -> Played:
    """Play one session through, trial by trial."""
    played = Played(generations=[0] * len(searches))
    owed = [each.n_slots for each in searches]
    taken = np.zeros(len(searches))
    going = [True] * len(searches)
    per_trial = trials.display.images_per_trial
    break_share, acquire_s, gap_s = habits
    waits_s = max(0.0, gap_s - trials.rest_s) if len(searches) == 1 else 0.0
    spent_s = 0.0
    while spent_s < limit_s and any(going):
        drawn = _draw(owed, going, taken, [each.share for each in searches], per_trial)
        lost, took_s = _trial(played, trials, drawn, break_share, acquire_s, random)
        for number in lost:
            owed[number] += 1
        for number, search in enumerate(searches):
            if going[number] and not owed[number]:
                played.generations[number] += 1
                going[number] = played.generations[number] != search.generations
                owed[number] = search.n_slots if going[number] else 0
                played.seconds[5] += waits_s
                took_s += waits_s
        spent_s += took_s
    if limit_s < np.inf:
        for number, search in enumerate(searches):
            played.generations[number] += 0 if not going[number] else round(1 - owed[number] / search.n_slots)
    return played


def _draw(owed: list[int], going: list[bool], taken: NDArray[np.float64], shares: list[float], n: int) -> list[int]:
    """Take up to n showings, each from the evolution that is furthest behind its share."""
    drawn: list[int] = []
    while len(drawn) < n and any(owed):
        number = min((k for k in range(len(owed)) if owed[k] and going[k]), key=lambda k: taken[k] / shares[k])
        owed[number] -= 1
        taken[number] += 1
        drawn.append(number)
    return drawn


def _trial(
    played: Played, trials: Trials, drawn: list[int], break_share: float, acquire_s: float, random: np.random.Generator
) -> tuple[list[int], float]:
    """Show a trial; return whose showings were lost, and how long it took."""
    n = len(drawn)
    acquire_s = floor(random.exponential(acquire_s) * trials.refresh_hz) / trials.refresh_hz if acquire_s else 0.0
    played.trials += 1
    if random.random() < break_share:
        took_s, counted, shown = trials.broken(n, float(random.random()))
        parts = np.array([0, 0, acquire_s, 0, took_s, 0])
    else:
        images_s, fixation_s, rest_s = trials.whole(n)
        counted = shown = n
        played.rewards += 1
        parts = np.array([images_s, fixation_s, acquire_s, rest_s, 0, 0])
    played.presentations += counted
    played.shown += shown
    played.seconds += parts
    return drawn[counted:], float(parts.sum())
