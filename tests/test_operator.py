"""The keys' own connection: what was asked for is said until it is on disk."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fake_server import ADDRESS, FakeServer, Ticking, a_server

from protocol.messages import Acknowledge, Control, Notice, Role, Welcome
from protocol.peer import HELLO_S, RESEND_S, SERVER_LOST_S
from stimulus_client.check import check, frames
from stimulus_client.devices import Devices
from stimulus_client.display import HeadlessDisplay
from stimulus_client.operator_peer import Operator


@dataclass
class Scene:
    server: FakeServer
    clock: Ticking
    operator: Operator

    def join(self, session_id: str = "s1") -> None:
        self.clock.now_s += HELLO_S
        n_hellos = len(self.server.hellos)
        self.server.run(self.operator.attend, until=lambda: len(self.server.hellos) > n_hellos)
        self.server.says(Welcome(session_id, "test", {}))

    def hears(self, n: int) -> list[str]:
        self.server.run(self.operator.attend, until=lambda: len(self.controls) >= n)
        return [control.action for control in self.controls]

    @property
    def controls(self) -> list[Control]:
        return [message for message in self.server.heard if isinstance(message, Control)]


@pytest.fixture
def scene() -> Iterator[Scene]:
    with a_server() as server:
        clock = Ticking()
        scene = Scene(server, clock, Operator(ADDRESS, clock, server.context))
        yield scene
        scene.operator.close()


def test_it_connects_with_the_first_wish(scene: Scene) -> None:
    assert scene.operator.attend() == []
    assert scene.operator.peer is None
    scene.operator.ask("pause")
    scene.join()
    assert scene.server.hellos[0].role == Role.OPERATOR
    assert scene.hears(1) == ["pause"]
    scene.operator.ask("resume")
    assert scene.hears(2) == ["pause", "resume"]


def test_a_wish_is_repeated_until_it_is_on_disk(scene: Scene) -> None:
    scene.operator.ask("note", text="drank water")
    scene.join()
    scene.hears(1)
    said_s = scene.clock.now_s
    scene.hears(2)
    assert scene.clock.now_s - said_s > RESEND_S - 0.1
    assert scene.controls[0].control_id == scene.controls[1].control_id
    scene.server.says(Acknowledge(controls=(scene.controls[0].control_id,)))
    scene.server.run(scene.operator.attend, until=lambda: scene.operator.n_waiting == 0)


def test_a_server_that_was_restarted_hears_what_it_had_not_written(scene: Scene) -> None:
    scene.operator.ask("stop")
    scene.join()
    scene.hears(1)
    scene.server.heard.clear()
    scene.server.restart()
    scene.clock.now_s += SERVER_LOST_S + 0.1
    scene.join()
    assert scene.hears(1) == ["stop"]


def test_it_passes_on_what_the_server_has_people_read(scene: Scene) -> None:
    scene.operator.ask("pause")
    scene.join()
    scene.server.says(Notice("info", "paused"))
    told: list[str] = []
    scene.server.run(lambda: told.extend(scene.operator.attend()), until=lambda: bool(told))
    assert told == ["paused"]


def test_a_check_says_pass_or_fail_a_line(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stimulus_client.check.ANSWER_S", 0.1)
    with caplog.at_level("INFO"):
        status = check(HeadlessDisplay(fast=True), Devices(), "tcp://127.0.0.1:1")
    lines = [record.getMessage() for record in caplog.records if record.name == "stimulus_client.check"]
    assert status == 1
    assert [line.split(":")[0] for line in lines] == [
        "FAIL  network", "pass  screen", "pass  devices", "pass  refresh", "pass  frames", "pass  texture upload",
        "pass  markers",
    ]  # fmt: skip


def test_a_check_finds_the_frames_that_are_dropped() -> None:
    dropping = HeadlessDisplay(fast=True, drop_rate=1.0)
    assert [finding.passed for finding in frames(dropping)] == [True, False]
