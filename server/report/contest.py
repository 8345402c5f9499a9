"""The evolved images against the best reference image, each measured as often as the other and chosen on other data.

The best of many noisy measurements is partly luck (the winner's curse), and an image shown more often is known better.
So here one showing is one measurement, by the formula of the evolution's scorer;

- the best reference image is chosen by every second of its showings and measured by the others, and then the other
  way about: where both halves choose the same image, that is all of its showings;
- the best evolved image of the last generation likewise, which needs three showings or more of it (`repeats`);
- the last generation as a whole needs no choice: its mean over all images is what the search has come to;
- both sides are cut to the same number of showings, the latest ones.

The interval of the difference is Welch's (Biometrika 34, 1947), with Student's t.
"""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocol.ids import stimulus_id
from server.build import build_scorer
from server.config import Config
from server.export.snapshot import Snapshot
from server.recounting import Windows, recount, scored_generations
from server.scoring import Scorer
from server.status.records import FIRST_EVOLVED, changes

Values = NDArray[np.float64]
PER_SHOWING = ("rate", "target", "difference")
"""Scorers whose number means the same for one showing; the Pareto front has no such number."""
FEWEST = 2
"""Showings of an image of which one half can choose and the other measure."""
FEWEST_COMPARED = 3
"""Showings a side: the interval of two is too wide to say anything."""


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One image, or one generation, and what its showings gave."""

    what: str
    stimulus: int | None
    values: Values
    """[n_showings] in the order of showing, those that it was chosen by left out."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two sides with the same number of showings."""

    what: str
    stimulus: int | None
    n: int
    """Showings on each side."""
    evolved: float
    reference: float
    low: float
    high: float
    """95 % interval of the difference."""

    @property
    def difference(self) -> float:
        """Evolved less reference."""
        return self.evolved - self.reference


@dataclass(frozen=True, slots=True)
class Contest:
    """All comparisons that the record allows, and a sentence for each that it does not."""

    reference: str
    comparisons: list[Comparison]
    remarks: list[str]


def contest(snapshot: Snapshot, config: Config, evolution: int) -> Contest:
    """Return how the evolved images of an evolution do against the best reference image."""
    table = config.evolutions[evolution - 1]
    if table.scorer.name not in PER_SHOWING:
        return Contest("", [], [f"Scorer {table.scorer.name!r} ranks images within a generation: nothing to compare."])
    showings = _showings(snapshot, _scorer(snapshot, config, evolution), evolution)
    reference = _best(list(_by_image(showings, fixed=True).items()))
    if reference is None:
        return Contest("", [], ["No reference image was measured twice: there is nothing to compare with."])
    name = snapshot.records.value("SELECT name FROM stimuli WHERE stimulus_id = ?", reference.stimulus)
    last = _by_image(showings[-1:], fixed=False)
    sides, best = [_whole(last)], _best(list(last.items()))
    remarks = []
    if best is None or len(best.values) < FEWEST_COMPARED:
        remarks.append(
            "The best evolved image cannot be told from a lucky one by so few showings: "
            f"set repeats = {FEWEST_COMPARED} or more to compare it as well."
        )
    else:
        sides.append(best)
    comparisons = [found for side in sides if (found := _compare(side, reference)) is not None]
    if not comparisons:
        remarks.append(
            f"The best reference image was measured less than {FEWEST_COMPARED} times: too little to compare."
        )
    return Contest(Path(name or "").stem.replace("_", " "), comparisons, remarks)


def welch(some: Values, others: Values) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two means."""
    errors = [float(each.var(ddof=1)) / len(each) for each in (some, others)]
    difference = float(some.mean() - others.mean())
    if not sum(errors):
        return difference, difference
    free = sum(errors) ** 2 / sum(e**2 / (len(v) - 1) for e, v in zip(errors, (some, others), strict=True))
    margin = student(free) * float(np.sqrt(sum(errors)))
    return difference - margin, difference + margin


def student(free: float) -> float:
    """Return the two-sided 95 % quantile of Student's t (Abramowitz and Stegun 26.7.5; to 1 % from 2 degrees on)."""
    z = 1.959964
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return sum(term / free**power for power, term in enumerate(terms))


def _scorer(snapshot: Snapshot, config: Config, evolution: int) -> Scorer:
    """Return the scorer as it stood last: channels may have been changed in the session."""
    scorer = build_scorer(config, config.evolutions[evolution - 1])
    channels = changes(snapshot.records).get(evolution, {}).get("channels")
    if channels and is_dataclass(scorer) and not isinstance(scorer, type):
        return replace(scorer, channels=tuple(channels), weights=())
    return scorer


def _showings(snapshot: Snapshot, scorer: Scorer, evolution: int) -> list[list[tuple[int, float]]]:
    """Return for each scored generation its showings, each an image and what this one showing gave."""
    channels, found = tuple(snapshot.records.channels()), []
    for generation, _ in scored_generations(snapshot.connection, evolution):
        measured = recount(snapshot.connection, channels, evolution, generation, Windows())
        n = len(measured.stimulus_ids)
        apart = np.array([stimulus_id(evolution, generation, place) for place in range(n)], np.int64)
        values = scorer.score(replace(measured, stimulus_ids=apart), apart)
        rows = zip(measured.stimulus_ids.tolist(), values.tolist(), strict=True)
        found.append([(stimulus, value) for stimulus, value in rows if not np.isnan(value)])
    return found


def _by_image(generations: Sequence[Sequence[tuple[int, float]]], fixed: bool) -> dict[int, Values]:
    images: dict[int, list[float]] = {}
    for showings in generations:
        for stimulus, value in showings:
            if (stimulus < FIRST_EVOLVED) == fixed:
                images.setdefault(stimulus, []).append(value)
    return {stimulus: np.array(values) for stimulus, values in images.items()}


def _best(images: Sequence[tuple[int, Values]]) -> Side | None:
    """Return the image that does best in one half of its showings with the other half, for both halves."""
    often = [(stimulus, values) for stimulus, values in images if len(values) >= FEWEST]
    if not often:
        return None
    chosen, taken = [], []
    for half in (0, 1):
        stimulus, values = max(often, key=lambda image: image[1][half::2].mean())
        chosen.append(stimulus)
        taken.append(values[1 - half :: 2])
    return Side("best image of the last generation", chosen[0], _in_turn(*taken))


def _in_turn(even: Values, odd: Values) -> Values:
    """Return two halves, each in its order, one by one."""
    values = np.empty(len(even) + len(odd))
    first, second = (odd, even) if len(odd) >= len(even) else (even, odd)
    n = len(second)
    values[0 : 2 * n : 2], values[1 : 2 * n : 2] = first[:n], second
    values[2 * n :] = first[n:]
    return values


def _whole(images: dict[int, Values]) -> Side:
    values = np.concatenate([np.zeros(0), *images.values()])
    return Side(f"last generation, {len(images)} images", None, values)


def _compare(side: Side, reference: Side) -> Comparison | None:
    n = min(len(side.values), len(reference.values))
    if n < FEWEST_COMPARED:
        return None
    spread = np.linspace(0, len(side.values) - 1, n).round().astype(int)
    evolved, fixed = side.values[spread], reference.values[-n:]
    return Comparison(side.what, side.stimulus, n, float(evolved.mean()), float(fixed.mean()), *welch(evolved, fixed))
