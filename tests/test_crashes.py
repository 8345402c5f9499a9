"""A dry run whose server and adapter are killed, by schedule and by drill, ends like one that nobody touched."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from protocol.ids import presentation_id
from protocol.messages import Control, Responses
from server import build
from server.actions import Row
from server.config import parse_config
from server.crashes import Crashes, kill_page, kills_server, last_words
from server.rehearsal import Peers
from server.status.process import StatusPage
from stimulus_client.operator_peer import Operator
from tests.rig import ROOT, ROWS, a_free_address

CONFIG = """
[session]
name = "crashes"
seed = 4
[server]
address = "{address}"
[evolution]
name = "stars"
channels = ["output/18"]
generations = 6
optimizer = {{ name = "genetic", population = 8 }}
generator = {{ name = "raw_pixel", size = 4 }}
scorer = {{ name = "rate", baseline = "none" }}
[references]
count = 3
[display]
on_ms = 17
off_ms = 17
inter_trial_ms = 17
fixation_ms = 17
[simulator]
units = [18]
zero_at = "worst_reference"
"""
FAULTS = """
[[simulator.faults]]
what = "crash_server"
generation = {server}
[[simulator.faults]]
what = "crash_adapter"
generation = {adapter}
"""
DEADLINE_S = 120


def crash(server: int, adapter: int) -> str:
    return FAULTS.format(server=server, adapter=adapter)


def responses(generation: int) -> Responses:
    ids = np.array([presentation_id(1, generation, 0, 0)])
    counts = np.zeros((1, 1), np.int32)
    return Responses(ids, np.ones(1, np.bool_), counts, counts, "ttl")


@pytest.fixture
def built(tmp_path: Path) -> Any:
    config = parse_config(CONFIG.format(address="tcp://127.0.0.1:*") + crash(server=5, adapter=3), "the test")
    with closing((made := build.begin(config, build.Changes(), tmp_path / "s.xdream", time.time)).file):
        yield made


def test_a_crash_comes_with_the_first_response_of_its_generation_and_once(built: build.Built) -> None:
    seen: list[Row] = []
    struck: list[str] = []
    crashes = Crashes(built, seen.append, struck.append)
    rows = [responses(generation) for generation in (1, 2, 3, 3, 4)]
    for row in rows:
        crashes.watch(row)
    assert seen == rows, "whoever watches is told first"
    assert struck == ["crash_adapter"]
    crashes.watch(responses(5))
    assert struck == ["crash_adapter", "crash_server"]


def test_a_session_that_is_resumed_has_the_crashes_of_its_generation_behind_it(built: build.Built) -> None:
    assert kills_server(built)
    built.session.runs[1].last_generation = 5
    assert not kills_server(built)
    struck: list[str] = []
    Crashes(built, lambda row: None, struck.append).watch(responses(5))
    assert struck == []


def test_a_drill_kills_what_it_names_and_others_are_no_business_of_a_dry_run(built: build.Built) -> None:
    struck: list[str] = []
    crashes = Crashes(built, lambda row: None, struck.append)
    for what in ("stall", "crash_adapter", "crash_simulator", "crash_server", "crash_page"):
        crashes.watch(Control(f"c-{what}", "drill", "me", {"what": what}))
    crashes.watch(Control("c", "note", "me", {"what": "crash_server"}))
    assert struck == ["crash_adapter", "crash_server", "crash_page"]


def test_a_page_that_is_killed_is_opened_again_by_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(soft_wrap=True)
    kill_page(None, console, "s.xdream", "tcp://127.0.0.1:1")
    assert capsys.readouterr().out == ""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        kill_page(StatusPage(process, "http://here"), console, "s.xdream", "tcp://127.0.0.1:1")
        assert process.wait(DEADLINE_S) == -9
    assert "Open it again: xdream status s.xdream --server tcp://127.0.0.1:1" in capsys.readouterr().out


def test_the_last_words_say_what_somebody_has_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    last_words(Console(soft_wrap=True), "sessions/s.xdream")
    assert "Go on with: xdream resume sessions/s.xdream" in capsys.readouterr().out


def test_an_adapter_that_is_struck_keeps_its_own_crashes_to_come(built: build.Built) -> None:
    with Peers(built.config, "tcp://127.0.0.1:1", True) as peers:
        process = peers._processes["simulator"]
        peers.strike("crash_adapter")
        assert process.wait(DEADLINE_S) == -9
        peers.check()
        assert peers._processes["simulator"] is not process and peers._lives["simulator"] == 0
        for each in peers._processes.values():
            each.kill()


class DryRun:
    """A dry run as a person starts it."""

    def __init__(self, folder: Path, name: str, faults: str = "") -> None:
        self.address, self.file = a_free_address(), folder / f"{name}.xdream"
        config, self._said = folder / f"{name}.toml", (folder / f"{name}.txt").open("w+")
        config.write_text(CONFIG.format(address=self.address) + faults)
        command = ["server", "dry-run", str(config), "--session", str(self.file), "--fast", "--no-page"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            stdout=self._said,
            stderr=self._said,
        )

    def drill(self, what: str) -> None:
        """Have something go wrong, as soon as there is a server to ask."""
        operator = Operator(self.address, time.monotonic)
        operator.ask("drill", what=what)
        while not self._drills() and self._process.poll() is None:
            operator.attend(0.02)
        operator.close()

    def _drills(self) -> list[Any]:
        try:
            return self.query("SELECT arguments FROM controls WHERE action = 'drill'")
        except sqlite3.OperationalError:
            return []

    def query(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as file:
            return file.execute(query).fetchall()

    def end(self) -> str:
        """Wait for its end; return what it said."""
        status = self._process.wait(DEADLINE_S)
        self._said.seek(0)
        with self._said:
            said = self._said.read()
        assert status == 0, said
        return said


@pytest.mark.timeout(2 * DEADLINE_S)
def test_killed_by_schedule_and_by_drill_a_dry_run_ends_as_if_nobody_had_touched_it(tmp_path: Path) -> None:
    calm, wild = DryRun(tmp_path, "calm"), DryRun(tmp_path, "wild", crash(server=4, adapter=3))
    wild.drill("crash_server")
    calm.end()
    said = wild.end()
    assert [json.loads(arguments)["what"] for (arguments,) in wild._drills()] == ["crash_server"]
    assert said.count("The server was killed, as by a power cut") == 2
    assert f"xdream resume {wild.file}" in said
    assert "killed 2 times" in said
    assert wild.query("SELECT COUNT(*) FROM peers WHERE role = 'acquisition'")[0][0] > 1
    for name, query in ROWS.items():
        assert wild.query(query) == calm.query(query), f"{name} differ"
