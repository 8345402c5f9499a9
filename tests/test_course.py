"""Where other windows or channels would have led a search elsewhere."""

from pathlib import Path

import numpy as np

from protocol.ids import stimulus_id
from server.course import in_words, turns
from server.recounting import Windows
from server.rescoring import Rescored, Wishes, rescore
from tests.played import play

LIVE = [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]


def a_generation(number: int, again: list[float], live: list[float] = LIVE) -> Rescored:
    """A generation of six images, and a reference image that beats them all."""
    ids = np.array([*(stimulus_id(1, number, place) for place in range(len(live))), stimulus_id(0, 0, 0)], np.int64)
    return Rescored(1, "stars", number, ids, np.array([*live, 99.0]), np.array([*again, 99.0]))


def test_the_same_order_is_the_same_course_whatever_the_scores() -> None:
    found = [a_generation(1, [2 * score for score in LIVE]), a_generation(2, [90, 80, 70, 3, 1, 2])]
    assert not any(turn.changed for turn in turns(found))
    assert in_words(found) == ["stars: the course would have been the same: the same parents in all 2 generations."]


def test_the_first_generation_with_other_parents_is_named() -> None:
    found = [a_generation(1, LIVE), a_generation(2, [4.0, 8.0, 7.0, 6.0, 9.0, 5.0]), a_generation(3, LIVE[::-1])]
    assert [(turn.changed, turn.n_kept, turn.same_best) for turn in turns(found)] == [
        (False, 3, True),
        (True, 2, False),
        (True, 0, False),
    ]
    [sentence] = in_words(found)
    assert "in generation 2, where 1 of the 3 best images would have been others" in sentence
    assert "56 % of the parents are the same, and the best image in 1" in sentence


def test_equal_scores_at_the_edge_change_nothing() -> None:
    [turn] = turns([a_generation(1, [9.0, 8.0, 6.0, 7.0, 5.0, 4.0], [9.0, 8.0, 7.0, 7.0, 5.0, 4.0])])
    assert not turn.changed
    [turn] = turns([a_generation(1, [1.0] * 6)])
    assert not turn.changed and turn.same_best


def test_what_was_not_measured_is_no_parent() -> None:
    [turn] = turns([a_generation(1, [np.nan, 8.0, 7.0, 6.0, 5.0, 4.0])])
    assert (turn.n_images, turn.changed) == (5, False)
    assert in_words([a_generation(1, [np.nan] * 6)]) == ["stars: nothing can be compared."]


def test_another_channel_would_have_led_a_session_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "played.xdream"
    play(path)
    assert all("the same parents in all" in each for each in in_words(rescore(path, Wishes())))
    [sentence] = in_words(rescore(path, Wishes(channels=("right",), evolution=1)))
    assert sentence.startswith("genetic left: the course would have changed in generation 1, where ")
    [again] = in_words(rescore(path, Wishes(Windows(response_s=(0.05, 0.2)), evolution=1)))
    assert "the same parents in all 4 generations" in again
