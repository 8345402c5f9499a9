"""The report of a session: one page without anything beside it, whose numbers are those of the record."""

import re
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from protocol.messages import Control, Onsets, Responses, Role, Trial
from server.database import SessionFileError
from server.export.snapshot import open_snapshot
from server.report import figures, timing
from server.report.command import report as command
from server.report.contest import contest, student, welch
from server.report.page import page, write
from server.report.record import exclusions, ledger
from tests.builders import Desk, a_display, a_report, an_acquisition, sent
from tests.played import CHANNELS, CONFIG, built, keep, play, spikes_of

MANY_REPEATS = CONFIG.replace("repeats = 2", "repeats = 6").replace("population = 8", "population = 20")


def asked(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)))


def text_of(path: Path) -> str:
    with open_snapshot(path) as snapshot:
        return page(snapshot)


def test_a_page_needs_nothing_beside_it(played: Path) -> None:
    text = text_of(played)
    for source in re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text):
        assert source.startswith(("data:", "#")), source
    assert "<script" not in text and text.count("<svg") >= 2 and "@page" in text
    assert text.count('<img src="data:image/png;base64,') == 4 + 2 + 3 + 3 + 2 + 3


def test_every_section_is_there(played: Path) -> None:
    text = text_of(played)
    for title in (
        "genetic left", "population", "What does not count", "Timing", "Alarms", "Notes, marks and what was asked for",
        "Course of the session", "What it rests on", "Configuration, as it was written",
    ):  # fmt: skip
        assert f"<h2>{title}</h2>" in text, title
    assert "generations = 4" in text and "numpy" in text


def test_the_log_says_of_which_day_and_in_which_zone_its_times_are(played: Path) -> None:
    with closing(sqlite3.connect(played)) as file:
        [(first,)] = file.execute("SELECT MIN(at) FROM states").fetchall()
    day = datetime.fromtimestamp(first, UTC).strftime("%Y-%m-%d")
    [course] = re.findall("<h2>Course of the session</h2>.*?</section>", text_of(played), re.DOTALL)
    assert f"Times are UTC, from {day} on." in course


def test_no_image_comes_before_the_one_before_it_on_any_axis() -> None:
    drawn = figures.intervals(np.array([33.0] * 40 + [240.0]))
    assert "\N{MINUS SIGN}" not in "".join(re.findall("<text[^>]*>([^<]*)</text>", drawn))


def test_the_same_file_gives_the_same_page(played: Path, tmp_path: Path) -> None:
    for name in ("a.html", "b.html"):
        write(played, tmp_path / name)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.html", "b.html"]


def a_session_of_one_trial(path: Path) -> Path:
    """One trial was reported, one of its images void; somebody wrote a note; nothing was answered."""
    with built(path) as made:
        desk = Desk(made.session, made.evolutions)
        desk.start()
        desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
        trials = sent(desk.tell(a_display(), Role.DISPLAY), Trial, Role.DISPLAY)
        desk.tell(a_report(trials[0], {1: "fixation_broken"}, "fixation broken"), Role.DISPLAY)
        desk.tell(Control("c1", "note", "R. C.", {"text": "drowsy <script>alert(1)</script>"}), Role.OPERATOR)
        keep(made.file, desk.log)
    return path


def test_the_book_adds_up_and_names_the_causes(tmp_path: Path) -> None:
    with open_snapshot(a_session_of_one_trial(tmp_path / "cut.xdream")) as snapshot:
        book, [cause] = ledger(snapshot), exclusions(snapshot)
    assert book.sent == book.counted + book.excluded + book.open and book.counted == 0
    assert (cause.cause, cause.n) == ("fixation_broken", 1) and "the eye left" in cause.meaning


def test_a_session_cut_short_has_a_page_and_nobody_can_write_html_into_it(tmp_path: Path) -> None:
    text = text_of(a_session_of_one_trial(tmp_path / "cut.xdream"))
    assert "No generation was scored." in text and "had not ended" in text
    assert "drowsy &lt;script&gt;" in text and "<script>alert" not in text


def test_a_session_before_its_first_trial_has_a_page(tmp_path: Path) -> None:
    with built(tmp_path / "begun.xdream"):
        text = text_of(tmp_path / "begun.xdream")
    assert "Nothing was shown." in text and "not begun" in text


def test_timing_is_that_of_the_display_and_of_the_disk(played: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.xdream"
    copy.write_bytes(played.read_bytes())
    with closing(sqlite3.connect(copy)) as file, file:
        file.execute("UPDATE presentations SET onset_s = onset_s + 4 * trial, offset_s = offset_s + 4 * trial")
    with open_snapshot(copy) as snapshot:
        lines = {line.what: line for line in timing.lines(snapshot)}
        n_trials = snapshot.records.value("SELECT COUNT(*) FROM trials")
    assert lines["onset to onset"].middle == "200.0 ms, SD 0.00"
    assert lines["trial to trial"].n + lines["generation to generation"].n == n_trials - 1
    assert lines["generation to generation"].n == 4 + 3 - 1


def equal_neurons(onsets: Onsets) -> Responses:
    """Return counts that have nothing to do with the image."""
    counts = spikes_of(onsets, with_times=False).spike_counts
    for row, presentation in enumerate(onsets.presentation_ids.tolist()):
        counts[row] = np.random.default_rng(presentation).poisson(4, 3)
    n = len(counts)
    return Responses(onsets.presentation_ids, np.ones(n, np.bool_), counts, np.zeros_like(counts), "simulated")


def test_the_best_image_of_neurons_that_like_none_is_no_better_than_the_best_reference(tmp_path: Path) -> None:
    """The score on record of the best image is above the best reference's by luck alone; the comparison is not."""
    lucky, fair = [], []
    for seed in range(6):
        path = tmp_path / f"{seed}.xdream"
        play(path, MANY_REPEATS.replace("seed = 4", f"seed = {seed + 10}"), equal_neurons)
        with open_snapshot(path) as snapshot:
            found = contest(snapshot, snapshot.records.config(), 1)
            best = [each for each in found.comparisons if each.stimulus is not None]
            fair += [each.difference for each in best]
            reader = snapshot.reader
            lucky.append(reader.best_evolved(1)[-1].score - reader.best_references(1)[0].score)
    assert len(fair) == 6 and np.mean(lucky) > 4
    assert abs(np.mean(fair)) < 2.5 * np.std(fair, ddof=1) / np.sqrt(6) + 0.5


def test_both_sides_have_as_many_showings_and_too_few_are_not_compared(tmp_path: Path) -> None:
    play(tmp_path / "many.xdream", MANY_REPEATS)
    with open_snapshot(tmp_path / "many.xdream") as snapshot:
        config = snapshot.records.config()
        whole, best = contest(snapshot, config, 1).comparisons
        once = contest(snapshot, config, 2)
    assert best.n == 6 and whole.n == 24, "the best image was shown six times; a reference image in four generations"
    assert [each.stimulus for each in once.comparisons] == [None] and "set repeats = 3" in once.remarks[0]


def test_the_interval_is_welchs() -> None:
    some, others = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([2.0, 2.5, 3.0, 7.0])
    low, high = welch(some, others)  # scipy.stats.ttest_ind(..., equal_var=False).confidence_interval()
    assert (low, high) == pytest.approx((-4.0475, 2.7975), abs=0.001)
    assert student(10) == pytest.approx(2.2281, abs=1e-3) and student(1e9) == pytest.approx(1.96, abs=1e-3)
    assert welch(np.ones(3), np.ones(3)) == (0, 0)


def test_the_command_says_what_it_wrote(played: Path, tmp_path: Path) -> None:
    done = asked(played, "--out", tmp_path / "deep" / "r.html")
    assert done.exit_code == 0 and "r.html" in done.output
    assert (tmp_path / "deep" / "r.html").read_text("utf-8").startswith("<!doctype html>")
    missing = asked(tmp_path / "none.xdream")
    assert isinstance(missing.exception, SessionFileError) and "none.xdream" in str(missing.exception)


def test_a_study_is_reported_by_the_simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server knows no simulator: it is asked by name, and only whether the file is its own."""
    study = tmp_path / "study.db"
    study.write_text("results")
    asked_of: list[Path] = []
    store, reports = ModuleType("store"), ModuleType("report")
    store.is_store = lambda path: path == study  # type: ignore[attr-defined]
    reports.write = lambda path, folder: asked_of.append(path) or folder / "index.html"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "simulator.study.store", store)
    monkeypatch.setitem(sys.modules, "simulator.study.report", reports)
    done = asked(study)
    assert done.exit_code == 0 and asked_of == [study] and "study_report" in done.output.replace("\n", "")
