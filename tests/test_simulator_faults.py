"""What goes wrong in a rehearsal goes wrong as asked, the same each time, and is made good afterwards."""

from math import isnan
from time import monotonic
from typing import get_args

import numpy as np
import pytest

from adapters.source import SourceError
from protocol.ids import presentation_id, stimulus_id
from protocol.messages import Onsets, Responses, StimulusBatch
from server.config import ConfigError, parse_config
from server.config_rehearsal import Fault as FaultTable
from server.rehearsal import _display, _simulator
from simulator.behaviour import Animal
from simulator.faults import DRILLS, MEANINGS, AcquisitionFaults, Fault, offered, parse_faults
from simulator.jitter import Jitter
from simulator.options import Options
from simulator.source import SimulatedUnits

N_SLOTS = 40
DEADLINE_S = 10
CONFIG = """
[session]
name = "drill"
[evolution]
[simulator]
units = [1, 2]
{more}
"""


class Clock:
    """Time as a test likes it."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def slots(generation: int, attempt: int = 0, n: int = N_SLOTS) -> list[int]:
    return [presentation_id(1, generation, slot, attempt) for slot in range(n)]


def lost(faults: AcquisitionFaults, generation: int, attempt: int = 0) -> list[str]:
    return [faults.why_lost(each) for each in slots(generation, attempt)]


def measured(text: str, generation: int, attempt: int = 0, **options: str) -> Responses:
    source = SimulatedUnits(network="known", units="gabor;curve", faults=text, **options)
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
    source.see(StimulusBatch(np.array([stimulus_id(0, 0, 0)]), image))
    ids = np.array(slots(generation, attempt))
    source.request(Onsets(1, ids, np.full(len(ids), stimulus_id(0, 0, 0)), np.arange(len(ids)) * 0.2))
    deadline_s = monotonic() + DEADLINE_S
    while not (answers := source.poll()):
        assert monotonic() < deadline_s, "no answer"
    source.close()
    return answers[0]


@pytest.mark.parametrize("what", ["lose", "clock", "photodiode"])
def test_what_is_lost_is_lost_once_the_same_each_time_and_in_its_generation_alone(what: str) -> None:
    faults = [AcquisitionFaults([Fault(what, generation=3)], seed=1) for _ in range(2)]
    assert lost(faults[0], 3) == lost(faults[1], 3)
    n_lost = sum(map(bool, lost(faults[0], 3)))
    assert {"lose": 8 < n_lost < 32, "clock": n_lost == 10, "photodiode": n_lost == N_SLOTS}[what]
    assert not any(lost(faults[0], 2)) and not any(lost(faults[0], 4)) and not any(lost(faults[0], 3, attempt=1))


def test_packets_that_get_lost_all_the_time_are_others_at_the_next_attempt() -> None:
    faults = AcquisitionFaults([], seed=1, loss_rate=0.3)
    first, second = lost(faults, 1), lost(faults, 1, attempt=1)
    assert 4 < sum(map(bool, first)) < 22
    assert first != second


def test_answers_say_what_was_lost_and_a_showing_that_is_repeated_draws_the_same_spikes() -> None:
    for options in ({}, {"preset": "IT"}):
        spoilt = measured("photodiode generation=2", 2, **options)
        assert not spoilt.measured.any()
        assert spoilt.reason == f"{N_SLOTS} without a pulse of the photodiode"
        again, undisturbed = measured("photodiode generation=2", 2, attempt=1, **options), measured("", 2, **options)
        np.testing.assert_array_equal(again.spike_counts, undisturbed.spike_counts)
        np.testing.assert_array_equal(again.spike_times_s, undisturbed.spike_times_s)


def test_onsets_that_stray_too_far_are_not_measured_and_others_count_as_if_they_did_not() -> None:
    calm, jittery = measured("", 2), measured("", 2, jitter_ms="5")
    astray = ~jittery.measured
    assert 0 < astray.sum() < N_SLOTS / 2
    assert jittery.reason == f"{astray.sum()} with an onset too far from where the clocks put it"
    np.testing.assert_array_equal(jittery.spike_counts[~astray], calm.spike_counts[~astray])
    assert (measured("", 2, attempt=1, jitter_ms="5").measured != jittery.measured).any()
    assert measured("", 2, jitter_ms="1").measured.all()


def test_a_jitter_is_as_wide_as_asked_and_has_an_end() -> None:
    jitter = Jitter(0.003, seed=1)
    late_s = np.array([jitter.of(each) for each in range(2000)])
    assert np.std(late_s) == pytest.approx(0.003, rel=0.1)
    assert np.mean(late_s) == pytest.approx(0, abs=3e-4)
    assert np.abs(late_s).max() <= jitter.widest_s == 0.012


def test_a_clock_that_no_recording_has_is_refused() -> None:
    with pytest.raises(SourceError, match="drift_ppm must be a number from -1000 to 1000, got '5000'"):
        Options(drift_ppm="5000")
    with pytest.raises(SourceError, match="jitter_ms must be a number from 0 to 100, got '-1'"):
        Options(jitter_ms="-1")
    assert Options(drift_ppm="-50").clock_drift == pytest.approx(-50e-6)


def test_a_channel_dies_for_good_and_a_storm_is_on_all_of_them() -> None:
    for generation, alive in ((2, True), (3, False), (9, False)):
        counts = measured("channel generation=3 channel=1", generation).spike_counts
        assert counts[:, 0].any()
        assert counts[:, 1].any() == alive
    storm, calm = measured("storm generation=2 share=0.3", 2), measured("", 2)
    more = storm.spike_counts - calm.spike_counts
    assert set(np.unique(more)) == {0, 12}
    assert (more[:, 0] == more[:, 1]).all()


def test_a_stall_begins_with_its_generation_ages_the_data_and_ends() -> None:
    clock = Clock()
    faults = AcquisitionFaults([Fault("stall", generation=3, seconds=10)], seed=0, clock=clock)
    faults.reach(slots(2))
    assert faults.data_age_s == 0
    faults.reach(slots(3))
    clock.now_s += 4
    faults.reach(slots(3))
    assert faults.data_age_s == 4
    clock.now_s += 7
    assert faults.data_age_s == 0
    faults.reach(slots(3))
    assert faults.data_age_s == 0


def test_a_drill_lasts_its_time() -> None:
    clock = Clock()
    faults = AcquisitionFaults([], seed=0, clock=clock)
    faults.drill({"what": "photodiode", "seconds": 5})
    assert all(lost(faults, 7)) and all(lost(faults, 7, attempt=4))
    clock.now_s += 6
    assert not any(lost(faults, 7))


def test_a_crash_is_had_once_in_each_life(monkeypatch: pytest.MonkeyPatch) -> None:
    crashes: list[int] = []
    monkeypatch.setattr("simulator.faults.crash", lambda: crashes.append(1))
    monkeypatch.setattr("simulator.behaviour.crash", lambda: crashes.append(2))
    faults = parse_faults("crash_simulator generation=2; crash_simulator generation=4")
    AcquisitionFaults(faults, 0).reach(slots(1))
    assert crashes == []
    AcquisitionFaults(faults, 0).reach(slots(2))
    AcquisitionFaults(faults, 0, lives=1).reach(slots(2))
    AcquisitionFaults(faults, 0, lives=1).reach(slots(4))
    AcquisitionFaults(faults, 0, lives=2).reach(slots(5))
    assert crashes == [1, 1]
    Animal(faults="crash_display trial=3", lives=1).begin(5, 0.0, 1.0)
    Animal(faults="crash_display trial=3").begin(3, 0.0, 1.0)
    assert crashes == [1, 1, 2]


def test_an_animal_breaks_pauses_and_takes_its_time_the_same_in_each_run() -> None:
    def day(seed: int) -> list[tuple[float, float]]:
        """Return when it comes and when it goes, in each trial."""
        animal, times = Animal(break_rate=0.35, reaction_s=0.3, pause_rate=0.1, pause_s=5, seed=seed), []
        for trial in range(200):
            animal.begin(trial, 100.0 * trial, 2.0)
            there = [t for t in np.arange(0, 20, 0.05) if animal.position_deg(100.0 * trial + t) == (0.0, 0.0)]
            times.append((float(there[0]), float(there[-1])) if there else (0.3, 0.3))
        return times

    times = day(1)
    assert times == day(1) != day(2)
    came, left = np.array(times).T
    assert np.mean(left < 19) == pytest.approx(0.35, abs=0.1)
    assert np.mean(came > 4) == pytest.approx(0.1, abs=0.06)
    assert np.median(came) == pytest.approx(0.3, abs=0.1)


def test_an_eye_may_be_lost_and_a_subject_sent_away() -> None:
    animal = Animal(break_rate=1, lost_rate=1)
    animal.begin(1, 0.0, 1.0)
    assert isnan(animal.position_deg(1.5)[0])
    away = Animal(faults="look_away trial=2 seconds=3")
    away.begin(2, 10.0, 2.0)
    assert [away.position_deg(t)[0] == 0 for t in (10.5, 11.5, 13.9, 14.1)] == [True, False, False, False]
    away.begin(3, 13.5, 2.0)
    assert [away.position_deg(t)[0] == 0 for t in (13.6, 14.1)] == [False, True]
    away.drill({"what": "look_away", "seconds": 2})
    assert [away.position_deg(t)[0] == 0 for t in (14.2, 15.0)] == [False, False]


def test_the_configuration_hands_each_program_what_is_its_own() -> None:
    config = parse_config(
        CONFIG.format(
            more="""
preset = "IT"
[[simulator.faults]]
what = "stall"
generation = 5
seconds = 10
[[simulator.faults]]
what = "look_away"
trial = 7
[rehearsal]
break_rate = 0.35
reaction_ms = 300
"""
        ),
        "drill.toml",
    )
    simulator = _simulator(config, "tcp://127.0.0.1:1", 4, lives=2)
    options = dict(pair.split("=", 1) for pair in simulator[simulator.index("-o") :] if pair != "-o")
    assert options["preset"] == "IT" and options["lives"] == "2" and options["seed"] == "4"
    assert parse_faults(options["faults"]) == [Fault("stall", generation=5, seconds=10)]
    display = _display(config, "tcp://127.0.0.1:1", True, 4, "headless", lives=1)
    gaze = dict(pair.split("=", 1) for pair in display[display.index("--gaze") + 1].split(",")[1:])
    assert gaze["break_rate"] == "0.35" and gaze["reaction_s"] == "0.3" and gaze["lives"] == "1"
    assert parse_faults(gaze["faults"]) == [Fault("look_away", trial=7)]


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ('what = "stal"\ngeneration = 3', "what must be 'stall', 'lose',"),
        ('what = "stall"', "stall needs a generation, from 1 on"),
        ('what = "crash_server"', "crash_server needs a generation, from 1 on"),
        ('what = "look_away"\ngeneration = 2', "look_away needs a trial, from 1 on"),
        ('what = "lose"\ngeneration = 2\nshare = 3', "share must be at most 1, got 3"),
        ('what = "lose"\ngenration = 2', "genration"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_in_a_sentence(table: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        parse_config(CONFIG.format(more=f"[[simulator.faults]]\n{table}"), "drill.toml")
    assert sentence in str(wrong.value)


def test_the_configuration_knows_the_faults_that_there_are() -> None:
    assert set(get_args(FaultTable.model_fields["what"].annotation)) == set(MEANINGS)


def test_what_can_be_drilled_is_said_in_words_and_fits_the_rehearsal() -> None:
    assert set(DRILLS) == set(MEANINGS) - {"slow"}, "slow is looking away by another name, once it is now"
    assert offered("open_ephys") == DRILLS
    assert set(DRILLS) - set(offered("")) == {"crash_adapter", "not_recording"}
    assert set(DRILLS) - set(offered("plexnet")) == {"not_recording"}, "it cannot be asked"
