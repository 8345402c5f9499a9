"""Where other windows or other channels would have changed a session's course: other parents, other next images.

A search follows the order of its images' scores: the best half of a generation are, more or less, the parents of the
next, whatever the optimizer makes of them. Until that half is another, the course would have been the same but for
chance; from the first generation where it is, the images on record are no longer those that would have been shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Scores
from protocol.ids import stimulus_key
from server.rescoring import Rescored, rank_correlation

PARENTS = 0.5
"""Share of the images that are taken for parents."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of a generation's order."""

    generation: int
    n_images: int
    n_parents: int
    n_kept: int
    """Parents that would have been parents all the same; of images with equal scores, those that may be."""
    same_best: bool
    rank_r: float
    """Of the evolved images' scores; NaN where there is no order."""

    @property
    def changed(self) -> bool:
        """Whether others would have been parents."""
        return self.n_kept < self.n_parents


def turns(found: Sequence[Rescored]) -> list[Turn]:
    """Return what became of each generation of one evolution; those in which too little was measured are left out."""
    compared = [(each.generation, *_evolved(each)) for each in found]
    return [_turn(generation, live, again) for generation, live, again in compared if len(live) >= 2]


def in_words(found: Sequence[Rescored]) -> list[str]:
    """Return a sentence for each evolution: whether its course would have changed, and where first."""
    numbers = dict.fromkeys(each.evolution for each in found)
    by_number = [[each for each in found if each.evolution == number] for number in numbers]
    return [f"{each[0].name}: {_sentence(turns(each))}" for each in by_number]


def _sentence(course: Sequence[Turn]) -> str:
    if not course:
        return "nothing can be compared."
    first = next((turn for turn in course if turn.changed), None)
    if first is None:
        return f"the course would have been the same: the same parents in all {len(course)} generations."
    kept = np.mean([turn.n_kept / turn.n_parents for turn in course])
    n_same_best = sum(turn.same_best for turn in course)
    return (
        f"the course would have changed in generation {first.generation}, where {first.n_parents - first.n_kept} of "
        f"the {first.n_parents} best images would have been others (rank r {first.rank_r:.2f}). Over all {len(course)} "
        f"generations {100 * kept:.0f} % of the parents are the same, and the best image in {n_same_best}."
    )


def _evolved(each: Rescored) -> tuple[Scores, Scores]:
    """Return both scores of the evolved images that were measured both times."""
    evolved = np.array([stimulus_key(stimulus).evolution > 0 for stimulus in each.stimulus_ids.tolist()], np.bool_)
    both = evolved & ~np.isnan(each.live) & ~np.isnan(each.again)
    return each.live[both], each.again[both]


def _turn(generation: int, live: Scores, again: Scores) -> Turn:
    n_parents = max(1, round(PARENTS * len(live)))
    sure_live, maybe_live = _parents(live, n_parents)
    sure_again, maybe_again = _parents(again, n_parents)
    n_lost = max(np.count_nonzero(sure_live & ~maybe_again), np.count_nonzero(sure_again & ~maybe_live))
    same_best = bool((live[again == again.max()] == live.max()).any())
    r = rank_correlation(live, again)
    return Turn(generation, len(live), n_parents, n_parents - int(n_lost), same_best, r)


def _parents(scores: Scores, n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which are among the n best for sure, and which may be: equal scores at the edge leave it open."""
    edge, after = np.sort(scores)[::-1][[n - 1, min(n, len(scores) - 1)]]
    maybe = scores >= edge
    return (maybe if after < edge or n == len(scores) else scores > edge), maybe
