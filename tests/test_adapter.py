"""The acquisition adapter in conversation: a fake server asks for spikes, a source that a test drives answers."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
import zmq
from fake_server import ADDRESS, FakeServer, Ticking, a_server

from adapters.conversation import Adapter
from adapters.serve import OUT_OF_PATIENCE, ending, main, serve
from adapters.source import SourceError
from protocol.messages import (
    Acknowledge,
    Farewell,
    Onsets,
    Release,
    Responses,
    Role,
    StimulusBatch,
    Welcome,
)
from protocol.peer import SERVER_LOST_S

SETTINGS = {"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.05]}
DEADLINE_S = 20


class Electrode:
    """A source that answers when the test lets it."""

    name = "electrode"
    channels: tuple[str, ...] = ("a", "b")
    wants_images = True

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.seen: list[int] = []
        self.asked: list[int] = []
        self.final: list[Responses] = []
        self.broken = False
        self.closed = False

    def begin(self, settings: dict[str, Any]) -> None:
        self.begun.append(settings)

    def see(self, batch: StimulusBatch) -> None:
        if self.broken:
            raise SourceError("the electrode fell out")
        self.seen += batch.stimulus_ids.tolist()

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        self.seen = [each for each in self.seen if each not in set(stimulus_ids)]

    def request(self, onsets: Onsets) -> None:
        self.asked += onsets.presentation_ids.tolist()

    def poll(self) -> list[Responses]:
        final, self.final = self.final, []
        return final

    def data_age_s(self) -> float:
        return 0.125

    def close(self) -> None:
        self.closed = True

    def finds(self, *presentation_ids: int) -> None:
        n = len(presentation_ids)
        counts = np.full((n, 2), 3, np.int32)
        ids = np.array(presentation_ids, np.int64)
        self.final.append(Responses(ids, np.ones(n, np.bool_), counts, counts, "ttl"))


class Scene:
    """An adapter with its source, and the server it talks to."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.source = Electrode()
        self.clock = Ticking()
        self.adapter = Adapter(ADDRESS, self.source, self.clock, server.context)

    @property
    def responses(self) -> list[Responses]:
        return [message for message in self.server.heard if isinstance(message, Responses)]

    def join(self, session_id: str = "s1") -> None:
        n_hellos, n_begun = len(self.server.hellos), len(self.source.begun)
        self.server.run(self.adapter.step, until=lambda: len(self.server.hellos) > n_hellos)
        self.server.says(Welcome(session_id, "test", SETTINGS))
        if not n_begun:
            self.server.run(self.adapter.step, until=lambda: bool(self.source.begun))

    def is_asked(self, *presentation_ids: int) -> None:
        """Have the server ask for presentations, and wait until the source or the server has heard of it."""
        n = len(presentation_ids)
        self.server.says(Onsets(1, np.array(presentation_ids), np.zeros(n, np.int64), np.zeros(n)))
        self.adapter.step()
        self.server.listen()

    def answers(self, *presentation_ids: int) -> None:
        """Have the source find its answer, and wait until the server has it."""
        self.source.finds(*presentation_ids)
        n = len(self.responses)
        self.server.run(self.adapter.step, until=lambda: len(self.responses) > n)


@pytest.fixture
def scene() -> Iterator[Scene]:
    with a_server() as server:
        scene = Scene(server)
        yield scene
        scene.adapter.close()
        assert scene.source.closed


def ids(responses: Responses) -> list[int]:
    return [int(presentation) for presentation in responses.presentation_ids]


def test_onsets_are_asked_about_and_answered(scene: Scene) -> None:
    scene.join()
    [hello] = scene.server.hellos
    assert (hello.role, hello.name, hello.channels, hello.wants_images) == (
        Role.ACQUISITION,
        "electrode",
        ("a", "b"),
        True,
    )
    assert scene.source.begun == [SETTINGS]

    scene.is_asked(1, 2)
    assert scene.source.asked == [1, 2]
    assert scene.responses == []
    scene.answers(2)
    scene.answers(1)
    assert [ids(each) for each in scene.responses] == [[2], [1]]


def test_images_are_seen_and_forgotten(scene: Scene) -> None:
    scene.join()
    images = np.zeros((3, 8, 8, 3), np.uint8)
    scene.server.says(StimulusBatch(np.array([1, 2, 3]), images), Release(np.array([2])))
    scene.adapter.step()
    assert scene.source.seen == [1, 3]


def test_what_is_being_counted_is_not_asked_twice(scene: Scene) -> None:
    scene.join()
    scene.is_asked(1, 2)
    scene.is_asked(1, 2, 3)
    assert scene.source.asked == [1, 2, 3]


def test_what_was_answered_is_answered_again_from_what_is_kept(scene: Scene) -> None:
    scene.join()
    scene.is_asked(1, 2)
    scene.answers(1, 2)
    scene.is_asked(1, 2)
    assert [ids(each) for each in scene.responses] == [[1, 2], [1, 2]]
    assert scene.source.asked == [1, 2]


def test_a_server_that_comes_back_gets_what_is_not_on_disk(scene: Scene) -> None:
    scene.join()
    scene.is_asked(1, 2, 3)
    scene.answers(1)
    scene.answers(2)
    scene.server.says(Acknowledge(presentation_ids=np.array([1])))
    scene.adapter.step()

    scene.server.restart()
    scene.server.heard.clear()
    scene.clock.now_s += SERVER_LOST_S + 0.1
    scene.join("s1")
    scene.server.run(scene.adapter.step, until=lambda: bool(scene.responses))
    assert [ids(each) for each in scene.responses] == [[2]]

    # What the source was counting goes on, and is not asked for again.
    scene.is_asked(3)
    assert scene.source.asked == [1, 2, 3]
    assert len(scene.source.begun) == 1
    scene.answers(3)


def test_another_session_begins_afresh(scene: Scene) -> None:
    scene.join("s1")
    scene.is_asked(1, 2)
    scene.answers(1)
    scene.server.says(Welcome("s2", "test", SETTINGS))
    scene.is_asked(1, 2)
    assert scene.source.asked == [1, 2, 1, 2]
    assert len(scene.source.begun) == 2


def test_the_server_knows_how_old_the_data_are(scene: Scene) -> None:
    scene.join()
    scene.clock.now_s += 0.6
    scene.server.run(scene.adapter.step, until=lambda: any(h.data_age_s == 0.125 for h in scene.server.heartbeats))


@pytest.mark.parametrize(("reason", "status"), [("session ended: all done", 0), ("channel 'x' is not among a, b", 1)])
def test_a_farewell_ends_the_adapter_with_its_reason(scene: Scene, reason: str, status: int) -> None:
    scene.join()
    scene.server.says(Farewell(reason))
    assert serve(scene.adapter, 10) == (status, reason)


def test_a_silent_server_wears_out_patience(scene: Scene) -> None:
    scene.clock.now_s += 9.99
    status, sentence = serve(scene.adapter, patience_s=10)
    assert status == OUT_OF_PATIENCE
    assert "silent for 10 s" in sentence


def test_a_source_that_fails_says_so_to_the_server(scene: Scene) -> None:
    scene.join()
    scene.source.broken = True
    scene.server.says(StimulusBatch(np.array([1]), np.zeros((1, 8, 8, 3), np.uint8)))
    assert serve(scene.adapter, 10) == (1, "the electrode fell out")
    scene.server.listen()
    assert scene.server.farewells() == ["the electrode fell out"]


def test_stopped_it_takes_its_leave(scene: Scene) -> None:
    scene.join()
    scene.adapter.stop()
    assert serve(scene.adapter, 10) == ending(scene.adapter, 10)
    scene.server.listen()
    assert scene.server.farewells() == ["the acquisition adapter was stopped"]


def test_what_is_typed_wrong_is_answered_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"no source named 'simulater'. Did you mean 'simulator'\?"):
        main(["simulater", "tcp://127.0.0.1:1"])
    for arguments, sentence in (
        (["simulator", "nowhere"], "an address is written tcp://SERVER:PORT, got 'nowhere'"),
        (["simulator", "tcp://127.0.0.1:1", "-o", "layer"], "an option is written KEY=VALUE, got 'layer'"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert sentence in capsys.readouterr().err


def test_the_program_serves_over_tcp_and_stops_when_told() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        command = [sys.executable, "-m", "adapters.serve", "test_adapter:Electrode", f"tcp://127.0.0.1:{port}"]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as adapter:
            assert router.poll(DEADLINE_S * 1000), "no Hello"
            adapter.send_signal(signal.SIGTERM)
            _, said = adapter.communicate(timeout=DEADLINE_S)
    assert adapter.returncode == 0
    assert said.strip().startswith("stopped")


def test_client_and_adapter_start_without_anything_heavy() -> None:
    heavy = "{'torch', 'fastapi', 'pydantic', 'psychopy'} & set(sys.modules)"
    code = f"import sys, stimulus_client.client, adapters.serve; print(sorted({heavy}))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
