"""Killed at any moment, a session goes on where it was: nothing lost, nothing twice, the same end."""

import random
from pathlib import Path

import pytest

from tests.rig import a_rig, final_rows

GENERATIONS = 60


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[object, ...]]]:
    with a_rig(tmp_path_factory.mktemp("whole"), GENERATIONS) as rig:
        server = rig.server()
        rig.client()
        rig.adapter()
        rig.finish(server)
        return final_rows(rig)


@pytest.mark.timeout(300)
def test_a_server_killed_25_times_ends_like_one_that_never_was(tmp_path: Path, uninterrupted: dict) -> None:
    chance = random.Random(0)
    with a_rig(tmp_path, GENERATIONS) as rig:
        rig.client()
        rig.adapter()
        measured = 0
        for _ in range(25):
            server = rig.server()
            # from one response to three generations on: in the middle of a trial, of scoring, of rendering
            target = measured + chance.randint(1, 45)
            rig.wait(server, lambda target=target: rig.n_measured() >= target)
            server.kill()
            server.wait()
            assert rig.n_measured() >= measured, "what was acknowledged is on disk"
            measured = rig.n_measured()
        assert measured < GENERATIONS * 15, "it was killed while there was something to do"
        rig.finish(rig.server())
        assert final_rows(rig) == uninterrupted
        assert not rig.query("SELECT 1 FROM presentations WHERE void = 'display_lost'"), "the display kept its trials"


def test_a_client_and_an_adapter_killed_in_the_middle_cost_nothing_that_was_measured(
    tmp_path: Path, uninterrupted: dict
) -> None:
    chance = random.Random(1)
    with a_rig(tmp_path, GENERATIONS) as rig:
        server = rig.server()
        start = {"client": rig.client, "adapter": rig.adapter}
        running = {name: begin() for name, begin in start.items()}
        for name in ("client", "adapter", "client", "adapter"):
            target = rig.n_measured() + chance.randint(10, 90)
            rig.wait(server, lambda target=target: rig.n_measured() >= target)
            running[name].kill()
            running[name].wait()
            running[name] = start[name]()
        rig.finish(server)
        assert final_rows(rig) == uninterrupted
        twice = "SELECT evolution, generation, slot FROM presentations JOIN responses USING (presentation_id)"
        assert not rig.query(f"{twice} WHERE measured GROUP BY 1, 2, 3 HAVING COUNT(*) > 1")
