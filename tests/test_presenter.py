"""One trial, flip by flip, on a screen whose flips come when the test says."""

from collections.abc import Iterable
from math import isnan, nan

import numpy as np
import pytest

from protocol.messages import Trial, TrialReport, Void
from stimulus_client.display import HeadlessDisplay
from stimulus_client.gaze import NoGaze
from stimulus_client.presenter import Patch, Windows, show, unseen
from stimulus_client.timing import Timing

TIMING = Timing(refresh_hz=60.0, on_frames=6, off_frames=4, fixation_frames=10, inter_trial_frames=20)
WINDOWS = Windows(acquire_deg=1.0, hold_deg=1.2)
N = 5


class Flips(HeadlessDisplay):
    """A display whose n-th flip takes as many refreshes as told, and that knows what it showed."""

    def __init__(self, late: dict[int, int] | None = None) -> None:
        super().__init__(fast=True)
        self.late = late or {}
        self.shown: list[int | None] = []
        self.lit: list[bool] = []
        for stimulus_id in range(N):
            self.load(stimulus_id, np.zeros((2, 2, 3), np.uint8))

    def flip(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> float:
        self._refresh += self.late.get(len(self.shown), 0)
        self.shown.append(stimulus_id)
        self.lit.append(patch)
        jitter_s = 0.001 * (len(self.shown) % 3)
        return super().flip(stimulus_id, fixation, patch) + jitter_s


class LooksAway(NoGaze):
    """A subject that fixates for so many flips."""

    def __init__(self, after: int, to_deg: tuple[float, float] = (3.0, 0.0)) -> None:
        self.left, self.to_deg = after, to_deg

    def position_deg(self, now_s: float) -> tuple[float, float]:
        self.left -= 1
        return (0.0, 0.0) if self.left >= 0 else self.to_deg


def a_trial(n: int = N) -> Trial:
    return Trial(7, np.arange(100, 100 + n), np.arange(n))


def run(display: Flips, gaze: NoGaze | None = None, stop_at: int | None = None, timing: Timing = TIMING) -> TrialReport:
    """Show a trial to its end, or break it off after some flip."""
    showing = show(a_trial(), display, gaze or NoGaze(), timing, WINDOWS, Patch())
    next(showing)
    try:
        while True:
            showing.send(Void.OPERATOR if len(display.shown) - 1 == stop_at else None)
    except StopIteration as end:
        report: TrialReport = end.value
        return report


def flips_of(flash: int) -> range:
    """Return the numbers of the flips that end a frame of a flash."""
    first = TIMING.fixation_frames + flash * (TIMING.on_frames + TIMING.off_frames)
    return range(first + 1, first + TIMING.on_frames + 1)


def test_a_trial_is_fixation_then_flashes_then_nothing() -> None:
    display = Flips()
    report = run(display)
    flashes = [shown for n in range(N) for shown in [n] * 6 + [None] * 4]
    assert display.shown == [None] * 10 + flashes + [None]
    assert (report.trial, report.outcome, report.voids) == (7, "complete", ("",) * N)
    assert report.frames_shown.tolist() == report.frames_expected.tolist() == [6] * N
    np.testing.assert_allclose(np.diff(report.onsets_s), 10 / 60, atol=0.003)
    np.testing.assert_allclose(report.offsets_s - report.onsets_s, 6 / 60, atol=0.003)


def test_every_bad_flash_is_flagged_and_no_good_one() -> None:
    n_flips = 10 + N * 10 + 1
    n_bad = 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        late = {int(flip): int(random.integers(1, 4)) for flip in np.flatnonzero(random.random(n_flips) < 0.03)}
        report = run(Flips(late))
        bad = [any(flip in late for flip in flips_of(flash)) for flash in range(N)]
        extra = [sum(late.get(flip, 0) for flip in flips_of(flash)) for flash in range(N)]
        assert [void == Void.FRAME for void in report.voids] == bad
        assert [void == "" for void in report.voids] == [not each for each in bad]
        assert report.frames_shown.tolist() == [6 + each for each in extra]
        n_bad += sum(bad)
    assert n_bad > 100


def test_a_headless_display_spoils_its_share_of_flashes_and_all_are_flagged() -> None:
    display = HeadlessDisplay(fast=True, drop_rate=0.2, seed=5)
    display.load(0, np.zeros((2, 2, 3), np.uint8))
    display.load(1, np.zeros((2, 2, 3), np.uint8))
    trial = Trial(1, np.arange(1000), np.arange(1000) % 2)
    showing = show(trial, display, NoGaze(), TIMING, Windows(), Patch())
    with pytest.raises(StopIteration) as end:
        while True:
            next(showing)
    report: TrialReport = end.value.value
    assert 150 < report.voids.count(Void.FRAME) < 250
    assert report.voids.count(Void.FRAME) + report.voids.count("") == 1000


def void_names(report: TrialReport) -> list[str]:
    return [Void(void).name if void else "" for void in report.voids]


def shown(report: TrialReport) -> list[bool]:
    assert np.array_equal(np.isnan(report.onsets_s), np.isnan(report.offsets_s))
    assert np.array_equal(np.isnan(report.onsets_s), report.frames_shown == 0)
    return [not isnan(onset_s) for onset_s in report.onsets_s]


@pytest.mark.parametrize("flip", [20, 25, 26, 29], ids=["first frame", "last frame", "gap", "end of gap"])
def test_a_broken_fixation_voids_the_flash_at_hand_and_the_rest(flip: int) -> None:
    display = Flips()
    report = run(display, LooksAway(after=flip))
    assert void_names(report) == ["", "FIXATION", "FIXATION", "FIXATION", "FIXATION"]
    assert shown(report) == [True, True, False, False, False]
    assert report.outcome == "fixation broken"
    assert display.shown[-1] is None
    assert len(display.shown) == flip + 2


def test_a_fixation_broken_before_the_first_flash_voids_them_all() -> None:
    report = run(Flips(), LooksAway(after=3))
    assert void_names(report) == ["FIXATION"] * N
    assert shown(report) == [False] * N


def test_an_eye_that_is_lost_is_not_fixating() -> None:
    assert void_names(run(Flips(), LooksAway(after=3, to_deg=(nan, nan)))) == ["FIXATION"] * N


class Comes(NoGaze):
    """A subject whose eye comes near, closer, and to the fixation point, some flips each; and then strays a little."""

    def __init__(self, *path_deg: tuple[int, float]) -> None:
        self.path = [x_deg for n_flips, x_deg in path_deg for _ in range(n_flips)]

    def position_deg(self, now_s: float) -> tuple[float, float]:
        return (self.path.pop(0) if len(self.path) > 1 else self.path[0], 0.0)


def test_the_trial_begins_when_the_eye_has_come_to_the_point() -> None:
    display = Flips()
    # It waits outside for 7 flips, comes within the acquiring radius, then strays as far as the holding one lets it.
    report = run(display, Comes((7, 3.0), (1, 0.9), (1, 1.15)))
    assert display.shown[:17] == [None] * 17
    assert display.shown[17] == 0
    assert (report.outcome, report.voids) == ("complete", ("",) * N)


def test_an_eye_that_never_comes_costs_its_images_nothing() -> None:
    display = Flips()
    report = run(display, Comes((1, 1.1)))
    assert display.shown == [None] * (TIMING.acquire_frames + 1)
    assert (report.outcome, void_names(report)) == ("no fixation", ["NOT_SHOWN"] * N)
    assert not any(shown(report))


def test_the_operator_can_end_the_wait_for_the_eye() -> None:
    display = Flips()
    assert void_names(run(display, Comes((1, 9.0)), stop_at=4)) == ["OPERATOR"] * N
    assert len(display.shown) == 6


def test_each_onset_is_told_when_it_has_happened() -> None:
    display = Flips()
    showing = show(a_trial(), display, NoGaze(), TIMING, WINDOWS, Patch())
    told = {}
    with pytest.raises(StopIteration):
        while True:
            presentation = next(showing)
            if presentation is not None:
                told[presentation] = len(display.shown) - 1
    assert told == {100 + flash: 10 + 10 * flash for flash in range(N)}


@pytest.mark.parametrize("off_frames", [0, 4])
def test_the_photodiode_sees_images_or_with_toggle_each_onset(off_frames: int) -> None:
    timing = Timing(60.0, on_frames=3, off_frames=off_frames, fixation_frames=5, inter_trial_frames=0)
    for toggles in (False, True):
        display, patch = Flips(), Patch(toggles)
        for _ in range(2):
            for _ in show(a_trial(), display, NoGaze(), timing, WINDOWS, patch):
                pass
        lit = np.array(display.lit)
        on = np.array([stimulus_id is not None for stimulus_id in display.shown])
        if toggles:
            assert np.count_nonzero(np.diff(lit)) == 2 * N
            assert not (lit[-1] or patch.lit)
        else:
            assert np.array_equal(lit, on)


def test_the_report_says_how_regular_the_frames_were() -> None:
    report = run(Flips({3: 1, 25: 2}))
    assert (report.n_frames, report.n_long_frames) == (10 + N * 10, 2)
    assert report.longest_frame_s == pytest.approx(3 / 60, abs=0.003)


def test_the_operator_breaks_a_trial_off() -> None:
    report = run(Flips(), stop_at=23)
    assert void_names(report) == ["", "OPERATOR", "OPERATOR", "OPERATOR", "OPERATOR"]
    assert report.frames_shown.tolist() == [6, 4, 0, 0, 0]


def test_without_gaps_one_flash_ends_where_the_next_begins() -> None:
    report = run(
        Flips({13: 1}), timing=Timing(60.0, on_frames=2, off_frames=0, fixation_frames=10, inter_trial_frames=0)
    )
    assert void_names(report) == ["", "FRAME", "", "", ""]
    assert np.array_equal(report.offsets_s[:-1], report.onsets_s[1:])


@pytest.mark.parametrize(
    ("refresh_hz", "frames"), [(60.0, (6, 6, 18, 24)), (144.0, (14, 14, 43, 58)), (59.94, (6, 6, 18, 24))]
)
def test_durations_are_whole_frames(refresh_hz: float, frames: Iterable[int]) -> None:
    timing = Timing.at(refresh_hz, {"on_s": 0.1, "off_s": 0.1, "fixation_s": 0.3, "inter_trial_s": 0.4})
    assert (timing.on_frames, timing.off_frames, timing.fixation_frames, timing.inter_trial_frames) == frames
    assert f"on {timing.on_frames} frames" in str(timing)


def test_an_image_is_on_for_a_frame_at_least() -> None:
    timing = Timing.at(60.0, {"on_s": 0.001, "off_s": 0, "fixation_s": 0, "inter_trial_s": 0})
    assert (timing.on_frames, timing.off_frames, timing.fixation_frames, timing.inter_trial_frames) == (1, 0, 1, 0)


def test_a_real_screen_keeps_its_refresh_and_a_late_caller_misses_some() -> None:
    class Sleeper:
        now_s = 1000.0

        def clock(self) -> float:
            return self.now_s

        def sleep(self, seconds: float) -> None:
            self.now_s += seconds + 0.002

    sleeper = Sleeper()
    display = HeadlessDisplay(clock=sleeper.clock, sleep=sleeper.sleep)
    first_s = display.flip(None)
    assert display.flip(None) - first_s == pytest.approx(1 / 60)
    sleeper.now_s += 0.030
    assert display.flip(None) - first_s == pytest.approx(3 / 60)


@pytest.mark.parametrize(
    ("off_s", "photodiode", "said"),
    [
        (0.0, {"corner": "lower_left", "mode": "on"}, True),
        (0.005, {"corner": "lower_left", "mode": "on"}, True),
        (0.005, {"corner": "lower_left", "mode": "toggle"}, False),
        (0.005, {"corner": ""}, False),
        (0.1, {"corner": "lower_left", "mode": "on"}, False),
    ],
)
def test_a_corner_that_would_stay_white_is_told_of(off_s: float, photodiode: dict[str, str], said: bool) -> None:
    # 5 ms are asked for, and are no whole frame of 60 Hz
    settings = {"off_s": off_s, "photodiode": photodiode}
    assert ("stays white" in unseen(settings, Timing.at(60.0, settings))) is said
