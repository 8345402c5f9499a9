"""Whole sessions on a rig that records, every program a process of its own: the counts are right to the spike.

What goes wrong on the way, a dead channel and a stream that stands still behind a live socket, is on the page while it
lasts and on record with a beginning and an end.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from subprocess import Popen
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from server.status.app import create_app
from tests.acquisition.recorder import CHANNELS, DRIFT, RATE, SOCKET, SYSTEMS
from tests.rig import Rig, a_rig

GENERATIONS, POPULATION, REFERENCES = 3, 8, 3
CONFIG = """
[session]
name = "rig"
seed = 3
[server]
address = "{address}"
[evolution]
name = "recorded"
channels = ["1"]
generations = {generations}
optimizer = {{ name = "genetic", population = 8 }}
generator = {{ name = "raw_pixel", size = 4 }}
scorer = {{ name = "rate", baseline = "none" }}
[references]
count = 3
[display]
on_ms = 50
off_ms = 100
inter_trial_ms = 200
fixation_ms = 100
images_per_trial = 5
[acquisition]
response_window_ms = [50, 200]
baseline_window_ms = [0, 50]
"""
Recorded = tuple[Rig, "Popen[bytes]", Callable[[str], None]]
"""A rig, its server, and what commands its recorder."""


@contextmanager
def recorded(folder: Path, system: str, generations: int = GENERATIONS) -> Iterator[Recorded]:
    """Start a recorder, a server, a client and an adapter; yield the rig, the server and what commands the recorder."""
    with a_rig(folder, generations) as rig, zmq.Context() as context, context.socket(zmq.PUSH) as wire:
        rig.config.write_text(CONFIG.format(address=rig.address, generations=generations))
        recorder = rig.start("tests.acquisition.recorder", system, str(folder))
        rig.wait(recorder, (folder / "recorder.json").exists)
        told = json.loads((folder / "recorder.json").read_text())
        wire.setsockopt(zmq.LINGER, 500)
        wire.connect(told["socket"])

        def command(word: str) -> None:
            wire.send(msgpack.packb([word]))
            if word == "stop":
                assert recorder.wait(timeout=60) == 0, rig.log.read_text()[-2000:]

        options = [part for key, value in told["options"].items() for part in ("-o", f"{key}={value}")]
        server = rig.server()
        screen = "tests.acquisition.recorder:PhotodiodeDisplay"
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv(SOCKET, told["socket"])
            rig.start("stimulus_client.client", rig.address, "--display", screen, "--patience", "30")
        rig.start("adapters.serve", system, rig.address, "--patience", "30", "-o", "onset=photodiode", *options)
        yield rig, server, command


@contextmanager
def page(rig: Rig, server: "Popen[bytes]") -> Iterator[Callable[[], dict[str, Any]]]:
    """Yield what asks the page how things stand."""
    testclient = pytest.importorskip("fastapi.testclient", reason="needs FastAPI: pip install 'xdream[status]'")
    rig.wait(server, lambda: bool(rig.states()))
    app = create_app(rig.file, None)
    with testclient.TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        yield lambda: dict(client.get("/api/sessions/rig/now").json())


def what(event: dict[str, Any]) -> str:
    return " | ".join(alarm["what"] for alarm in event["standing"]["alarms"])


def counts_are_true(rig: Rig, folder: Path) -> int:
    """Hold every measured presentation against what was recorded around its edge; return how many there are."""
    truth = np.load(folder / "recorded.npz")
    query = (
        "SELECT p.onset_s, r.spike_counts, r.baseline_counts FROM presentations p JOIN responses r"
        " USING (presentation_id) WHERE r.measured ORDER BY p.onset_s"
    )
    rows = rig.query(query)
    onsets_s = np.array([row[0] for row in rows])
    # The clocks' offset by the nearest edge of the first one; then each onset has an edge within the tolerance.
    ticks = onsets_s * (1 + DRIFT) * float(RATE)
    shifts = truth["edges"][:, None] - ticks[:1]
    fits = [np.abs((ticks + shift)[:, None] - truth["edges"]).min(axis=1).max() for shift in shifts[:, 0]]
    edges = truth["edges"][np.abs((ticks + shifts[int(np.argmin(fits)), 0])[:, None] - truth["edges"]).argmin(axis=1)]
    assert len(set(edges.tolist())) == len(rows), "each presentation has an edge of its own"
    for (_, spikes, baseline), edge in zip(rows, edges.tolist(), strict=True):
        for blob, (start_s, end_s) in ((spikes, (0.05, 0.2)), (baseline, (0.0, 0.05))):
            relative = truth["spikes"][:, 0] - edge
            inside = (relative >= ceil(start_s * RATE)) & (relative < ceil(end_s * RATE))
            expected = np.bincount(truth["spikes"][inside, 1], minlength=len(CHANNELS))
            assert np.frombuffer(blob, "<i4").tolist() == expected.tolist()
    return len(rows)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_session_ends_with_the_right_counts(system: str, tmp_path: Path) -> None:
    with recorded(tmp_path, system) as (rig, server, command):
        rig.finish(server)
        command("stop")
        assert counts_are_true(rig, tmp_path) >= GENERATIONS * (POPULATION + REFERENCES)
        measured = "SELECT evolution, generation, slot FROM presentations JOIN responses USING (presentation_id)"
        slots = rig.query(f"{measured} WHERE measured")
        assert len(slots) == len(set(slots)) == GENERATIONS * (POPULATION + REFERENCES)
        assert rig.query("SELECT DISTINCT onset_source FROM responses WHERE measured") == [("photodiode",)]
        facts = rig.query("SELECT residual_s, age_s FROM clocks JOIN responses USING (presentation_id) WHERE measured")
        assert len(facts) == len(slots), "how well the clocks were matched is said with every response"
        assert all(0 <= residual_s < 0.008 for residual_s, _ in facts)


def test_a_dead_channel_is_announced_and_over_when_it_fires_again(tmp_path: Path) -> None:
    with recorded(tmp_path, "bridge", generations=0) as (rig, server, command), page(rig, server) as now:
        rig.wait(server, lambda: "no spike for 60 s on channel 3" in what(now()))
        [alarm] = [each for each in now()["standing"]["alarms"] if "channel 3" in each["what"]]
        assert alarm["consequence"]
        assert alarm["do"]
        assert not alarm["stops"]
        command("revive")
        rig.wait(server, lambda: "channel 3" not in what(now()))
        [(began_at, cleared_at)] = rig.query("SELECT began_at, cleared_at FROM alarms WHERE key = 'silent_channels'")
        assert cleared_at > began_at


def test_a_stream_that_stands_still_suspends_the_session_which_goes_on_with_it(tmp_path: Path) -> None:
    with recorded(tmp_path, "open_ephys") as (rig, server, command), page(rig, server) as now:
        rig.wait(server, lambda: rig.n_measured() >= POPULATION)
        command("freeze")
        rig.wait(server, lambda: "no fresh data" in what(now()))
        assert now()["standing"]["state"] == "suspended"
        n_trials = now()["standing"]["last_trial"]
        command("thaw")
        rig.wait(server, lambda: "no fresh data" not in what(now()))
        rig.finish(server)
        assert now()["standing"]["last_trial"] > n_trials
        command("stop")
        assert counts_are_true(rig, tmp_path) == GENERATIONS * (POPULATION + REFERENCES)
        [(began_at, cleared_at)] = rig.query("SELECT began_at, cleared_at FROM troubles WHERE source = 'spikes'")
        assert cleared_at > began_at
