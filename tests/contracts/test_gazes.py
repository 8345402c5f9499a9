"""What every source of gaze must do; a new one is a name in `GAZES` and, here, the subject it can be tested with."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import hypot, isnan, nan
from typing import Any
from uuid import uuid4

import pytest

from protocol.plugins import PluginError
from stimulus_client.eyelink import MISSING, EyeLink
from stimulus_client.gaze import FRESH_S, GAZES, Gaze, MouseGaze, NoGaze, SimulatedGaze, create_gaze
from stimulus_client.geometry import Monitor
from stimulus_client.serial_port import PortError

SCREEN_PX = (1000, 800)
SETTINGS = {"fixation_radius_deg": 1.2, "monitor": {"width_cm": 50.0, "distance_cm": 57.0}}
MONITOR = Monitor.of(SETTINGS)
Look = Callable[[float, float], None]
"""Has the subject look in a direction, right and up, in degrees; NaN closes the eyes."""


def to_px(x_deg: float, y_deg: float) -> tuple[float, float]:
    """Return that direction on screen, right and down from its corner."""
    return 500 + MONITOR.px(x_deg, 1000), 400 - MONITOR.px(y_deg, 1000)


@contextmanager
def mouse() -> Iterator[tuple[Gaze, Look]]:
    at = [(0.0, 0.0)]
    yield MouseGaze(lambda: at[0]), lambda x, y: at.__setitem__(0, (x, y))


class Tracker:
    """What pylink gives for an EyeLink: itself, its newest sample, and that sample's right eye."""

    def __init__(self) -> None:
        self.at_px = (500.0, 400.0)
        self.time_ms = 0.0
        self.said: list[str] = []
        self.sendCommand = self.sendMessage = self.said.append
        self.startRecording = lambda *_: self.said.append("start")
        self.stopRecording = lambda: self.said.append("stop")
        self.close = lambda: self.said.append("close")
        self.isRightSample = lambda: True
        self.getTime = lambda: self.time_ms
        self.getGaze = lambda: self.at_px
        self.getNewestSample = self.getRightEye = lambda: self

    def look(self, x_deg: float, y_deg: float) -> None:
        self.time_ms += 1
        self.at_px = (MISSING, MISSING) if isnan(x_deg) else to_px(x_deg, y_deg)


@contextmanager
def eyelink() -> Iterator[tuple[Gaze, Look]]:
    tracker = Tracker()
    tracker.look(0, 0)
    yield EyeLink(connect=lambda host: tracker), tracker.look


@contextmanager
def lsl(unit: str) -> Iterator[tuple[Gaze, Look]]:
    pylsl = pytest.importorskip("pylsl", reason="needs pylsl: pip install pylsl")
    name = f"gaze {uuid4().hex}"
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo(name, "Gaze", 3, 0, "float32", name))
    gaze = create_gaze("lsl", {"stream": name, "x_channel": 1, "y_channel": 2, "unit": unit})

    def look(x_deg: float, y_deg: float) -> None:
        x, y = (x_deg, y_deg) if unit == "deg" else to_px(x_deg, y_deg)
        x, y = (x / SCREEN_PX[0], y / SCREEN_PX[1]) if unit == "share" else (x, y)
        outlet.push_sample([7.0, x, y])
        # Until it has come through the loopback: a poll that waits, where the gaze source's own never does.
        newest = gaze._inlet.pull_sample(timeout=5)[0]  # type: ignore[attr-defined]
        gaze._take(newest)  # type: ignore[attr-defined]

    yield gaze, look


SUBJECTS: dict[str, Callable[[], Any]] = {
    "mouse": mouse,
    "eyelink": eyelink,
    "lsl deg": lambda: lsl("deg"),
    "lsl px": lambda: lsl("px"),
    "lsl share": lambda: lsl("share"),
}


@contextmanager
def still(name: str) -> Iterator[tuple[Gaze, Look]]:
    yield create_gaze(name, {}), lambda x, y: None


@pytest.fixture(params=[*SUBJECTS, "none", "simulated", "animal"])
def seen(request: pytest.FixtureRequest) -> Iterator[tuple[Gaze, Look]]:
    name = request.param
    with SUBJECTS[name]() if name in SUBJECTS else still(name) as (gaze, look):
        gaze.configure(SETTINGS, SCREEN_PX)
        yield gaze, look
        gaze.close()


def test_every_source_is_tested_here() -> None:
    assert {name.split()[0] for name in SUBJECTS} | {"none", "simulated", "animal"} == set(GAZES)


def test_it_gives_a_position_or_says_that_the_eye_is_lost(seen: tuple[Gaze, Look]) -> None:
    gaze, _ = seen
    gaze.begin(trial=1, start_s=10.0, duration_s=1.0)
    for now_s in (10.0, 10.5, 11.0):
        x_deg, y_deg = gaze.position_deg(now_s)
        assert isnan(x_deg) == isnan(y_deg)


@pytest.fixture(params=SUBJECTS)
def tracked(request: pytest.FixtureRequest) -> Iterator[tuple[Gaze, Look]]:
    with SUBJECTS[request.param]() as (gaze, look):
        gaze.configure(SETTINGS, SCREEN_PX)
        yield gaze, look
        gaze.close()


def test_it_follows_the_eye_right_and_up(tracked: tuple[Gaze, Look]) -> None:
    gaze, look = tracked
    gaze.begin(trial=1, start_s=10.0, duration_s=1.0)
    for place in ((0.0, 0.0), (5.0, 3.0), (-4.0, -2.5)):
        look(*place)
        assert gaze.position_deg(10.0) == pytest.approx(place, abs=0.01)


def test_an_eye_that_is_closed_is_lost(tracked: tuple[Gaze, Look]) -> None:
    gaze, look = tracked
    look(nan, nan)
    assert all(isnan(each) for each in gaze.position_deg(10.0))


def test_a_tracker_that_stands_still_has_lost_the_eye() -> None:
    tracker, now_s = Tracker(), [0.0]
    gaze = EyeLink(connect=lambda host: tracker, clock=lambda: now_s[0])
    gaze.configure(SETTINGS, SCREEN_PX)
    tracker.look(0, 0)
    assert gaze.position_deg(0) == pytest.approx((0, 0))
    now_s[0] += 2 * FRESH_S
    assert isnan(gaze.position_deg(0)[0])
    tracker.look(0, 0)
    assert gaze.position_deg(0) == pytest.approx((0, 0))


def test_an_lsl_stream_that_falls_silent_has_lost_the_eye() -> None:
    with lsl("deg") as (gaze, look):
        gaze.configure(SETTINGS, SCREEN_PX)
        assert isnan(gaze.position_deg(0)[0])
        look(1, 1)
        assert gaze.position_deg(0) == pytest.approx((1, 1))
        came_s = gaze._came_s  # type: ignore[attr-defined]
        gaze._clock = lambda: came_s + 2 * FRESH_S  # type: ignore[attr-defined]
        assert isnan(gaze.position_deg(0)[0])


def test_the_eyelink_is_told_of_the_screen_and_the_trials_and_let_go() -> None:
    tracker = Tracker()
    gaze = EyeLink(connect=lambda host: tracker)
    gaze.configure(SETTINGS, SCREEN_PX)
    gaze.begin(12, 0.0, 1.0)
    gaze.close()
    assert "screen_pixel_coords = 0 0 999 799" in tracker.said
    assert tracker.said[-3:] == ["xdream trial 12", "stop", "close"]


def test_what_is_not_there_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylink", None)
    with pytest.raises(PortError, match=r"pylink"):
        EyeLink()
    with pytest.raises(PluginError, match=r"no gaze source named 'mose'. Did you mean 'mouse'\?"):
        create_gaze("mose", {})


def test_without_a_tracker_the_subject_always_fixates() -> None:
    assert NoGaze().position_deg(1.0) == (0.0, 0.0)


def breaks_s(gaze: Gaze, trial: int) -> float | None:
    """Return the first of 100 moments of a trial at which the subject looks away."""
    gaze.begin(trial, 5.0, 1.0)
    moments_s = [5.0 + frame / 100 for frame in range(100)]
    return next((now_s for now_s in moments_s if hypot(*gaze.position_deg(now_s)) > 1.2), None)


def test_a_simulated_subject_breaks_its_share_of_trials_at_any_moment() -> None:
    moments_s = [breaks_s(SimulatedGaze(0.3, seed=7), trial) for trial in range(1000)]
    broken = [moment_s for moment_s in moments_s if moment_s is not None]
    assert 250 < len(broken) < 350
    assert 5.0 <= min(broken) < 5.1
    assert 5.9 < max(broken) < 6.0


def test_a_simulated_subject_does_in_a_trial_what_it_did_before() -> None:
    one, other = SimulatedGaze(0.5, seed=1), SimulatedGaze(0.5, seed=1)
    trials = range(50)
    assert [breaks_s(one, n) for n in trials] == [breaks_s(other, n) for n in reversed(trials)][::-1]
    assert [breaks_s(one, n) for n in trials] != [breaks_s(SimulatedGaze(0.5, seed=2), n) for n in trials]
