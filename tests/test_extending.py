"""The parts that docs/extending.md shows a lab how to write work as they stand there."""

import importlib
import json
import re
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from adapters.events import Chunk
from adapters.source import create_source
from protocol.messages import Onsets
from server import generators, optimizers, scoring
from server.ledger import Measurements

PAGE = (Path(__file__).parent.parent / "docs" / "extending.md").read_text("utf-8")
EXAMPLES = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL)
ROOT = Path(__file__).parent.parent
CONFIG = """
[session]
name = "own_parts"
[server]
address = "tcp://127.0.0.1:*"
[evolution]
channels = ["conv2/3"]
generations = 2
[evolution.optimizer]
name = "my_search:HillClimber"
population = 6
[evolution.generator]
name = "my_gratings:Gratings"
size = 32
[evolution.scorer]
name = "my_scorer:Squared"
[references]
count = 2
[display]
on_ms = 17
off_ms = 17
images_per_trial = 8
[simulator]
layer = "conv2"
units = [3]
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab's folder with the files of the page in it."""
    for name, code in EXAMPLES:
        (tmp_path / f"{name}.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_each_is_short() -> None:
    assert len(EXAMPLES) == 4
    for name, code in EXAMPLES:
        part = code[code.index("class ") :]
        assert len([line for line in part.splitlines() if line.strip()]) <= 25, name


def test_a_session_of_a_labs_own_parts_runs_to_its_end(lab: Path) -> None:
    (lab / "own.toml").write_text(CONFIG)
    file = lab / "own.xdream"
    command = ["-m", "server", "dry-run", "own.toml", "--fast", "--no-page", "--quiet", "--session", str(file)]
    environment = {"PYTHONPATH": f"{lab}:{ROOT}", "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}
    ran = subprocess.run(
        [sys.executable, *command], check=False, cwd=lab, env=environment, capture_output=True, timeout=100
    )
    assert ran.returncode == 0, ran.stderr.decode()
    with closing(sqlite3.connect(file)) as record:
        [(n_scored,)] = record.execute("SELECT COUNT(*) FROM scores WHERE score IS NOT NULL AND evolution > 0")
    assert n_scored >= 12


def test_the_optimizer_climbs_and_wakes_where_it_slept(lab: Path) -> None:
    climber = optimizers.create("my_search:HillClimber", (3,), 1)
    for _ in range(30):
        climber.tell(-np.sum((np.asarray(climber.ask()) - 2) ** 2, axis=1))
    assert np.allclose(climber.recommend(), 2, atol=0.5)
    asked, other = climber.ask(), optimizers.create("my_search:HillClimber", (3,), 9)
    other.restore(json.loads(json.dumps(climber.snapshot(), default=np.ndarray.tolist)))
    assert np.array_equal(other.ask(), asked)


def test_the_generator_draws_plaids(lab: Path) -> None:
    images = generators.create("my_gratings:Gratings", size=24).render(np.random.default_rng(0).normal(size=(5, 4)))
    assert images.shape == (5, 24, 24, 3) and images.dtype == np.uint8 and images.std() > 20


def test_the_scorer_leaves_out_what_was_not_measured(lab: Path) -> None:
    scorer = scoring.create("my_scorer:Squared", ("7",), (), 0.1, 0.05)
    counts = np.array([[4], [0]], np.int32)
    measured = Measurements(("7",), np.array([11, 12]), counts, np.ones_like(counts))
    assert scorer.score(measured, np.array([11, 12, 13])).tolist()[:2] == [400.0, 400.0]
    assert np.isnan(scorer.score(measured, np.array([13]))).all()


def test_the_amplifier_counts_what_came_and_not_what_may_have_been_lost(lab: Path) -> None:
    module: ModuleType = importlib.import_module("my_amplifier")
    source: Any = create_source("my_amplifier:source", {"port": "0", "onset": "photodiode"})
    source.close()
    wire = module.MyAmplifier("1,2,3,4")
    feed = Datagrams()
    live = module.LiveSource(wire, feed, module.parse_rules({"onset": "photodiode"}), clock=lambda: feed.now_s)
    live.begin({"response_window_s": (0.0, 0.1), "baseline_window_s": (-0.05, 0.0)})
    answers = session(live, feed)
    assert {n for presentation, n, measured in answers if measured} == {3}
    assert sum(measured for _, _, measured in answers) >= 30
    assert not any(measured for presentation, _, measured in answers if presentation in feed.lost)


class Datagrams:
    """What the amplifier sends, and when."""

    def __init__(self) -> None:
        self.now_s, self.number, self.chunks, self.lost = 0.0, 0, [], set[int]()

    def send(self, time_s: float, *pairs: int, drop: bool = False) -> None:
        self.now_s, self.number = time_s, self.number + 1
        datagram = struct.pack(f"<Iq{len(pairs)}H", self.number, round(time_s * 30_000), *pairs)
        if not drop:
            self.chunks.append(Chunk(time_s, (datagram,)))

    def drain(self) -> list[Chunk]:
        chunks, self.chunks = self.chunks, []
        return chunks

    def close(self) -> None:
        pass


def session(live: Any, feed: Datagrams) -> list[tuple[int, int, bool]]:
    """Show 12 trials of 4 images, each answered by three spikes, and return what was counted of each."""
    chance = np.random.default_rng(0)
    time_s, answers, lag_s = 1.0, [], 5.0
    feed.send(0.5)
    for trial in range(1, 13):
        shown, ids = [], np.arange(4) + 10 * trial
        time_s += chance.uniform(0.3, 0.9)
        for presentation in ids.tolist():
            time_s += 0.2
            shown.append(time_s - lag_s)
            drop = trial == 9 and presentation == ids[1]
            if drop:
                feed.lost.add(presentation)
            feed.send(time_s, 1, 0)
            feed.send(time_s + 0.02, 0, 0, 2, 0)
            feed.send(time_s + 0.03, 0, 0, drop=drop)
            feed.send(time_s + 0.04, 0, 0)
        feed.send(time_s + 0.2)
        live.request(Onsets(trial, ids.astype(np.int64), ids.astype(np.int64), np.array(shown)))
        for answer in live.poll():
            rows = zip(
                answer.presentation_ids.tolist(),
                answer.spike_counts[:, 0].tolist(),
                answer.measured.tolist(),
                strict=True,
            )
            answers += list(rows)
    return answers
