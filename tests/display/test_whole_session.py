"""Whole sessions through a real window: every image that comes on is, pixel by pixel, the one in the session file."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.display.xvfb import needs_a_window, open_screen
from tests.rig import ROOT, Rig, a_rig

pytestmark = needs_a_window
GENERATIONS = 4
CONFIG = """
[session]
name = "rig"
seed = 3
[server]
address = "{address}"
[evolution]
name = "pixels"
channels = ["pixel/0"]
generations = 4
optimizer = {{ name = "genetic", population = 12 }}
generator = {{ name = "raw_pixel", size = 64 }}
scorer = {{ name = "rate", baseline = "none" }}
[references]
count = 3
[display]
size_deg = 4.18  # 64 pixels of a window of 800
x_deg = 6
on_ms = 33
off_ms = 17
inter_trial_ms = 10
fixation_ms = 17
"""


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    open_screen()
    monkeypatch.setenv("XDREAM_WITNESS", str(tmp_path))
    with a_rig(tmp_path, GENERATIONS) as rig:
        rig.config.write_text(CONFIG.format(address=rig.address))
        yield rig


def a_client(rig: Rig, *options: str) -> "subprocess.Popen[bytes]":
    witness = ["--display", "tests.display.witness:Witness", "--fast", "--windowed", "--patience", "30"]
    return rig.start("stimulus_client.client", rig.address, *witness, *options)


def test_a_session_shows_every_image_to_the_pixel_though_its_client_is_killed(rig: Rig, tmp_path: Path) -> None:
    server, first = rig.server(), a_client(rig, "--break-rate", "0.1")
    rig.adapter()
    rig.wait(server, lambda: rig.n_measured() >= 17)
    first.kill()  # in the middle of a trial
    first.wait()
    second = a_client(rig)
    rig.finish(server)
    assert second.wait(timeout=30) == 0, rig.log.read_text()[-2000:]

    fingerprints = dict(rig.query("SELECT stimulus_id, sha256 FROM stimuli"))
    shown = [line.split() for line in (tmp_path / "shown.txt").read_text().splitlines()]
    assert {int(stimulus) for stimulus, _ in shown} == set(fingerprints)
    assert all(fingerprints[int(stimulus)] == on_screen for stimulus, on_screen in shown)

    # Every slot of every generation was measured, and none twice.
    measured = "SELECT evolution, generation, slot FROM presentations JOIN responses USING (presentation_id)"
    slots = rig.query(f"{measured} WHERE measured")
    assert len(slots) == len(set(slots)) == GENERATIONS * (12 + 3)
    [(name, n)] = rig.query("SELECT name, COUNT(*) FROM peers WHERE role = 'display' GROUP BY 1")
    assert (name, n) == ("psychopy", 2)


def test_a_dry_run_in_a_window_goes_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_screen()
    monkeypatch.setenv("XDREAM_WITNESS", str(tmp_path))
    file = tmp_path / "dry.xdream"
    options = ["--display", "tests.display.witness:Witness", "--generations", "1", "--fast", "--session", str(file)]
    command = [sys.executable, "-m", "server", "dry-run", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    with closing(sqlite3.connect(file)) as connection:
        n_shown = connection.execute("SELECT COUNT(*) FROM presentations WHERE void IS NULL").fetchone()[0]
    assert len((tmp_path / "shown.txt").read_text().splitlines()) == n_shown > 20
