"""A rehearsal in which much goes wrong ends as one in which nothing does: the same pictures, scores and spikes."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.rig import ROOT

CONFIG = """
[session]
name = "drill"
seed = 2
[server]
address = "tcp://127.0.0.1:*"
[evolution]
channels = ["output/18"]
generations = 2
optimizer = { name = "genetic", population = 6 }
[references]
count = 4
[display]
on_ms = 10
off_ms = 10
inter_trial_ms = 10
fixation_ms = 10
images_per_trial = 4
[simulator]
preset = "IT"
units = [18, 3]
zero_at = "worst_reference"
"""
TROUBLE = """
loss_rate = 0.1
[[simulator.faults]]
what = "crash_simulator"
generation = 2
[[simulator.faults]]
what = "photodiode"
generation = 1
[[simulator.faults]]
what = "look_away"
trial = 2
seconds = 1
[rehearsal]
break_rate = 0.35
reaction_ms = 200
"""
ROWS = (
    "SELECT stimulus_id, sha256 FROM stimuli ORDER BY 1",
    "SELECT evolution, generation, stimulus_id, score FROM scores ORDER BY 1, 2, 3",
    "SELECT p.generation, p.slot, r.spike_counts, r.spike_times_s, r.spike_channels FROM presentations p"
    " JOIN responses r USING (presentation_id) WHERE r.measured AND p.void IS NULL ORDER BY 1, 2",
)


def rehearsed(folder: Path, name: str, config: str) -> sqlite3.Connection:
    (folder / f"{name}.toml").write_text(config)
    command = [
        sys.executable,
        "-m",
        "server",
        "dry-run",
        str(folder / f"{name}.toml"),
        "--fast",
        "--quiet",
        "--no-page",
    ]
    subprocess.run([*command, "--session", str(folder / f"{name}.xdream")], cwd=ROOT, check=True)
    return sqlite3.connect(folder / f"{name}.xdream")


def test_what_goes_wrong_leaves_no_trace_in_what_was_found(tmp_path: Path) -> None:
    def count(session: sqlite3.Connection, what: str) -> Any:
        return session.execute(f"SELECT COUNT(*) FROM {what}").fetchone()[0]

    calm = rehearsed(tmp_path, "calm", CONFIG)
    wild = rehearsed(tmp_path, "wild", CONFIG + TROUBLE)
    with closing(calm), closing(wild):
        assert count(calm, "presentations WHERE void IS NOT NULL") == 0
        assert count(wild, "presentations WHERE void = 'fixation_broken'") > 0
        assert count(wild, "responses WHERE NOT measured") > 2
        assert count(wild, "peers WHERE role = 'acquisition'") == 2
        for rows in ROWS:
            assert calm.execute(rows).fetchall() == wild.execute(rows).fetchall()
