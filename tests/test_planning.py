"""A plan says what a session will take: held against the file of one that was run."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from server.config import ConfigError, parse_config
from server.config_display import Display
from server.planning import Habits, Plan, Played, Search, Spikes, plan
from server.planning_command import _row, habits_of, made
from tests.rig import ROOT

CONFIG = """
[session]
name = "planned"
seed = 4
[server]
address = "tcp://127.0.0.1:*"
[evolution]
channels = ["output/18"]
generations = 6
optimizer = {{ name = "genetic", population = 12 }}
generator = {{ name = "embedded" }}
scorer = {{ name = "rate", baseline = "none" }}
[references]
count = 4
[display]
on_ms = 100
off_ms = 50
images_per_trial = 5
inter_trial_ms = 200
fixation_ms = 150
[simulator]
units = [18]
zero_at = "worst_reference"
[rehearsal]
break_rate = {break_rate}
"""
REST_FRAMES = 1 + 12
"""Of the empty screen after a trial."""
KNOWN = {"acquire_ms": 0.0, "gap_ms": 0.0}
"""What a screen without a window does, whose clock stands still between generations."""


def ran(folder: Path, break_rate: float) -> tuple[Plan, Path]:
    """Plan a session, run it on a screen that keeps simulated time, and return the plan and the session's file."""
    text = CONFIG.format(break_rate=break_rate)
    (folder / "planned.toml").write_text(text)
    file = folder / "planned.xdream"
    command = ["dry-run", "planned.toml", "--session", str(file), "--fast", "--no-page"]
    done = subprocess.run(
        [sys.executable, "-m", "server", *command],
        cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = parse_config(text, "the test")
    return made(config, 0, habits_of(config, break_rate, **KNOWN), 1, 50), file


def one(file: Path, query: str) -> Any:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(query).fetchone()[0]


def test_without_a_broken_trial_a_plan_is_right_to_a_trial_a_generation(tmp_path: Path) -> None:
    found, file = ran(tmp_path, 0.0)
    each = found.played[0]
    assert each.presentations == one(file, "SELECT COUNT(*) FROM responses WHERE measured") == 96
    # Where the display had nothing to show, the server sent it less than a whole trial.
    n_more = one(file, "SELECT COUNT(*) FROM trials WHERE outcome = 'complete'") - each.trials
    assert 0 <= n_more <= 6 and each.rewards == each.trials
    # From the first image to the one that would follow the last: all but one fixation, of 9 frames.
    lasted_s = one(file, "SELECT MAX(onset_s) - MIN(onset_s) FROM presentations") + (9 + 9 + REST_FRAMES) / 60
    assert each.seconds.sum() == pytest.approx(lasted_s - n_more * (9 + REST_FRAMES) / 60, abs=1e-6)
    on_disk = file.stat().st_size
    assert sum(found.n_bytes(each).values()) == pytest.approx(on_disk, rel=0.15)


def test_with_broken_trials_a_session_lies_in_the_range_of_its_plan(tmp_path: Path) -> None:
    found, file = ran(tmp_path, 0.25)
    for of, query in (
        (lambda each: each.trials, "SELECT COUNT(*) FROM trials WHERE outcome != 'not shown'"),
        (lambda each: each.rewards, "SELECT COUNT(*) FROM trials WHERE outcome = 'complete'"),
        (lambda each: each.shown, "SELECT COUNT(*) FROM presentations WHERE onset_s IS NOT NULL"),
        (lambda each: each.seconds.sum(), "SELECT MAX(onset_s) - MIN(onset_s) FROM presentations"),
    ):
        low, middle, high = np.quantile([of(each) for each in found.played], (0.01, 0.5, 0.99))
        assert low <= one(file, query) <= high, query
        assert low < middle < high


# -- without a session

SEARCH = Search("a", n_codes=30, n_slots=40, png_bytes=1000, code_bytes=100, snapshot_bytes=5000)


def planned(minutes: float, *searches: Search, **known: Any) -> Plan:
    habits = replace(Habits((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)), **known)
    return plan(searches or (SEARCH,), Display(), minutes, habits, Spikes(), n_played=30)


def test_a_generation_takes_its_trials() -> None:
    # 40 images, 5 a trial: 300 ms of fixation, five times 200 ms, one frame to clear the screen, 400 ms of rest.
    assert planned(60).generation_s(0)[1] == pytest.approx(8 * (0.3 + 1.0 + 1 / 60 + 0.4), rel=0.01)


def test_what_the_subject_does_widens_the_range_and_costs_generations() -> None:
    def generations(found: Plan) -> tuple[float, float, float]:
        return found.quantiles(lambda each: each.generations[0])

    calm, usual = generations(planned(60)), generations(planned(60, break_share=(0.1, 0.46)))
    assert calm[0] == calm[2]
    assert usual[0] < usual[1] < usual[2] < calm[1]


def test_evolutions_get_their_share_and_fill_each_others_gaps() -> None:
    found = planned(60, replace(SEARCH, share=3.0), replace(SEARCH, name="b"), gap_s=(2.0, 2.0))
    first, second = found.played[0].generations
    assert first == pytest.approx(3 * second, rel=0.1)
    assert found.shares()["between generations"] == 0
    assert planned(60, gap_s=(2.0, 2.0)).shares()["between generations"] > 0.1


def test_a_plan_without_minutes_ends_with_the_last_generation() -> None:
    assert {tuple(each.generations) for each in planned(0, replace(SEARCH, generations=7)).played} == {(7,)}
    with pytest.raises(ValueError, match="needs a number of minutes"):
        planned(0)


@pytest.mark.parametrize(
    ("own", "rule", "act", "end"),
    [(0, 5, "false", 5), (8, 5, "false", 8), (8, 5, "true", 5), (5, 8, "true", 5), (5, 0, "true", 5)],
)
def test_a_plan_ends_where_the_stopping_rules_end_the_session(own: int, rule: int, act: str, end: int) -> None:
    text = CONFIG.format(break_rate=0.0).replace("generations = 6", f"generations = {own}")
    config = parse_config(f"{text}\n[stopping]\ngenerations = {rule}\nact = {act}\n", "the test")
    found = made(config, 0, habits_of(config, 0.0, **KNOWN), 1, 50)
    assert {tuple(each.generations) for each in found.played} == {(end,)}


def test_the_same_seed_plans_the_same() -> None:
    def seconds() -> list[float]:
        return [each.seconds.sum() for each in planned(5, break_share=(0.1, 0.4)).played]

    assert seconds() == seconds()
    assert Played().presentations == 0


def test_counts_are_whole_and_a_row_has_one_precision() -> None:
    assert _row((10.0, 12.6, 14.96)) == ("13", "10 to 15")
    assert _row((10.0, 12.6, 14.96), "min") == ("12.6 min", "10.0 to 15.0 min")
    assert _row((90.0, 95.2, 100.0), "s") == ("95 s", "90 to 100 s")
    assert _row((768.0, 768.0, 768.0)) == ("768", "")


def test_the_command_says_what_dominates_and_what_it_took_for_granted(tmp_path: Path) -> None:
    from server.cli import app

    config = tmp_path / "a.toml"
    config.write_text(CONFIG.format(break_rate=0).replace("generations = 6\n", ""))
    done = CliRunner().invoke(app, ["plan", str(config), "--minutes", "20", "--breaks", "0.2"])
    assert done.exit_code == 0, done.output
    for words in ("time a generation", "presentations that count", "disk", "Time goes to images on screen", "20 % of"):
        assert words in done.output
    undecided = CliRunner().invoke(app, ["plan", str(config)])
    assert isinstance(undecided.exception, ConfigError)
    assert "an evolution has no last generation. Say how long: --minutes 60" in str(undecided.exception)
