"""What a search recommends is had from its session file at any time: its centre, which no lucky score has chosen."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from protocol.messages import Onsets, Role, Trial
from server import generators, initial_codes
from server.cli import app
from server.export.snapshot import open_snapshot
from server.recommending import Recommendation, recommend
from server.report.page import page
from tests.builders import Desk, a_display, a_report, an_acquisition, sent
from tests.played import CHANNELS, CONFIG, built, keep, play, spikes_of

RANDOM = CONFIG.replace('{ name = "nes", n_samples = 4 }', '{ name = "random", population = 4 }')


def xdream_recommend(path: Path, *options: object) -> Result:
    return CliRunner().invoke(app, ["recommend", str(path), *map(str, options)])


def recommended(path: Path, evolution: int) -> Recommendation:
    with open_snapshot(path) as snapshot:
        return recommend(snapshot, evolution)


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def test_it_is_what_the_optimizer_itself_would_say_drawn_by_its_generator(tmp_path: Path) -> None:
    desk = play(tmp_path / "two.xdream")
    for number, n_generations in ((1, 4), (2, 3)):
        found, evolution = recommended(tmp_path / "two.xdream", number), desk.evolutions[number]
        code = evolution.optimizer.recommend()
        assert found.code.tobytes() == code.astype(np.float32).tobytes() and found.code.shape == code.shape
        np.testing.assert_array_equal(found.image, evolution.generator.render(found.code[None])[0])
        assert (found.n_generations, found.shown) == (n_generations, None)
        assert "never shown, not measured" in found.words


def play_some(desk: Desk, n_trials: int) -> None:
    """Show and measure the first trials of a session."""
    desk.start()
    desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    desk.tell(a_display(), Role.DISPLAY)
    for _ in range(n_trials):
        trial: Trial = next(iter(desk.session.traffic.out.values()))
        for onsets in sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets):
            desk.tell(spikes_of(onsets), Role.ACQUISITION)


def test_a_session_that_runs_has_one_and_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "s.xdream"
    with built(path) as made:
        desk = Desk(made.session, made.evolutions)
        play_some(desk, 14)
        keep(made.file, desk.log)
        rows = list(made.file.connection.iterdump())
        found = recommended(path, 1)
        np.testing.assert_array_equal(found.code, desk.evolutions[1].optimizer.recommend())
        assert 0 < found.n_generations < 4
        assert xdream_recommend(path).exit_code == 0
        assert list(made.file.connection.iterdump()) == rows


def test_the_files_it_writes_are_the_picture_and_the_code_that_gives_it(copied: Path) -> None:
    before = copied.read_bytes()
    done = xdream_recommend(copied)
    assert done.exit_code == 0 and copied.read_bytes() == before
    for number, name in ((1, "genetic left, after 4 generations"), (2, "population, after 3 generations")):
        made = copied.with_name(f"copy_recommended_{number}.png")
        code, found = np.load(made.with_suffix(".npy")), recommended(copied, number)
        assert code.dtype == np.float32 and code.tobytes() == found.code.tobytes()
        with Image.open(made) as picture:
            np.testing.assert_array_equal(np.array(picture), found.image)
        assert f"{made}" in done.output and name in done.output and found.figures in done.output


def test_one_of_several_goes_where_it_is_asked_to(copied: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "it.png"
    assert xdream_recommend(copied, out, "--evolution", 2).exit_code == 0
    assert sorted(each.name for each in out.parent.iterdir()) == ["it.npy", "it.png"]


def test_the_code_can_begin_the_next_session(copied: Path, tmp_path: Path) -> None:
    xdream_recommend(copied, tmp_path / "codes" / "it.png", "--evolution", 1)
    generator = generators.create("raw_pixel", size=3)
    [code] = initial_codes.create("folder", generator, 0, folder=tmp_path / "codes")
    np.testing.assert_array_equal(code, recommended(copied, 1).code)


def test_a_search_without_a_centre_recommends_what_it_has_shown_and_says_so(tmp_path: Path) -> None:
    play(tmp_path / "random.xdream", RANDOM)
    found = recommended(tmp_path / "random.xdream", 2)
    query = "SELECT generation FROM stimuli WHERE code = ?"
    with closing(sqlite3.connect(tmp_path / "random.xdream")) as connection:
        [(generation,)] = connection.execute(query, (found.code.tobytes(),)).fetchall()
    assert found.shown == generation and f"shown in generation {generation}" in found.words


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["it.png"], "has several evolutions: say which with --evolution, one of 1 (genetic left), 2 (population)"),
        (["it.jpg", "--evolution", 1], "should end in .png"),
        (["--evolution", 3], "has evolutions 1 to 2, there is no evolution 3"),
    ],
)
def test_a_mistake_is_said_in_a_sentence(played: Path, options: list[object], sentence: str) -> None:
    done = xdream_recommend(played, *options)
    assert done.exit_code == 1 and sentence in str(done.exception)


def test_a_session_without_a_score_recommends_nothing(tmp_path: Path) -> None:
    with built(tmp_path / "begun.xdream"):
        done = xdream_recommend(tmp_path / "begun.xdream")
        assert done.exit_code == 1 and list(tmp_path.glob("*.png")) == []
    assert "no generation of evolution 1 (genetic left) is scored yet, so it recommends nothing" in str(done.exception)


def test_other_weights_than_those_of_the_session_draw_nothing(copied: Path) -> None:
    change(copied, "UPDATE evolutions SET facts = json_set(facts, '$.generator.weights_sha256', 'ab12')")
    done = xdream_recommend(copied)
    assert done.exit_code == 1 and "the same codes would be other pictures" in str(done.exception)
    with open_snapshot(copied) as snapshot:
        text = page(snapshot)
    assert text.count("What the search recommends cannot be drawn here:") == 2 and "Best reference images" in text


def test_a_damaged_search_is_said_to_be_damaged(copied: Path) -> None:
    change(copied, "UPDATE snapshots SET snapshot = ? WHERE evolution = 1", b"PK nothing")
    done = xdream_recommend(copied)
    assert done.exit_code == 1 and "cannot be woken up" in str(done.exception)


def test_the_report_shows_it_beside_the_highest_score_and_says_that_it_was_not_measured(played: Path) -> None:
    with open_snapshot(played) as snapshot:
        text = page(snapshot)
        best = [snapshot.reader.best_evolved(number) for number in (1, 2)]
    assert text.count("the search&#39;s centre, which it recommends; never shown, not measured") == 2
    for each in best:
        label = max(each, key=lambda image: image.score).label
        assert f"the highest score of all, {label}<br>" in text
