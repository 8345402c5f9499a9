"""One channel that drowns the others, reference images that collapse, scores that no longer differ."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from protocol.arrays import Scores
from protocol.ids import stimulus_id
from protocol.messages import Control, Onsets, Responses, Role, Trial
from server import build
from server.actions import Advanced, Alarm
from server.evolution import Outcome
from server.ledger import Measurements
from server.score_signs import ScoreSigns, collapsed, dominates, shares, vanished
from tests import played
from tests.builders import Desk, a_display, a_report, an_acquisition, recorded, sent
from tests.played import CONFIG, built, keep, spikes_of

N_IMAGES, N_REFERENCES, REPEATS = 40, 10, 2
CHANNELS = ("1", "2", "3", "4")
WINDOW_S = 0.15
RANDOM = np.random.default_rng(5)


def measurements(noisy: float = 1.0, generation: int = 1) -> Measurements:
    """Return what a generation draws at some 100 Hz; the last channel scatters so much more than the others."""
    evolved = [stimulus_id(1, generation, place) for place in range(N_IMAGES)]
    references = [stimulus_id(0, 0, place) for place in range(N_REFERENCES)]
    ids = np.repeat(np.array([*evolved, *references], np.int64), REPEATS)
    rates_hz = RANDOM.gamma(16, 100 / 16, (len(ids), len(CHANNELS)))
    rates_hz[:, -1] *= noisy
    counts = RANDOM.poisson(WINDOW_S * rates_hz).astype(np.int32)
    return Measurements(CHANNELS, ids, counts, np.zeros_like(counts))


def scores(mean: float, sd: float, n: int = N_IMAGES) -> Scores:
    return np.asarray(mean + sd * RANDOM.standard_normal(n))


def course(means: list[float], n: int = N_REFERENCES) -> list[Scores]:
    usual = np.linspace(0.5, 1.5, n)
    return [mean * usual * (1 + 0.1 * RANDOM.standard_normal(n)) for mean in means]


def test_shares_add_up_to_one_and_are_even_between_like_channels() -> None:
    found = np.mean([shares(measurements(), ()) for _ in range(20)], axis=0)
    assert found.sum() == pytest.approx(1)
    assert found == pytest.approx(0.25, abs=0.06)


def test_shares_are_of_the_scored_channels_and_evolved_images_only() -> None:
    assert shares(measurements(20.0), ("1", "2", "3")).shape == (3,)
    counts = measurements()
    references = counts.spike_counts.copy()
    references[REPEATS * N_IMAGES :, 0] += 1000
    changed = Measurements(CHANNELS, counts.stimulus_ids, references, counts.baseline_counts)
    assert np.array_equal(shares(changed, ()), shares(counts, ()))


def test_where_nothing_was_measured_no_channel_has_a_share() -> None:
    none = np.zeros((0, 4), np.int32)
    assert np.isnan(shares(Measurements(CHANNELS, np.zeros(0, np.int64), none, none), ())).all()


def test_a_channel_that_drowns_the_others_is_named() -> None:
    assert dominates([shares(measurements(), ()) for _ in range(3)], False) is None
    assert dominates([shares(measurements(12.0), ()) for _ in range(3)], False) == 3


def test_of_one_or_two_channels_none_is_said_to_dominate() -> None:
    few = [np.array([0.95, 0.05])] * 3
    assert dominates(few, False) is None


def test_between_the_thresholds_a_sign_stays_as_it_is() -> None:
    between = [np.array([0.7, 0.1, 0.1, 0.1])] * 3
    assert dominates(between, False) is None
    assert dominates(between, True) == 0
    falling = course([100, 100, 100, 60, 58, 57])
    assert not collapsed(falling, False)
    assert collapsed(falling, True)
    narrowing = [scores(100, sd) for sd in (25, 25, 25, 7, 7, 7)]
    assert not vanished(narrowing, False)
    assert vanished(narrowing, True)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.2, 0.35])
def test_the_usual_drift_of_reference_images_is_no_collapse(loss: float) -> None:
    assert not collapsed(course(np.linspace(100, 100 * (1 - loss), 27).tolist()), False)


def test_reference_images_that_lose_most_of_their_response_are_a_collapse() -> None:
    assert collapsed(course([100, 98, 102, 99, 35, 30, 33]), False)
    assert not collapsed(course([100, 98, 102, 99, 101, 100, 33]), False), "one bad generation is none"


def test_scores_near_zero_from_the_start_cannot_collapse() -> None:
    assert not collapsed([scores(1, 8, N_REFERENCES) for _ in range(20)], False)


def test_without_reference_images_there_is_nothing_to_say() -> None:
    assert not collapsed([np.zeros(0) for _ in range(20)], False)


@pytest.mark.parametrize("rate_hz", [5.0, 70.0, 180.0])
def test_the_scatter_of_spikes_alone_is_enough(rate_hz: float) -> None:
    noise = [RANDOM.poisson(WINDOW_S * rate_hz, N_IMAGES) / WINDOW_S for _ in range(20)]
    start = [noise[0] + scores(0, 0.25 * rate_hz), *noise[1:]]
    assert not vanished(start, False)


def test_silence_and_saturation_are_noticed_at_once() -> None:
    assert vanished([np.zeros(N_IMAGES)] * 3, False)
    assert vanished([*(scores(100, 25) for _ in range(5)), *[np.full(N_IMAGES, 500.0)] * 2], False)
    assert not vanished([np.full(N_IMAGES, np.nan)] * 5, False), "what was not measured is no score"


def outcome(generation: int, references: Scores, evolved: Scores) -> Outcome:
    ids = np.arange(N_IMAGES, dtype=np.int64)
    return Outcome(1, generation, ids, evolved, np.arange(N_REFERENCES, dtype=np.int64), references)


def test_a_session_that_goes_wrong_and_is_mended_has_its_alarms_begin_and_end_once() -> None:
    signs, history = ScoreSigns({1: "IT-14"}), []
    level = [100.0] * 8 + [30.0] * 6 + [95.0] * 8
    for generation, references in enumerate(course(level), 1):
        broken = 8 < generation <= 14
        signs.measured(1, measurements(15.0 if broken else 1.0, generation), ())
        alarms = signs.absorb(outcome(generation, references, scores(100, 0.01 if broken else 25)))
        assert all(alarm.source == "evolution 1" and alarm.what.startswith("IT-14: ") for alarm in alarms)
        history.append({alarm.key for alarm in alarms})
    assert history[7] == history[-1] == set()
    assert history[12] == {"references_collapsed", "channel_dominates", "scores_alike"}
    for key in history[12]:
        states = [key in each for each in history]
        assert sum(a != b for a, b in pairwise(states)) == 2, key


def test_other_channels_begin_afresh() -> None:
    signs = ScoreSigns({1: "a"})
    alarms: list[Alarm] = []
    for generation in range(1, 8):
        signs.measured(1, measurements(15.0, generation), CHANNELS if generation < 5 else ("1", "2", "3"))
        alarms = signs.absorb(outcome(generation, scores(50, 1, N_REFERENCES), scores(100, 25)))
        if generation == 4:
            assert "channel 4 carries most" in alarms[0].what
    assert alarms == []


def test_a_resumed_session_does_not_compare_other_channels_with_those_of_before(tmp_path: Path) -> None:
    endless = CONFIG.replace("generations = 4", "generations = 0")
    quiet = Control("c1", "change", "JD", {"evolution": 1, "channels": ["noise"]})

    def answer(onsets: Onsets) -> Responses:
        varied = np.arange(len(onsets.presentation_ids), dtype=np.int32) % 3
        counts = varied[:, None] + np.array([30, 30, 2], np.int32)
        return replace(spikes_of(onsets), spike_counts=counts, baseline_counts=np.zeros_like(counts))

    with built(tmp_path / "s.xdream", endless) as made:
        desk = Desk(made.session, made.evolutions)
        desk.start()
        desk.tell(an_acquisition(channels=played.CHANNELS), Role.ACQUISITION)
        trials = sent(desk.tell(a_display(), Role.DISPLAY), Trial)

        def go_on(generation: int) -> None:
            while desk.session.runs[1].last_generation < generation:
                actions = desk.tell(a_report(trials.pop(0)), Role.DISPLAY)
                trials.extend(sent(actions, Trial))
                for onsets in sent(actions, Onsets):
                    trials.extend(sent(desk.tell(answer(onsets), Role.ACQUISITION), Trial))

        go_on(8)
        desk.tell(quiet, Role.OPERATOR)
        go_on(12)
        keep(made.file, desk.log)
        open_now = desk.session.signs.absorb(last_of(desk))
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    assert again.session.signs.absorb(last_of(desk)) == open_now == []
    again.file.close()


def last_of(desk: Desk) -> Outcome:
    return next(row.outcome for row in recorded(desk.log, Advanced)[::-1] if row.outcome and row.evolution == 1)
