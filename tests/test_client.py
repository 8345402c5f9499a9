"""The stimulus client in conversation: a fake server says things, and hears what was shown."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import zmq
from client_scene import DEADLINE_S, SETTINGS, Scene, a_trial, some_images, void_names
from fake_server import a_server

from protocol.messages import Acknowledge, Farewell, Notice, Recall, Release, Role, Welcome
from protocol.peer import HEARTBEAT_S, SERVER_LOST_S
from stimulus_client.client import OUT_OF_PATIENCE, ending, main


@pytest.fixture
def scene() -> Iterator[Scene]:
    with a_server() as server:
        scene = Scene(server)
        yield scene
        scene.close()


def test_what_is_sent_is_shown_and_reported(scene: Scene) -> None:
    scene.join()
    [hello] = scene.server.hellos
    assert (hello.role, hello.name) == (Role.DISPLAY, "headless")

    scene.server.says(some_images(1, 2), a_trial(1, 1, 2, 1), a_trial(2, 2))
    first, second = scene.hears_reports(2)
    assert (first.trial, first.outcome, void_names(first)) == (1, "complete", ["", "", ""])
    assert first.presentation_ids.tolist() == [1000, 1001, 1002]
    np.testing.assert_allclose(np.diff(first.onsets_s), 0.2)
    np.testing.assert_allclose(first.offsets_s - first.onsets_s, 0.1)

    # Between two trials the screen is empty for as long as the server wants.
    assert second.onsets_s[0] - first.offsets_s[-1] == pytest.approx(0.1 + 0.1 + 0.1, abs=0.04)
    assert [shown for shown in scene.display.shown if shown] == [1] * 6 + [2] * 6 + [1] * 6 + [2] * 6


def test_a_trial_with_an_image_that_is_not_there_is_shown_when_it_is(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1, 2))
    [report] = scene.hears_reports(1)
    assert void_names(report) == ["IMAGE_MISSING", "IMAGE_MISSING"]
    assert np.isnan(report.onsets_s).all()
    assert scene.display.shown == []

    scene.server.says(some_images(2), a_trial(2, 1, 2))
    assert void_names(scene.hears_reports(2)[1]) == ["", ""]


def test_released_images_are_forgotten(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1, 2), Release(np.array([2], np.int64)))
    scene.settle()
    assert list(scene.display.images) == [1]


def test_recalled_trials_are_reported_as_not_shown(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1), a_trial(2, 1))
    # While the first is shown, the server takes back the rest.
    scene.display.at_flip[8] = lambda: scene.server.says(Recall())
    reports = scene.hears_reports(2)
    assert [(report.trial, void_names(report)) for report in reports] == [(1, [""]), (2, ["NOT_SHOWN"])]


def test_recalled_now_the_current_trial_ends_at_once(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1, 1, 1), a_trial(2, 1))
    scene.display.at_flip[20] = lambda: scene.server.says(Recall(now=True))
    first, second = scene.hears_reports(2)
    assert void_names(first) == ["", "OPERATOR", "OPERATOR"]
    assert np.isnan(first.onsets_s).tolist() == [False, False, True]
    assert void_names(second) == ["NOT_SHOWN"]
    assert max(n for n, shown in enumerate(scene.display.shown) if shown) < 25


def test_a_trial_that_arrives_twice_is_shown_once(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1), a_trial(2, 1), a_trial(1, 1), a_trial(2, 1))
    scene.hears_reports(2)
    scene.server.says(a_trial(1, 1), a_trial(2, 1))
    scene.settle()
    assert [report.trial for report in scene.reports] == [1, 2]
    assert scene.display.shown.count(1) == 12


def test_a_trial_that_arrives_again_while_it_is_shown_is_shown_once(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1))
    scene.display.at_flip[8] = lambda: scene.server.says(a_trial(1, 1), Acknowledge(trials=np.array([1])))
    scene.hears_reports(1)
    scene.settle()
    assert scene.display.shown.count(1) == 6


def test_a_server_that_comes_back_learns_what_the_client_holds(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1), a_trial(2, 1), a_trial(3, 1))
    scene.hears_reports(1)
    scene.server.says(Acknowledge(trials=np.array([1])))
    scene.hears_reports(2)

    # The server dies with trial 2 reported, but not on disk, and with trial 3 still to be shown.
    scene.server.restart()
    scene.server.heard.clear()
    scene.clock.now_s += SERVER_LOST_S + 0.1
    scene.join("s1")
    assert set(scene.server.hellos[-1].trials.tolist()) >= {2, 3}

    # Welcomed to the same session, the client repeats its report and goes on.
    scene.server.run(scene.client.step, until=lambda: [report.trial for report in scene.reports] == [2, 3])


def test_another_session_begins_afresh(scene: Scene) -> None:
    scene.join("s1")
    scene.server.says(some_images(1, 2), a_trial(1, 1, 1, 1), a_trial(2, 1))
    scene.display.at_flip[8] = lambda: scene.server.says(Welcome("s2", "test", SETTINGS), some_images(2), a_trial(1, 2))
    [report] = scene.hears_reports(1)

    # What was under way is neither reported nor shown to its end: in this session it means nothing.
    assert (report.trial, report.presentation_ids.tolist(), void_names(report)) == (1, [1000], [""])
    scene.settle()
    assert len(scene.reports) == 1
    assert list(scene.display.images) == [2]
    assert scene.display.shown.count(1) < 6


def test_heartbeats_go_on_in_a_long_trial(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, *[1] * 60))
    for flip in range(1, 720):
        scene.display.at_flip[flip] = scene.server.listen
    began_s = scene.clock.now_s
    scene.hears_reports(1)
    lasted_s = scene.clock.now_s - began_s
    assert lasted_s > 3 * HEARTBEAT_S
    assert len(scene.server.heartbeats) >= lasted_s / HEARTBEAT_S - 1


def test_people_read_what_the_server_has_to_say(scene: Scene) -> None:
    scene.join()
    scene.server.says(Notice("info", "running"), Notice("alarm", "paused - resume when ready"))
    scene.settle()
    assert scene.display.told == ["running", "paused - resume when ready"]


@pytest.mark.parametrize(("reason", "status"), [("session ended: all done", 0), ("a display is connected already", 1)])
def test_a_farewell_ends_the_client_with_its_reason(scene: Scene, reason: str, status: int) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, *[1] * 60))
    scene.display.at_flip[20] = lambda: scene.server.says(Farewell(reason))
    scene.client.run()
    assert len(scene.display.shown) < 30
    assert ending(scene.client, 10) == (status, reason)


def test_a_farewell_that_is_not_final_is_waited_out(scene: Scene) -> None:
    scene.join()
    scene.server.says(Farewell("back in a minute", final=False), some_images(1), a_trial(1, 1))
    scene.settle()
    assert (scene.display.told, scene.display.shown) == (["back in a minute"], [])
    scene.join()
    scene.hears_reports(1)


def test_a_silent_server_wears_out_patience(scene: Scene) -> None:
    scene.clock.now_s += 9.99
    scene.client.run(patience_s=10)
    status, sentence = ending(scene.client, patience_s=10)
    assert status == OUT_OF_PATIENCE
    assert "silent for 10 s" in sentence


def test_stopped_it_takes_its_leave_and_reports_nothing_more(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1, 1))
    scene.display.at_flip[8] = scene.client.stop
    scene.client.run()
    scene.close()
    scene.server.listen()
    assert scene.server.farewells() == ["the stimulus client was stopped"]
    assert scene.reports == []


def test_what_is_typed_wrong_is_answered_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"no display named 'hedless'. Did you mean 'headless'\?"):
        main(["tcp://127.0.0.1:1", "--display", "hedless"])
    for arguments, sentence in (
        (["nowhere"], "an address is written tcp://SERVER:PORT, got 'nowhere'"),
        (["tcp://127.0.0.1:1", "--break-rate", "2"], "must lie in 0 to 1, got 2"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        assert sentence in capsys.readouterr().err


def test_the_program_serves_over_tcp_and_stops_when_told() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        command = [sys.executable, "-m", "stimulus_client.client", f"tcp://127.0.0.1:{port}", "--fast"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as client:
            assert router.poll(DEADLINE_S * 1000), "no Hello"
            client.send_signal(signal.SIGTERM)
            _, said = client.communicate(timeout=DEADLINE_S)
    assert client.returncode == 0
    assert said.strip().startswith("stopped")
