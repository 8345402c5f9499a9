"""What stands around the screen: keys, markers, reward, devices; a fake server says things and hears what was done."""

from collections.abc import Iterator
from typing import Any

import pytest
from client_scene import DEADLINE_S, SETTINGS, Scene, a_trial, some_images, void_names
from fake_server import a_server

from protocol.messages import Notice, Recall, Welcome
from protocol.peer import SERVER_LOST_S
from stimulus_client.devices import DeviceError, Devices
from stimulus_client.gaze import SimulatedGaze
from stimulus_client.markers import Markers, NoMarkers


@pytest.fixture
def scene() -> Iterator[Scene]:
    with a_server() as server:
        scene = Scene(server)
        yield scene
        scene.close()


def test_space_holds_the_next_trial_back_until_the_server_has_taken_it(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1), a_trial(2, 1))
    scene.display.at_flip[8] = lambda: scene.display.keys.append("space")
    scene.hears_reports(1)
    scene.settle()
    assert [void_names(report) for report in scene.reports] == [[""]]
    assert scene.asked == [("pause", {})]

    scene.server.says(Recall(), Notice("info", "paused: paused by the display's keyboard"))
    scene.settle()
    assert void_names(scene.reports[1]) == ["NOT_SHOWN"]

    scene.display.keys.append("space")
    scene.server.says(a_trial(3, 1))
    assert void_names(scene.hears_reports(3)[2]) == [""]
    assert [action for action, _ in scene.asked] == ["pause", "resume"]


def test_a_pause_taken_back_at_once_holds_nothing(scene: Scene) -> None:
    scene.join()
    scene.display.keys += ["space", "space"]
    scene.server.says(some_images(1), a_trial(1, 1))
    assert void_names(scene.hears_reports(1)[0]) == [""]
    assert [action for action, _ in scene.asked] == ["pause", "resume"]


def test_escape_breaks_the_trial_off_here_and_now(scene: Scene) -> None:
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1, 1, 1), a_trial(2, 1))
    scene.display.at_flip[20] = lambda: scene.display.keys.append("escape")
    assert void_names(scene.hears_reports(1)[0]) == ["", "OPERATOR", "OPERATOR"]
    scene.settle()
    assert len(scene.reports) == 1, "the next trial is not begun"
    assert scene.asked == [("pause_now", {})]


def test_other_keys_ask_for_the_end_or_for_nothing(scene: Scene) -> None:
    scene.join()
    scene.display.keys += ["x", "q", "f1"]
    scene.settle()
    assert scene.asked == [("stop", {})]


def test_a_rewarded_trial_and_a_reward_by_hand_are_both_reported(scene: Scene) -> None:
    scene.join(reward={"pulse_s": 0.1, "limit_pulses": 2})
    scene.server.says(some_images(1), a_trial(1, 1))
    [report] = scene.hears_reports(1)
    assert report.reward_durations_s.tolist() == [0.1]

    scene.display.keys += ["r", "r"]
    scene.settle()
    notes = [arguments["text"] for _, arguments in scene.asked]
    assert notes[0] == "reward by hand"
    assert "limit of 2 pulses" in notes[1]
    scene.server.says(a_trial(2, 1))
    assert len(scene.hears_reports(2)[1].reward_onsets_s) == 1, "by hand; the trial's own would be one too many"


def test_a_broken_trial_earns_nothing_and_costs_a_time_out(scene: Scene) -> None:
    scene.join(reward={"pulse_s": 0.1}, timeout_s=1.0)
    scene.client.devices.gaze.break_rate = 1.0
    scene.server.says(some_images(1), a_trial(1, 1, 1, 1))
    scene.hears_reports(1)
    assert scene.client.devices.reward.n_given == 0
    # Taken off the screen, then 6 frames between trials and 60 more.
    assert scene.display.shown[-67:] == [None] * 67
    assert any(scene.display.shown[-80:])


def test_each_onset_is_marked_once(scene: Scene) -> None:
    marked: list[int] = []
    scene.client.devices.markers.mark = marked.append
    scene.join()
    scene.server.says(some_images(1, 2), a_trial(1, 1, 2, 1))
    scene.hears_reports(1)
    assert marked == [1000, 1001, 1002]


def test_markers_that_fail_are_told_and_noted_and_images_go_on(scene: Scene) -> None:
    port = NoMarkers()
    port.send = lambda presentation_id: 1 / 0
    scene.client.devices.markers = Markers(port)
    scene.join()
    scene.server.says(some_images(1), a_trial(1, 1, 1))
    scene.display.at_flip[20] = lambda: scene.client.devices.markers.courier.finish(DEADLINE_S)
    assert void_names(scene.hears_reports(1)[0]) == ["", ""]
    scene.settle()
    [told] = scene.display.told
    assert told.startswith("markers (none): 2 not sent: division by zero")
    assert scene.asked == [("note", {"text": told})]


def test_people_read_that_the_server_is_away(scene: Scene) -> None:
    scene.join()
    scene.settle()
    scene.clock.now_s += SERVER_LOST_S + 3
    for _ in range(100):
        scene.client.step()
    [told] = scene.display.told
    assert "no word from the server" in told
    assert "nothing is lost" in told


def test_devices_are_those_the_server_names_unless_the_command_line_does(scene: Scene) -> None:
    scene.client.devices = Devices(named={"gaze": "simulated,break_rate=0.5,seed=3"})
    scene.join(gaze="eyelink", markers="none")
    scene.settle()
    gaze = scene.client.devices.gaze
    assert isinstance(gaze, SimulatedGaze)
    assert (gaze.break_rate, gaze.seed) == (0.5, 3)
    scene.server.says(Welcome("s2", "test", SETTINGS | {"markers": "parallel,port=/dev/no_such"}))
    with pytest.raises(DeviceError, match="markers: the parallel port '/dev/no_such' cannot be opened"):
        scene.settle()


def test_settings_that_stay_change_nothing_but_the_rewards_that_were_given(scene: Scene) -> None:
    configured: list[dict[str, Any]] = []
    scene.display.configure = configured.append
    scene.join(rewards_given=2)
    scene.settle()
    scene.server.says(Welcome("s1", "test", SETTINGS | {"rewards_given": 7}))
    scene.settle()
    assert len(configured) == 1
    assert scene.client.devices.reward.n_given == 7
