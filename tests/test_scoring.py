"""From counts to scores, and the order of showing."""

import numpy as np
import pytest

from server.ledger import Measurements
from server.scheduler import Schedule
from server.scoring import RateScorer

IDS = np.array([1, 2, 3], np.int64)


def some_measurements() -> Measurements:
    spikes = np.array([[4, 40], [8, 80], [6, 60]], np.int32)
    baseline = np.array([[1, 0], [3, 0], [2, 0]], np.int32)
    return Measurements(("a", "b"), np.array([1, 1, 2], np.int64), spikes, baseline)


def a_scorer(baseline: str = "none", channels: tuple[str, ...] = ("a",), weights: tuple[float, ...] = ()) -> RateScorer:
    return RateScorer(channels, weights, response_s=0.2, baseline_s=0.1, baseline=baseline)


def test_repeats_are_averaged_and_what_was_not_measured_is_nan() -> None:
    np.testing.assert_allclose(a_scorer().score(some_measurements(), IDS), [30, 30, np.nan])


def test_the_baseline_is_taken_off_as_asked() -> None:
    np.testing.assert_allclose(a_scorer("trial").score(some_measurements(), IDS)[:2], [30 - 20, 30 - 20])
    np.testing.assert_allclose(a_scorer("generation").score(some_measurements(), IDS)[:2], [10, 10])


def test_channels_are_found_by_name_and_weighted() -> None:
    np.testing.assert_allclose(a_scorer(channels=("b", "a")).score(some_measurements(), IDS)[1], (300 + 30) / 2)
    scores = a_scorer(channels=("b", "a"), weights=(1, 3)).score(some_measurements(), IDS)
    np.testing.assert_allclose(scores[1], (300 + 3 * 30) / 4)


def test_no_named_channel_is_all_of_them() -> None:
    np.testing.assert_allclose(a_scorer(channels=()).score(some_measurements(), IDS)[1], (300 + 30) / 2)


@pytest.mark.parametrize("baseline", ["none", "trial", "generation"])
def test_nothing_measured_is_nothing_guessed(baseline: str) -> None:
    nothing = Measurements(("a",), np.zeros(0, np.int64), np.zeros((0, 1), np.int32), np.zeros((0, 1), np.int32))
    assert np.isnan(a_scorer(baseline).score(nothing, IDS)).all()


def test_every_block_shows_every_image_once_in_an_order_that_repeats() -> None:
    slots = Schedule(7, 1, repeats=3).slots(5, 10)
    assert all(sorted(block) == list(range(10)) for block in slots.reshape(3, 10))
    assert not np.array_equal(slots[:10], slots[10:20])
    np.testing.assert_array_equal(slots, Schedule(7, 1, repeats=3).slots(5, 10))
    assert not np.array_equal(slots, Schedule(7, 1, repeats=3).slots(6, 10))
