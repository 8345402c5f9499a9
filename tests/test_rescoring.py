"""Every score on record can be had again from the counts on record; where it cannot, the first place is named."""

import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from protocol.messages import Control, Onsets, Responses, Role, Trial
from server.cli import app
from server.database import SessionFileError
from server.evolution import Evolution
from server.recounting import Windows
from server.rescoring import Rescored, Wishes, rank_correlation, rescore
from tests.builders import Desk, a_display, an_acquisition, sent
from tests.played import CHANNELS, CONFIG, built, keep, play, show, spikes_of


def xdream_rescore(path: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["rescore", str(path), *options])


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def the_first_difference(found: list[Rescored]) -> str:
    return next(filter(None, (each.first_difference() for each in found)), "")


def test_the_record_gives_the_live_scores_to_the_bit(played: Path) -> None:
    found = rescore(played, Wishes())
    assert [(each.evolution, each.generation) for each in found] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
        (2, 2),
        (2, 3),
    ]
    for each in found:
        assert each.live.tobytes() == each.again.tobytes() and np.isfinite(each.live).all()
        assert each.rank_correlation == pytest.approx(1)


def test_the_command_says_so_generation_by_generation(played: Path) -> None:
    done = xdream_rescore(played)
    assert done.exit_code == 0
    assert done.output.count("genetic left") == 4 and done.output.count("population") == 3
    assert "7 generations, rank correlation with the live scores 1.0000" in done.output


def test_one_changed_count_is_found_and_its_place_is_named(copied: Path) -> None:
    one = "SELECT MIN(presentation_id) FROM presentations WHERE evolution = 2 AND generation = 2"
    more = np.array([90, 90, 90], "<i4").tobytes()
    change(copied, f"UPDATE responses SET spike_counts = ? WHERE presentation_id = ({one})", more)
    first = the_first_difference(rescore(copied, Wishes()))
    assert first.startswith("evolution 2 (population), generation 2, stimulus ")
    assert "the live score is" in first and "recomputed it is" in first
    done = xdream_rescore(copied)
    assert done.exit_code == 1 and isinstance(done.exception, SessionFileError)
    assert "generation 2, stimulus" in str(done.exception)


def test_a_changed_score_is_found_even_by_one_bit(copied: Path) -> None:
    [[stimulus, score]] = sqlite3.connect(copied).execute("SELECT stimulus_id, score FROM scores LIMIT 1").fetchall()
    change(copied, "UPDATE scores SET score = ? WHERE stimulus_id = ?", np.nextafter(score, np.inf), stimulus)
    assert f"stimulus {stimulus}" in the_first_difference(rescore(copied, Wishes()))


def test_responses_swapped_between_evolutions_are_found(copied: Path) -> None:
    """Whoever answers under the wrong id cannot be told at once; the record keeps what was said, and this finds it."""
    ids = [f"(SELECT MAX(presentation_id) FROM presentations WHERE evolution = {number})" for number in (1, 2)]
    with closing(sqlite3.connect(copied)) as connection:
        rows = [
            connection.execute(f"SELECT {i}, spike_counts FROM responses WHERE presentation_id = {i}").fetchone()
            for i in ids
        ]
    for (presentation, _), (_, theirs) in zip(rows, rows[::-1], strict=True):
        change(copied, "UPDATE responses SET spike_counts = ? WHERE presentation_id = ?", theirs, presentation)
    found = {each.evolution for each in rescore(copied, Wishes()) if len(each.different)}
    assert found == {1, 2}


def test_a_session_that_scored_the_other_evolutions_channel_is_found(tmp_path: Path) -> None:
    def mix_up(evolutions: list[Evolution]) -> None:
        evolutions[0].scorer, evolutions[1].scorer = evolutions[1].scorer, evolutions[0].scorer

    play(tmp_path / "mixed.xdream", meddle=mix_up)
    first = the_first_difference(rescore(tmp_path / "mixed.xdream", Wishes()))
    assert first.startswith("evolution 1 (genetic left), generation 1")


def test_a_change_of_parameters_right_after_one_of_channels_does_not_hide_it(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        desk.start()
        desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
        trials = sent(desk.tell(a_display(), Role.DISPLAY), Trial)
        for number, wish in enumerate(({"channels": ["noise"]}, {"parameters": {"mutation_rate": 0.9}})):
            desk.tell(Control(f"c{number}", "change", "JD", {"evolution": 1, **wish}), Role.OPERATOR)
        show(desk, trials)
        keep(made.file, desk.log)
    assert not any(each.first_difference() for each in rescore(tmp_path / "s.xdream", Wishes()))


def test_other_channels_give_other_scores_and_are_no_mistake(played: Path) -> None:
    done = xdream_rescore(played, "--channels", "right", "--evolution", "1")
    assert done.exit_code == 0 and "population" not in done.output
    found = rescore(played, Wishes(channels=("left",), evolution=1))
    assert not the_first_difference(found), "its own channel gives its own scores"


def test_the_recorded_windows_counted_from_spike_times_give_the_live_scores(played: Path) -> None:
    assert not the_first_difference(rescore(played, Wishes(Windows((0.05, 0.2), (0.0, 0.05)))))
    assert not the_first_difference(rescore(played, Wishes(Windows.of_ms((50, 200), None))))


def test_another_window_is_counted_from_the_spike_times(played: Path) -> None:
    before = rescore(played, Wishes())
    later = rescore(played, Wishes(Windows.of_ms((100, 250), None)))
    assert all(len(each.different) for each in later)
    # rates are per second, so a window of other width leaves them where they were
    ratio = np.mean([each.again.mean() for each in later]) / np.mean([each.again.mean() for each in before])
    assert 0.5 < ratio < 2
    assert xdream_rescore(played, "--window", "100", "250", "--baseline-window", "-50", "0").exit_code == 0


def test_windows_that_the_session_counted_in_are_on_record_also_where_no_neuron_fired(tmp_path: Path) -> None:
    def few_and_late(onsets: Onsets) -> Responses:
        n = len(onsets.presentation_ids)
        times, rows = np.full(n, 0.11, np.float32), np.arange(n, dtype=np.int32)
        counts = np.tile(np.array([1, 0, 0], np.int32), (n, 1))
        spikes = (times, rows, np.zeros(n, np.int32))
        return Responses(onsets.presentation_ids, np.ones(n, np.bool_), counts, 0 * counts, "simulated", *spikes)

    path = tmp_path / "quiet.xdream"
    play(path, answer=few_and_late)
    assert not the_first_difference(rescore(path, Wishes(Windows.of_ms((50, 200), (0, 50)))))
    assert all(len(each.different) for each in rescore(path, Wishes(Windows.of_ms((120, 200), None), evolution=1)))
    with pytest.raises(SessionFileError, match="counted from 0 to 200 ms, and those on record lie between 110 and 110"):
        rescore(path, Wishes(Windows.of_ms((50, 201), None)))


def test_a_session_of_which_nothing_was_scored_has_nothing_to_say(tmp_path: Path) -> None:
    with built(tmp_path / "begun.xdream"):
        done = xdream_rescore(tmp_path / "begun.xdream")
    assert done.exit_code == 1 and done.output == ""
    assert "begun.xdream: nothing was scored, so there is nothing to compute again" in str(done.exception)


def test_without_spike_times_another_window_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "counts_only.xdream"
    play(path, answer=partial(spikes_of, with_times=False))
    assert not the_first_difference(rescore(path, Wishes()))
    with pytest.raises(SessionFileError, match="no spike times, so they cannot be counted in another window"):
        rescore(path, Wishes(Windows.of_ms((60, 180), None)))


def test_a_window_beyond_what_was_recorded_is_refused(played: Path) -> None:
    with pytest.raises(
        SessionFileError,
        match=r"from 0 to 200 ms, and those on record lie between -?\d+ and \d+ ms; a window from 200 to 500 ms",
    ):
        rescore(played, Wishes(Windows.of_ms((200, 500), None)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--channels", "V4-1"], "has no channel 'V4-1'. Recorded: left, right, noise"),
        (["--evolution", "3"], "has evolutions 1 to 2, there is no evolution 3"),
        (["--window", "200", "50"], "a window must start before it ends, got 200 to 50 ms"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(played: Path, options: list[str], sentence: str) -> None:
    done = xdream_rescore(played, *options)
    assert done.exit_code == 1 and sentence in str(done.exception)


def test_any_scorer_can_be_had_again(tmp_path: Path) -> None:
    config = CONFIG.replace(
        'name = "rate", baseline = "trial"', 'name = "pareto", squeeze = ["left"], baseline = "trial"'
    )
    assert config != CONFIG
    play(tmp_path / "pareto.xdream", config)
    assert not the_first_difference(rescore(tmp_path / "pareto.xdream", Wishes()))


def test_ranks_share_their_places_and_what_was_not_measured_has_none() -> None:
    assert rank_correlation(np.array([1.0, 5, 9, np.nan]), np.array([2.0, 4, 80, 1])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 1, 2, 3]), np.array([1.0, 2, 3, 4])) == pytest.approx(0.9486832980505138)
    assert np.isnan(rank_correlation(np.array([1.0, 1]), np.array([1.0, 2])))
