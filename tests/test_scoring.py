"""From counts to scores, formula by formula; and the order of showing."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.ledger import Measurements
from server.scheduler import Schedule
from server.scoring import RateScorer, Scorer, ScorerError, create
from server.scoring.artefacts import artefacts
from server.scoring.pareto import crowding, fronts, pareto_scores
from server.scoring.repeats import average_repeats

IDS = np.array([1, 2, 3], np.int64)


def some_measurements() -> Measurements:
    spikes = np.array([[4, 40], [8, 80], [6, 60]], np.int32)
    baseline = np.array([[1, 0], [3, 0], [2, 0]], np.int32)
    return Measurements(("a", "b"), np.array([1, 1, 2], np.int64), spikes, baseline)


def a_scorer(baseline: str = "none", channels: tuple[str, ...] = ("a",), weights: tuple[float, ...] = ()) -> RateScorer:
    return RateScorer(channels, weights, response_s=0.2, baseline_s=0.1, baseline=baseline)


def rates(*rows: list[int]) -> Measurements:
    """Return one showing an image, whose counts are rates in Hz."""
    spikes = np.array(rows, np.int32)
    channels = tuple("abcdefgh"[: spikes.shape[1]])
    return Measurements(channels, np.arange(1, len(rows) + 1), spikes, np.zeros_like(spikes))


def score(name: str, measurements: Measurements, **parameters: Any) -> list[float]:
    scorer: Scorer = create(name, (), (), 1.0, 1.0, **parameters)
    return scorer.score(measurements, np.unique(measurements.stimulus_ids)).tolist()


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


# Repeats and artefacts.


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (12, 2), elements=st.floats(-1e3, 1e3)), arrays(np.int64, 12, elements=st.integers(1, 4)))
def test_repeats_are_combined_as_numpy_would_one_image_at_a_time(values: Any, owners: Any) -> None:
    ids = np.array([4, 2, 1], np.int64)
    for average, plain in (("mean", np.mean), ("median", np.median)):
        found = average_repeats(values, owners, ids, average, 0.2)
        wanted = [plain(values[owners == i], axis=0) if (owners == i).any() else [np.nan] * 2 for i in ids]
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_a_trimmed_mean_leaves_out_the_ends() -> None:
    values = np.array([[1000.0], [2], [3], [4], [-1000]])
    owners = np.ones(5, np.int64)
    assert average_repeats(values, owners, IDS[:1], "trimmed", 0.2).tolist() == [[3.0]]
    assert average_repeats(values, owners, IDS[:1], "median", 0.2).tolist() == [[3.0]]


def a_night(seed: int = 0, n_channels: int = 32) -> np.ndarray:
    """Return counts of 300 showings whose channels wax and wane together, as a real array's do."""
    random = np.random.default_rng(seed)
    together = random.lognormal(0, 0.3, (300, 1))
    return random.poisson(together * random.uniform(1, 20, n_channels))


def test_a_burst_on_many_channels_is_an_artefact_and_strong_responses_are_none() -> None:
    counts = a_night()
    assert not artefacts(counts, 8.0).any()
    counts[17] += 100
    counts[40, :5] += 100
    assert np.flatnonzero(artefacts(counts, 8.0)).tolist() == [17]
    assert not artefacts(counts, 0.0).any()
    assert not artefacts(counts[:, :4], 8.0).any(), "too few channels to tell"


def test_an_artefact_is_left_out_and_an_image_without_another_showing_is_not_measured() -> None:
    counts = a_night().astype(np.int32)
    counts[17] += 200
    ids = np.arange(1, 301)
    ids[18] = 17
    measurements = Measurements(tuple(map(str, range(32))), ids, counts, np.zeros_like(counts))
    scores = create("rate", (), (), 1.0, 1.0, artefact_sd=8.0).score(measurements, np.array([18, 17, 1]))
    assert np.isnan(scores).tolist() == [True, False, False]
    assert scores[1] == np.concatenate([counts[16], counts[18]]).mean()


# Targets, worked out by hand.


def test_likeness_to_a_target() -> None:
    shown = rates([3, 4], [6, 8], [4, 3], [0, 0])
    np.testing.assert_allclose(score("target", shown, target=[3.0, 4.0]), [1, 1, 24 / 25, 0])
    np.testing.assert_allclose(score("target", shown, target=[3.0, 4.0], measure="dot"), [25, 50, 24, 0])
    np.testing.assert_allclose(score("target", shown, target=[3.0, 4.0], measure="mse"), [0, -12.5, -1, -12.5])
    np.testing.assert_allclose(score("target", shown, target=[3.0, 4.0], measure="correlation"), [1, 1, -1, 0])


def test_a_target_is_z_scored_and_masked_like_the_response() -> None:
    shown = rates([10, 7, 99])
    z_scored = {"target": [14.0, 1.0, 0.0], "means": [10.0, 5.0, 0.0], "sds": [2.0, 4.0, 1.0]}
    masked = {"mask": [True, True, False]}
    assert score("target", shown, measure="dot", **z_scored, **masked) == [0 * 2 + 0.5 * -1]
    assert score("target", shown, measure="mse", **z_scored, **masked) == [-((0 - 2) ** 2 + (0.5 + 1) ** 2) / 2]


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "target must have a rate for each of 2 channels"),
        ({"target": [1.0]}, "target must have a rate for each of 2 channels"),
        ({"target": [1.0, 2.0], "sds": [1.0, 0.0]}, "sds must all be above 0"),
        ({"target": [1.0, 2.0], "mask": [True]}, "mask has 1 values, target 2"),
        ({"target": [1.0, 2.0], "mask": [False, False]}, "mask keeps no channel"),
        ({"target": [1.0, 2.0], "measure": "cos"}, "measure must be one of cosine, correlation, dot, mse, got 'cos'"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScorerError, match=sentence):
        create("target", ("a", "b"), (), 1.0, 1.0, **parameters)


# Two wishes.


def test_the_difference_of_what_is_driven_and_what_is_kept_low() -> None:
    shown = rates([30, 10, 4], [10, 10, 0])
    assert score("difference", shown, squeeze=["c"]) == [20 - 4, 10]
    assert score("difference", shown, squeeze=["b", "c"], penalty=2.0) == [30 - 14, 10 - 10]


def test_nobody_can_stretch_what_he_squeezes() -> None:
    with pytest.raises(ScorerError, match="channel 'a' cannot be both"):
        create("pareto", ("a",), (), 1.0, 1.0, squeeze=["a"])
    with pytest.raises(ScorerError, match="squeeze must name"):
        create("difference", ("a",), (), 1.0, 1.0)


def test_a_front_is_what_nothing_else_beats_in_every_wish() -> None:
    objectives = np.array([[3, 1], [1, 3], [2, 2], [1, 1], [2, 1], [0, 0], [2, 2]], np.float64)
    assert [front.tolist() for front in fronts(objectives)] == [[0, 1, 2, 6], [4], [3], [5]]


def test_crowding_is_the_way_from_neighbour_to_neighbour() -> None:
    front = np.array([[0, 10], [2, 7], [6, 6], [10, 0]], np.float64)
    np.testing.assert_allclose(crowding(front), [2, (0.6 + 0.4) / 2, (0.8 + 0.7) / 2, 2])
    np.testing.assert_allclose(crowding(front[[1, 0, 1, 2, 3]]), [0.5, 2, 0.5, 0.75, 2])


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, st.tuples(st.integers(1, 15), st.just(2)), elements=st.integers(0, 5)), st.randoms())
def test_a_better_front_always_scores_higher_whatever_the_order(objectives: Any, random: Any) -> None:
    scores = pareto_scores(objectives)
    for better, worse in zip(fronts(objectives), fronts(objectives)[1:], strict=False):
        assert scores[better].min() > scores[worse].max()
    order = np.array(random.sample(range(len(objectives)), len(objectives)))
    np.testing.assert_array_equal(pareto_scores(objectives[order]), scores[order])


def test_every_block_shows_every_image_once_in_an_order_that_repeats() -> None:
    slots = Schedule(7, 1, repeats=3).slots(5, 10)
    assert all(sorted(block) == list(range(10)) for block in slots.reshape(3, 10))
    assert not np.array_equal(slots[:10], slots[10:20])
    np.testing.assert_array_equal(slots, Schedule(7, 1, repeats=3).slots(5, 10))
    assert not np.array_equal(slots, Schedule(7, 1, repeats=3).slots(6, 10))
