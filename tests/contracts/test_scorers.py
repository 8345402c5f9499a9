"""What every scorer promises, whatever its formula."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from protocol.ids import stimulus_id
from protocol.plugins import find
from server.ledger import Measurements
from server.scoring import SCORERS, Scorer, ScorerError, check_keys, create

CHANNELS = tuple(f"c{n}" for n in range(12))
OWN: dict[str, dict[str, Any]] = {
    "target": {"target": [10.0 * n for n in range(12)], "means": [20.0] * 12, "sds": [5.0] * 12},
    "difference": {"squeeze": ["c1", "c7"], "penalty": 0.5},
    "pareto": {"squeeze": ["c1", "c7"]},
}
SETTINGS: list[dict[str, Any]] = [
    {},
    {"baseline": "trial", "average": "median"},
    {"baseline": "generation", "average": "trimmed", "artefact_sd": 6.0},
    {"minimise": True},
]
EVOLVED = np.array([stimulus_id(1, 3, place) for place in range(6)], np.int64)
REFERENCES = np.array([stimulus_id(0, 0, place) for place in range(3)], np.int64)


@pytest.fixture(params=list(SCORERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SETTINGS, ids=lambda settings: "-".join(settings) or "plain")
def scorer(request: pytest.FixtureRequest, name: str) -> Scorer:
    return a_scorer(name, **request.param)


def a_scorer(name: str, **settings: Any) -> Scorer:
    channels = CHANNELS if name == "target" else ()
    return create(name, channels, (), 0.15, 0.05, **OWN.get(name, {}) | settings)


def some_measurements(seed: int = 0, evolution: int = 1, unmeasured: int = 1, repeats: int = 5) -> Measurements:
    """Return repeats of all images but the first few evolved ones, shuffled."""
    random = np.random.default_rng(seed)
    evolved = np.array([stimulus_id(evolution, 3, place) for place in range(unmeasured, 6)], np.int64)
    ids = random.permutation(np.tile(np.concatenate([evolved, REFERENCES]), repeats))
    spikes = random.poisson(4 + 2 * (ids % 7)[:, None] + np.arange(12), (len(ids), 12)).astype(np.int32)
    return Measurements(CHANNELS, ids, spikes, random.poisson(1, spikes.shape).astype(np.int32))


def rows(measurements: Measurements, order: Any) -> Measurements:
    counts = measurements.spike_counts[order], measurements.baseline_counts[order]
    return Measurements(measurements.channels, measurements.stimulus_ids[order], *counts)


def test_a_score_an_image_and_nan_where_it_was_not_measured(scorer: Scorer) -> None:
    scores = scorer.score(some_measurements(unmeasured=2), EVOLVED)
    assert scores.dtype == np.float64 and scores.shape == (6,)
    assert_array_equal(np.isnan(scores), [True, True, False, False, False, False])
    assert np.isfinite(scorer.score(some_measurements(), REFERENCES)).all()


def test_the_order_of_showing_changes_nothing(scorer: Scorer) -> None:
    measurements = some_measurements()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(measurements.stimulus_ids))
        for ids in (EVOLVED, REFERENCES):
            assert_array_equal(scorer.score(rows(measurements, order), ids), scorer.score(measurements, ids))


def test_the_order_of_asking_changes_nothing(scorer: Scorer) -> None:
    scores = scorer.score(some_measurements(), EVOLVED)
    assert_array_equal(scorer.score(some_measurements(), EVOLVED[::-1]), scores[::-1])


def test_what_belongs_to_another_evolution_is_ignored(scorer: Scorer) -> None:
    mine, theirs = some_measurements(), some_measurements(seed=1, evolution=2)
    theirs = rows(theirs, ~np.isin(theirs.stimulus_ids, REFERENCES))
    columns = zip((mine.stimulus_ids, mine.spike_counts, mine.baseline_counts),
                  (theirs.stimulus_ids, theirs.spike_counts, theirs.baseline_counts), strict=True)  # fmt: skip
    both = Measurements(CHANNELS, *(np.concatenate(pair) for pair in columns))
    assert_array_equal(scorer.score(both, EVOLVED), scorer.score(mine, EVOLVED))


def test_channels_are_found_by_name_wherever_they_stand(scorer: Scorer, name: str) -> None:
    measurements = some_measurements()
    order = np.random.default_rng(3).permutation(12)
    turned = Measurements(
        tuple(CHANNELS[n] for n in order),
        measurements.stimulus_ids,
        measurements.spike_counts[:, order],
        measurements.baseline_counts[:, order],
    )
    np.testing.assert_allclose(scorer.score(turned, EVOLVED), scorer.score(measurements, EVOLVED), rtol=1e-12)


def test_nothing_measured_is_nothing_guessed(scorer: Scorer) -> None:
    nothing = rows(some_measurements(), [])
    assert np.isnan(scorer.score(nothing, EVOLVED)).all()
    assert scorer.score(nothing, EVOLVED[:0]).shape == scorer.score(some_measurements(), EVOLVED[:0]).shape == (0,)


def test_what_is_given_stays_as_it_was(scorer: Scorer) -> None:
    measurements, ids = some_measurements(), EVOLVED.copy()
    before = deepcopy([measurements.stimulus_ids, measurements.spike_counts, measurements.baseline_counts, ids])
    scorer.score(measurements, ids)
    for was, now in zip(before, [measurements.stimulus_ids, measurements.spike_counts,
                                 measurements.baseline_counts, ids], strict=True):  # fmt: skip
        assert_array_equal(was, now)


def test_less_is_better_when_asked(name: str) -> None:
    scores = a_scorer(name).score(some_measurements(), EVOLVED)[1:]
    turned = a_scorer(name, minimise=True).score(some_measurements(), EVOLVED)[1:]
    if name == "pareto":
        assert scores.min() < 0 <= turned[scores.argmin()], "the worst front is the best one upside down"
    else:
        assert_array_equal(turned, -scores)


def test_its_docstring_says_its_unit(name: str) -> None:
    assert "Unit: " in find("scorer", name, SCORERS).__doc__


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"baseline": "off"}, "baseline must be one of none, trial, generation, got 'off'"),
        ({"average": "mode"}, "average must be one of mean, median, trimmed, got 'mode'"),
        ({"average": "trimmed", "trim": 0.5}, "trim must be at least 0 and below 0.5, got 0.5"),
        ({"artefact_sd": -1.0}, "artefact_sd must be at least 0, got -1"),
        ({"averge": "mean"}, "'averge'"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(name: str, settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ScorerError, match=sentence):
        a_scorer(name, **settings)


def test_a_channel_that_is_not_recorded_is_named(name: str) -> None:
    measurements = some_measurements()
    other = Measurements(
        ("x", *CHANNELS[2:]), measurements.stimulus_ids, measurements.spike_counts[:, 1:],
        measurements.baseline_counts[:, 1:],
    )  # fmt: skip
    with pytest.raises(ScorerError, match=r"channel 'c.' is scored but not recorded\. Recorded: x, c2"):
        create(name, CHANNELS[:1] if name != "target" else CHANNELS, (), 0.1, 0.1, **OWN.get(name, {})).score(
            other, EVOLVED
        )


def test_keys_are_checked_before_anything_is_built(name: str) -> None:
    check_keys(name, [*OWN.get(name, {}), "baseline"])
    with pytest.raises(ScorerError, match=r"no key 'basline'. Did you mean 'baseline'\?"):
        check_keys(name, ["basline"])


def test_a_scorer_of_ones_own_is_had_by_its_path() -> None:
    check_keys("server.scoring.rate:RateScorer", ["anything"])
    assert create("server.scoring.rate:RateScorer", (), (), 0.1, 0.1) == create("rate", (), (), 0.1, 0.1)
    with pytest.raises(ScorerError, match=r"no scorer named 'rat'. Did you mean 'rate'\?"):
        check_keys("rat", [])
