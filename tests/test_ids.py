"""Ids say what they name."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.ids import (
    MAX_ATTEMPTS,
    MAX_EVOLUTIONS,
    MAX_GENERATIONS,
    MAX_IMAGES,
    MAX_SLOTS,
    presentation_id,
    presentation_key,
    stimulus_id,
    stimulus_key,
)

GENERATIONS = (st.integers(0, MAX_EVOLUTIONS - 1), st.integers(0, MAX_GENERATIONS - 1))


def test_an_id_can_be_read_by_eye() -> None:
    assert stimulus_id(1, 12, 7) == 1_00012_0007
    assert presentation_id(1, 12, 34, 5) == 1_00012_00034_05


def test_the_reference_images_are_numbered_from_nought() -> None:
    assert [stimulus_id(0, 0, place) for place in range(3)] == [0, 1, 2]


@given(st.tuples(*GENERATIONS, st.integers(0, MAX_IMAGES - 1)))
def test_a_stimulus_id_says_what_it_was_made_of(key: tuple[int, ...]) -> None:
    assert stimulus_key(stimulus_id(*key)) == key


@given(st.tuples(*GENERATIONS, st.integers(0, MAX_SLOTS - 1), st.integers(0, MAX_ATTEMPTS - 1)))
def test_a_presentation_id_says_what_it_was_made_of(key: tuple[int, ...]) -> None:
    assert presentation_key(presentation_id(*key)) == key


def test_every_id_is_exact_as_a_double() -> None:
    largest = presentation_id(MAX_EVOLUTIONS - 1, MAX_GENERATIONS - 1, MAX_SLOTS - 1, MAX_ATTEMPTS - 1)
    assert largest < 2**53


@pytest.mark.parametrize(
    ("make", "key", "complaint"),
    [
        (stimulus_id, (-1, 0, 0), "evolution -1 is outside 0 to 98"),
        (stimulus_id, (99, 0, 0), "evolution 99 is outside 0 to 98"),
        (stimulus_id, (1, 100_000, 0), "generation 100000 is outside 0 to 99999"),
        (stimulus_id, (1, 0, 10_000), "place 10000 is outside 0 to 9999"),
        (presentation_id, (1, 0, 100_000, 0), "slot 100000 is outside 0 to 99999"),
        (presentation_id, (1, 0, 0, 100), "attempt 100 is outside 0 to 99"),
    ],
)
def test_what_does_not_fit_is_refused(make: Callable[..., int], key: tuple[int, ...], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        make(*key)
