"""What every source of gaze must do; a new one is a name in `GAZES`."""

from collections.abc import Iterator
from math import hypot, isnan

import pytest

from stimulus_client.gaze import GAZES, Gaze, SimulatedGaze, create_gaze


@pytest.fixture(params=GAZES)
def gaze(request: pytest.FixtureRequest) -> Iterator[Gaze]:
    gaze = create_gaze(request.param, {})
    yield gaze
    gaze.close()


def test_it_gives_a_position_or_says_that_the_eye_is_lost(gaze: Gaze) -> None:
    gaze.begin(trial=1, start_s=10.0, duration_s=1.0)
    for now_s in (10.0, 10.5, 11.0):
        x_deg, y_deg = gaze.position_deg(now_s)
        assert isnan(x_deg) == isnan(y_deg)


def breaks_s(gaze: Gaze, trial: int) -> float | None:
    """Return the first of 100 moments of a trial at which the subject looks away."""
    gaze.begin(trial, 5.0, 1.0)
    moments_s = [5.0 + frame / 100 for frame in range(100)]
    return next((now_s for now_s in moments_s if hypot(*gaze.position_deg(now_s)) > 1.2), None)


def test_a_simulated_subject_breaks_its_share_of_trials_at_any_moment() -> None:
    moments_s = [breaks_s(SimulatedGaze(0.3, seed=7), trial) for trial in range(1000)]
    broken = [moment_s for moment_s in moments_s if moment_s is not None]
    assert 250 < len(broken) < 350
    assert 5.0 <= min(broken) < 5.1
    assert 5.9 < max(broken) < 6.0


def test_a_simulated_subject_does_in_a_trial_what_it_did_before() -> None:
    one, other = SimulatedGaze(0.5, seed=1), SimulatedGaze(0.5, seed=1)
    trials = range(50)
    assert [breaks_s(one, n) for n in trials] == [breaks_s(other, n) for n in reversed(trials)][::-1]
    assert [breaks_s(one, n) for n in trials] != [breaks_s(SimulatedGaze(0.5, seed=2), n) for n in trials]
