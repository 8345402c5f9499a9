"""What an adapter says is wrong with a recording, from when on, and that it stops saying so when it is over."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from bench import Bench
from made_up_rig import Faults, Rig
from systems import SYSTEMS

from adapters.alarms import alarms_of
from adapters.events import Begin, Chunk, Event, Gap, Spikes, Watermark
from adapters.health import Health
from adapters.rules import Rules
from adapters.segment import Segment, Windows
from adapters.tap import Tap

RATE = Fraction(30_000)
CHANNELS = ("a", "b", "c")


class Recording:
    """A stream that goes on second by second, each channel with a rate of its own."""

    def __init__(self) -> None:
        self.health = Health(CHANNELS, Rules())
        self.troubles: dict[str, int] = {}
        self.now_s = 0.0
        self.begin("the recording began")

    def begin(self, reason: str) -> None:
        begin = Begin(0, RATE, reason)
        self.segment = Segment(begin, Rules(), Windows(), len(CHANNELS))
        self.recorded_s = 0.0
        self.hear(begin)

    def hear(self, event: Event) -> None:
        self.health.hear(event, self.now_s)
        self.segment.take(event, self.now_s)

    def play(self, seconds: float, rates_hz: tuple[float, ...] = (20.0, 20.0, 20.0), late_s: float = 0.0) -> None:
        """Go on for so long; `late_s`: by how much the data come later at the end than at the beginning."""
        steps = max(1, round(seconds * 10))
        for _ in range(steps):
            for column, rate_hz in enumerate(rates_hz):
                at_s = self.recorded_s + np.arange(0, seconds / steps, 1 / (rate_hz or 1e-9))[not rate_hz :]
                self.hear(Spikes((at_s * float(RATE)).astype(np.int64), np.full(len(at_s), column, np.int32)))
            self.recorded_s += seconds / steps
            self.now_s += (seconds + late_s) / steps
            self.hear(Watermark(int(self.recorded_s * float(RATE))))
            self.alarms()

    def alarms(self) -> dict[str, str]:
        return {key: alarm.what for key, alarm in self.health.alarms(self.now_s, self.segment, self.troubles).items()}


def test_a_recording_that_does_well_gives_no_alarm() -> None:
    recording = Recording()
    recording.play(300)
    assert recording.alarms() == {}


def test_a_silent_channel_is_named_after_a_minute_and_no_sooner() -> None:
    recording = Recording()
    recording.play(59, (20.0, 0.0, 20.0))
    assert recording.alarms() == {}
    recording.play(2, (20.0, 0.0, 20.0))
    assert recording.alarms() == {"silent_channels": "no spike for 60 s on channel b"}
    recording.play(5)
    assert recording.alarms() == {}


def test_one_stray_spike_does_not_bring_a_channel_back_to_life() -> None:
    recording = Recording()
    recording.play(61, (20.0, 0.0, 20.0))
    recording.hear(Spikes(np.array([int(60.5 * float(RATE))], np.int64), np.array([1], np.int32)))
    recording.play(2, (20.0, 0.0, 20.0))
    assert "silent_channels" in recording.alarms()


def test_a_channel_of_noise_is_named_and_forgiven_below_400() -> None:
    recording = Recording()
    recording.play(11, (20.0, 20.0, 900.0))
    assert recording.alarms() == {"hot_channels": "more than 500 spikes per second on channel c"}
    recording.play(12, (20.0, 20.0, 450.0))
    assert "hot_channels" in recording.alarms(), "nearly as much is no end of it"
    recording.play(12)
    assert recording.alarms() == {}


def test_lost_data_are_an_alarm_until_half_a_minute_without_any() -> None:
    recording = Recording()
    recording.play(5)
    recording.hear(Gap(0, 100, "3 lost messages", 3))
    assert list(recording.alarms()) == ["data_lost"]
    recording.play(29)
    assert list(recording.alarms()) == ["data_lost"]
    recording.play(2)
    assert recording.alarms() == {}


def test_a_recording_that_begins_anew_says_so_for_half_a_minute() -> None:
    recording = Recording()
    recording.play(61, (20.0, 0.0, 20.0))
    recording.begin("the GUI started again")
    recording.play(1)
    assert recording.alarms() == {"began_anew": "the recording has begun anew: the GUI started again"}
    recording.play(30)
    assert recording.alarms() == {}


def test_data_that_fall_behind_are_late_and_a_stall_that_is_made_up_for_is_not() -> None:
    recording = Recording()
    recording.play(10)
    recording.play(1, late_s=0.8)
    recording.play(1, late_s=-0.8)
    assert recording.alarms() == {}
    recording.play(20, late_s=1.0)
    recording.play(5)
    assert list(recording.alarms()) == ["data_late"]
    recording.play(2, late_s=-1.0)
    assert recording.alarms() == {}


def test_an_hour_of_drifting_clocks_is_not_late() -> None:
    recording = Recording()
    recording.play(3600, (1.0, 1.0, 1.0), late_s=3600 * 100e-6)
    assert recording.alarms() == {}


def test_what_is_not_understood_is_said_as_long_as_it_goes_on() -> None:
    recording = Recording()
    recording.troubles["headers come cut short"] = 1
    assert "headers come cut short" in recording.alarms()["not_understood"]
    recording.play(31)
    assert recording.alarms() == {}
    recording.troubles["headers come cut short"] = 2
    assert list(recording.alarms()) == ["not_understood"]


def watched(bench: Bench, rig: Rig, skip: float = 0.0) -> list[set[str]]:
    """Return which alarms there were, one set a block; `skip`: the share of edges that never come."""
    said: list[set[str]] = []
    reported = 0
    for tick, chunks in SYSTEMS["bridge"].speak(rig):
        bench.now_s = (tick - rig.first_tick) / float(rig.rate)
        bench.feed.chunks += [Chunk(bench.now_s, chunk.frames, chunk.port) for chunk in chunks]
        while reported < rig.n_trials and rig.report_ticks[reported] <= tick:
            bench.source.request(rig.trials[reported])
            reported += 1
        bench.source.poll()
        said.append(set(alarms_of(bench.source)))
    return said


def a_bench(rig: Rig, tap: Tap | None = None) -> Bench:
    return Bench(SYSTEMS["bridge"].wire(rig, Rules()), tap=tap)


def test_onsets_that_are_not_in_the_recording_are_an_alarm_and_found_again_it_is_over() -> None:
    rig = Rig(n_trials=40)
    rig.script.edges[rig.script.edges[:, 0] < rig.true_ticks[30], 1] = 5  # another line, for six trials
    said = watched(a_bench(rig), rig)
    assert any("clock_lost" in alarms for alarms in said)
    assert said[-1] == set()


def test_clocks_that_are_matched_well_give_no_alarm() -> None:
    rig = Rig(n_trials=20, faults=Faults(missing=0.02))
    assert set().union(*watched(a_bench(rig), rig)) == set()


def test_onsets_that_scatter_are_an_alarm() -> None:
    rig = Rig(n_trials=30, faults=Faults(jitter_s=3.5e-3))
    assert any("clock_wide" in alarms for alarms in watched(a_bench(rig), rig))


def test_every_answer_says_how_well_the_clocks_are_matched() -> None:
    rig = Rig(n_trials=12)
    answers = [each for each in a_bench(rig).run(rig, SYSTEMS["bridge"].speak(rig)) if each.measured.all()]
    assert answers
    assert all(0 <= each.clock_residual_s < 1e-3 for each in answers)
    assert all(0 < each.clock_age_s < 3 for each in answers)


def test_without_clocks_an_answer_says_that_there_are_none() -> None:
    rig = Rig(n_trials=3)
    bench = a_bench(rig)
    bench.source.request(rig.trials[0])
    bench.now_s += 10
    [answer] = bench.source.poll()
    assert not answer.measured.any()
    assert np.isnan([answer.clock_residual_s, answer.clock_age_s]).all()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_tap_that_cannot_be_written_ends_and_the_session_goes_on(tmp_path: Path) -> None:
    rig = Rig(n_trials=4)
    tap = Tap(tmp_path / "tap", "bridge", least_free_bytes=0)
    bench = a_bench(rig, tap)
    with Path("/dev/full").open("wb", buffering=0) as full:
        assert tap._file is not None
        os.dup2(full.fileno(), tap._file.fileno())
    assert any("tap_ended" in alarms for alarms in watched(bench, rig))
    assert "No space left" in tap.alarms()["tap_ended"].what
    bench.source.close()


def test_a_tap_that_had_to_end_is_an_alarm(tmp_path: Path) -> None:
    rig = Rig(n_trials=1)
    bench = a_bench(rig, Tap(tmp_path / "tap", "bridge", least_free_bytes=1 << 62))
    assert any("tap_ended" in alarms for alarms in watched(bench, rig))
