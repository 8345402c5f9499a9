"""A simulator that speaks a recording system's wire: the adapter of that system counts what the neurons fired."""

import json
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from adapters.events import Edge
from adapters.source import SourceError
from protocol.ids import presentation_key
from protocol.messages import Control, Onsets, Responses, StimulusBatch
from server import build
from server.config import ConfigError, parse_config
from server.engine import Engine
from server.rehearsal import Peers
from server.router import Router
from server.wired_rehearsal import overlap
from simulator.jitter import TOLERANCE_S
from simulator.lulls import N_LULLS, Irregular
from simulator.neurons_on_record import SeeingNeurons
from simulator.pace import RealTime, SimulatedTime
from simulator.programs import main as say_programs
from simulator.recording import Oscillator, Recording
from simulator.wires import WIRES, adapter_options, name_channels

CONFIG = """
[session]
name = "wired"
seed = 5
[server]
address = "tcp://127.0.0.1:*"
[evolution]
name = "stars"
channels = ["output/18"]
generations = 3
optimizer = { name = "genetic", population = 8 }
generator = { name = "embedded" }
scorer = { name = "rate", baseline = "none" }
[references]
count = 3
[simulator]
units = [18, 3]
zero_at = "worst_reference"
baseline_hz = 30
[rehearsal]
break_rate = 0.1
"""
COUNTS = """
    SELECT p.generation, p.slot, r.spike_counts, r.baseline_counts FROM presentations p
    JOIN responses r USING (presentation_id) WHERE r.measured AND p.void IS NULL ORDER BY 1, 2
"""


FAULTS = """
[[simulator.faults]]
what = "clock"
generation = 1
[[simulator.faults]]
what = "lose"
generation = 2
share = 0.3
[[simulator.faults]]
what = "stall"
generation = 2
seconds = 2
[[simulator.faults]]
what = "crash_display"
trial = 9
"""


class Rehearsed:
    """A whole rehearsal: the counts of all its showings, and what kept others from being measured."""

    def __init__(self, path: Path) -> None:
        with closing(sqlite3.connect(path)) as file:
            self.counts = file.execute(COUNTS).fetchall()
            self.sources = {source for (source,) in file.execute("SELECT DISTINCT onset_source FROM responses")}
            self.reasons = [r for (r,) in file.execute("SELECT reason FROM responses WHERE NOT measured")]
            self.alarms = [key for (key,) in file.execute("SELECT key FROM alarms")]
            self.states = [why for (why,) in file.execute("SELECT why FROM states WHERE state = 'suspended'")]


def rehearsed(
    path: Path, system: str, simulator: str = "", faults: str = "", killed: str = "", drills: tuple[str, ...] = ()
) -> Rehearsed:
    """Run a rehearsal to its end; in the middle one program may be killed, or an operator may have his drills."""
    config = parse_config(CONFIG.replace("[simulator]", f"[simulator]\n{simulator}") + faults, "the test")
    built = build.begin(config, build.Changes(), path, time.time)
    router = Router(config.server.address)
    fast = True
    with Peers(config, router.address, fast, "headless", system) as started, closing(built.file):

        def ask(what: str) -> None:
            engine.ask(Control(uuid4().hex, "drill", "me", {"what": what, "seconds": 1.5}))

        to_do: list[Callable[[], None]] = [partial(ask, what) for what in drills]
        to_do += [started._processes[killed].kill] if killed else []

        def watch(row: Any) -> None:
            if isinstance(row, Responses) and presentation_key(int(row.presentation_ids[0])).generation == 2:
                while to_do:
                    to_do.pop()()

        engine = Engine(built.session, built.evolutions, router, built.file, 1.0, watch, started.check)
        engine.run()
        router.close("session ended")
    return Rehearsed(path)


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearsed(tmp_path_factory.mktemp("direct") / "direct.xdream", "")


@pytest.mark.parametrize(("system", "simulator"), [("bridge", ""), ("open_ephys", "drift_ppm = 50")])
def test_the_wire_gives_the_counts_that_the_neurons_fired(
    system: str, simulator: str, direct: Rehearsed, tmp_path: Path
) -> None:
    assert len(direct.counts) == 33 and direct.sources == {"simulated"}
    wired = rehearsed(tmp_path / "wired.xdream", system, simulator)
    assert wired.counts == direct.counts and wired.sources == {"ttl"}


def test_a_recording_that_dies_is_started_again_and_nothing_is_miscounted(direct: Rehearsed, tmp_path: Path) -> None:
    assert rehearsed(tmp_path / "wired.xdream", "open_ephys", killed="simulated recording").counts == direct.counts


def test_what_goes_wrong_on_the_wire_is_noticed_by_the_adapter_and_made_good(direct: Rehearsed, tmp_path: Path) -> None:
    wired = rehearsed(tmp_path / "wired.xdream", "open_ephys", faults=FAULTS)
    assert wired.counts == direct.counts
    assert wired.reasons
    assert "no fresh data from the recording system" in wired.states
    assert "began_anew" in wired.alarms


def test_a_drill_reaches_the_recording_and_not_the_adapter(direct: Rehearsed, tmp_path: Path) -> None:
    wired = rehearsed(tmp_path / "wired.xdream", "open_ephys", drills=("photodiode", "stall"))
    assert wired.counts == direct.counts
    assert wired.reasons
    assert "no fresh data from the recording system" in wired.states


# -- the recording, without a socket


def recorded(drift: float, first_tick: int, onsets_s: list[float]) -> tuple[Recording, list[Any]]:
    clock = Oscillator(Fraction(30_000), first_tick, first_s=100.0, drift=drift)
    recording = Recording(clock, line=2, windows_s=[(0.05, 0.2), (0.0, 0.05)])
    for onset_s in onsets_s:
        recording.show(onset_s, np.array([0.0, 0.05, 0.05, 0.199999]), np.array([0, 1, 1, 0], np.int32))
    blocks = []
    while recording.can_give(640, onsets_s[-1] + 1):
        blocks.append(recording.block(640))
    return recording, blocks


def test_spikes_lie_as_far_from_their_pulse_as_the_neurons_said_whatever_the_clock_does() -> None:
    _, blocks = recorded(50e-6, 123_456, [100.5, 1100.5])
    assert all(before.end == after.start for before, after in pairwise(blocks))
    up = [edge.tick for block in blocks for edge in block.edges if edge.rising]
    assert np.diff(up).tolist() == [30_001_500]
    ticks = np.concatenate([block.ticks for block in blocks]).reshape(2, 4)
    assert (ticks - np.array(up)[:, None]).tolist() == 2 * [[0, 1500, 1501, 5998]]
    assert {edge.line for block in blocks for edge in block.edges} == {2}


def test_two_spikes_in_one_tick_stay_two_and_stay_in_their_window() -> None:
    recording = Recording(Oscillator(Fraction(1000)), windows_s=[(0.0, 0.05), (0.05, 0.2)])
    recording.show(0.0, np.full(3, 0.0499), np.zeros(3, np.int32))
    assert recording.block(1000).ticks.tolist() == [47, 48, 49]


def test_an_onset_whose_time_has_passed_is_counted_as_late() -> None:
    recording, _ = recorded(0.0, 0, [100.5])
    recording.show(100.6, np.zeros(1), np.zeros(1, np.int32))
    assert recording.n_late == 1
    late = recording.block(640)
    assert late.edges[0] == Edge(18_000, 2, True) and late.start > 18_000


# -- its time


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, wait_s: float) -> None:
        self.now_s += wait_s


def test_in_a_trial_nothing_is_recorded_past_the_last_flip() -> None:
    clock = Clock()
    pace = RealTime(clock)
    clock.now_s = 50.0
    pace.flipped(1049.99, in_trial=True)
    clock.now_s = 51.0
    assert pace.until_s() == 1049.99
    pace.flipped(1050.99, in_trial=False)
    clock.now_s = 52.0
    assert 1051.9 < pace.until_s() < 1052.0


def test_simulated_time_keeps_to_its_speed_and_waits_for_the_screen() -> None:
    clock = Clock()
    pace = SimulatedTime(20.0, clock, clock.sleep)
    now_s = pace.asked()
    for _ in range(600):
        now_s += 1 / 60
        pace.flipped(now_s, in_trial=True)
        assert pace.asked() == pytest.approx(now_s)
    assert clock.now_s == pytest.approx(10 / 20, rel=0.01)
    pace.flipped(now_s, in_trial=False)
    clock.now_s += 10.0
    before_s = pace.until_s()
    clock.now_s += 1.0
    assert pace.until_s() - before_s == pytest.approx(1.0), "it hurries only until all windows are over"
    assert pace.asked() >= before_s


def test_in_simulated_time_no_trial_s_onsets_fit_the_pulses_of_another() -> None:
    clock = Clock()
    pace, onsets_s = Irregular(SimulatedTime(20.0, clock, clock.sleep)), []
    for _ in range(N_LULLS + 8):
        for frame in range(60):
            at_s = (round(60 * pace.asked()) + 1) / 60
            onsets_s += [at_s] * (frame == 20)
            pace.flipped(at_s, in_trial=frame < 40)
    for n_off in range(1, N_LULLS):
        shifts_s = np.subtract(onsets_s[n_off:], onsets_s[:-n_off])
        assert np.abs(np.diff(shifts_s)).min() > 2 * TOLERANCE_S, f"{n_off} trials off"


# -- neurons that say counts and no times


class Counting:
    """A source with three spikes in each window."""

    name, channels, wants_images = "counting", ("a",), True

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.answers: list[Responses] = []

    def begin(self, settings: dict[str, Any]) -> None:
        pass

    def see(self, batch: StimulusBatch) -> None:
        self.seen += batch.stimulus_ids.tolist()

    def forget(self, stimulus_ids: Any) -> None:
        pass

    def request(self, onsets: Onsets) -> None:
        three = np.full((1, 1), 3, np.int32)
        self.answers.append(Responses(onsets.presentation_ids, np.ones(1, np.bool_), three, three, "simulated"))

    def poll(self) -> list[Responses]:
        answers, self.answers = self.answers, []
        return answers

    def data_age_s(self) -> float:
        return 0.0

    def close(self) -> None:
        pass


def test_counts_without_times_are_scattered_over_their_windows() -> None:
    source = Counting()
    neurons = SeeingNeurons(source, (0.05, 0.2), (-0.05, 0.0))
    neurons.see(7, np.zeros((4, 4, 3), np.uint8))
    spikes = neurons.respond(100, 7, 1.0)
    assert spikes is not None and source.seen == [7] and neurons.knows(7) and not neurons.knows(8)
    times_s, _ = spikes
    assert [((a <= times_s) & (times_s < b)).sum() for a, b in ((0.05, 0.2), (-0.05, 0.0))] == [3, 3]
    with pytest.raises(SourceError, match="no spikes can fit both"):
        SeeingNeurons(source, (0.0, 0.2), (0.0, 0.05)).respond(100, 7, 1.0)


# -- names


def test_channels_are_called_what_the_system_calls_them() -> None:
    units = ("output/18", "output/3")
    assert name_channels("open_ephys", units, ("output/3",)) == units
    assert name_channels("intan_rhx", units, ("A-012",)) == ("A-012", "A-001")
    assert name_channels("plexnet", units, ()) == ("1", "2")
    assert name_channels("bridge", units, ("left",)) == ("left", "output/3")
    with pytest.raises(SourceError, match=r"name 3 channels .* and 2 units are simulated"):
        name_channels("bridge", units, ("a", "b", "c"))
    with pytest.raises(SourceError, match="intan_rhx has no channel 'output/18': there a channel is a native name"):
        adapter_options("intan_rhx", units)
    with pytest.raises(SourceError, match=r"no recording system 'intan' can be simulated\. Did you mean 'intan_rhx'"):
        adapter_options("intan", ["1"])


def test_a_rehearsal_that_cannot_be_says_why() -> None:
    config = parse_config(CONFIG, "the test")
    with pytest.raises(ConfigError, match=r"a rehearsal as plexus: no recording system 'plexus' .* 'plexnet'"):
        Peers(config, "tcp://127.0.0.1:1", True, "headless", "plexus")


@pytest.mark.parametrize(
    ("display", "said"),
    [
        ("on_ms = 17\noff_ms = 17", "An image comes every 34 ms and its windows span 200 ms"),
        ("on_ms = 100\noff_ms = 90", "let on_ms + off_ms of [display] be 200 or more"),
        ("on_ms = 100\noff_ms = 100", ""),
        ("on_ms = 17\noff_ms = 17\nimages_per_trial = 1", ""),
    ],
)
def test_images_that_follow_too_soon_to_be_told_apart_are_said(display: str, said: str) -> None:
    sentence = overlap(parse_config(f"{CONFIG}[display]\n{display}", "the test"))
    assert said in sentence and bool(said) == bool(sentence)


@pytest.mark.parametrize("system", WIRES)
def test_each_system_is_three_programs_that_agree_on_where_to_meet(
    system: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from io import StringIO

    wishes = {"neurons": {"units": "4"}, "channels": [], "settings": {}, "fast": True}
    monkeypatch.setattr(sys, "stdin", StringIO(json.dumps(wishes)))
    say_programs([system, "tcp://127.0.0.1:5670"])
    recording, client, adapter = json.loads(capsys.readouterr().out).values()
    where = [word for word in adapter if "=" in word]
    assert set(where) <= set(recording)
    assert recording[recording.index("--cable") + 1] == client[client.index("--cable") + 1]
