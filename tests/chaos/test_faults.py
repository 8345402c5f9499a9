"""Whatever is killed, stopped, cut, delayed, doubled or swapped: nothing is lost, nothing twice, the same end."""

import logging
import random
import resource
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocol.peer import SERVER_LOST_S
from server.verifying import verify
from tests.chaos.bad_rig import LONG, PATIENCE_S, BadRig, a_bad_rig
from tests.chaos.stepping import STEP_S
from tests.rig import a_rig, final_rows

GENERATIONS = 1500 if LONG else 60
N_STRIKES = 220 if LONG else 12
READY_WITHIN_S = 5.0
"""From a server's death until something is measured again: asserted in the long form, on a machine of its own."""
log = logging.getLogger(__name__)
Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    with a_rig(tmp_path_factory.mktemp("calm"), GENERATIONS) as rig:
        server = rig.server()
        rig.client()
        rig.adapter()
        rig.finish(server, PATIENCE_S)
        return final_rows(rig)


def ends_as(rig: BadRig, undisturbed: Rows) -> None:
    rig.end()
    assert not rig.counted_twice()
    for table, rows in undisturbed.items():
        assert final_rows(rig)[table] == rows, f"{table} differ"


@pytest.mark.timeout(PATIENCE_S)
def test_killed_and_stopped_at_random_points(tmp_path: Path, undisturbed: Rows) -> None:
    chance = random.Random(0)
    with a_bad_rig(tmp_path, GENERATIONS) as rig:
        rig.begin()
        rig.restart("page")
        n_struck = sum(rig.strike(chance) for _ in range(N_STRIKES))
        assert n_struck == N_STRIKES, "there was something to do until the last"
        ends_as(rig, undisturbed)
        log.info("until something was measured again:\n%s", rig.recovery())
        assert not LONG or max(rig.recovered_s["server killed"]) < READY_WITHIN_S


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize(
    "network",
    [
        pytest.param(("--late", "0.3", "--delay-ms", "40"), id="late"),
        pytest.param(("--twice", "0.3"), id="twice"),
        pytest.param(("--swapped", "0.3", "--late", "0.2"), id="swapped"),
        pytest.param(("--cut", "0.01"), id="cut"),
    ],
)
def test_over_a_bad_network(tmp_path: Path, undisturbed: Rows, network: tuple[str, ...]) -> None:
    with a_bad_rig(tmp_path, GENERATIONS, network) as rig:
        rig.begin()
        ends_as(rig, undisturbed)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux lets a test fill another process's disk")
def test_a_full_disk_is_waited_for(tmp_path: Path, undisturbed: Rows) -> None:
    with a_bad_rig(tmp_path, GENERATIONS) as rig:
        rig.begin()
        assert rig.reach(40)
        server = rig.running["server"]
        usual = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, usual[1]))
        rig.wait(server, lambda: rig.log.read_text().count("cannot be written") >= 2)
        then = rig.n_measured()
        rig.wait(server, lambda: rig.log.read_text().count("cannot be written") >= 4)
        assert server.poll() is None and rig.n_measured() == then, "nothing is taken as measured that is not on disk"
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, usual)
        ends_as(rig, undisturbed)


def test_a_disk_that_takes_longer_than_the_peers_patience(tmp_path: Path, undisturbed: Rows) -> None:
    with a_bad_rig(tmp_path, GENERATIONS) as rig:
        rig.begin()
        for n in (30, 200):
            assert rig.reach(n)
            with closing(sqlite3.connect(rig.file, isolation_level=None)) as hog:
                hog.execute("BEGIN IMMEDIATE")
                rig.let_pass(SERVER_LOST_S + 1)
                hog.execute("ROLLBACK")
        ends_as(rig, undisturbed)


def test_a_wall_clock_that_jumps_changes_nothing_but_the_times_of_day(tmp_path: Path, undisturbed: Rows) -> None:
    class Jumping(BadRig):
        def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
            return super().start("tests.chaos.stepping", module, *arguments)

    rig = Jumping(tmp_path, GENERATIONS)
    with closing(rig):
        rig.begin()
        assert rig.reach(100)
        rig.running["server"].kill()
        rig.running["server"].wait()
        rig.restart("server")
        ends_as(rig, undisturbed)
        times = [at for (at,) in rig.query("SELECT sent_at FROM trials ORDER BY rowid")]
        assert min(np.diff(times)) < -STEP_S / 2, "the clock did jump"
        onsets = "SELECT onset_s FROM presentations WHERE onset_s IS NOT NULL ORDER BY trial, place"
        assert min(np.diff([onset_s for (onset_s,) in rig.query(onsets)])) > 0, "shown in the order they were sent in"
        assert not [problem for result in verify(rig.file) for problem in result.problems]


def test_peers_of_another_session_bring_nothing_of_it_along(tmp_path: Path, undisturbed: Rows) -> None:
    with a_bad_rig(tmp_path, GENERATIONS) as rig:
        rig.begin()
        assert rig.reach(70)
        rig.running["server"].kill()
        rig.running["server"].wait()
        rig.file = tmp_path / "another.xdream"
        rig.restart("server")
        ends_as(rig, undisturbed)
        assert not rig.query("SELECT 1 FROM presentations WHERE void IS NOT NULL AND void = 'display_lost'")
