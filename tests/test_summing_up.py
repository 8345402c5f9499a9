"""The last words of a session on the terminal."""

from math import nan

import pytest

from server.reading import Effect
from server.summing_up import in_words


@pytest.mark.parametrize(
    ("effect", "unit", "said"),
    [
        (
            Effect(30.0, 20.0, (5.0, 15.0)),
            "response (Hz)",
            "reference image 20.0 Hz: 1.50 times, +10.0 Hz (95 % interval",
        ),
        (Effect(0.0, 0.0, (0.0, 0.0)), "response (Hz)", "reference image 0.0 Hz: +0.0 Hz"),
        (Effect(0.8125, 0.5, (0.25, 0.375)), "score", "reference image 0.5: +0.312 (95 % interval +0.25 to +0.375)"),
        (Effect(nan, nan, (nan, nan)), "score (rank)", "nothing to compare"),
    ],
)
def test_how_a_session_came_out_is_told_in_the_unit_of_its_scores(effect: Effect, unit: str, said: str) -> None:
    assert said in in_words(effect, unit)
