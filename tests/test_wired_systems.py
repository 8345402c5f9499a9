"""Wires that tell less than each spike: voltages, counts in bins, a message a sample. Counted is what was fired."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from fractions import Fraction
from math import inf
from time import monotonic

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters.detection import DetectionRules, SpikeDetector
from adapters.events import Edge
from adapters.live import LiveSource
from adapters.peers.behind import BEHIND, Behind
from adapters.peers.block import Block, Place, Resolution
from adapters.peers.spikeglx import KEPT_S, N_CHANNELS, BehindSpikeGlx
from adapters.peers.trodes import BehindTrodes
from adapters.peers.voltages import LATE, Voltages, peak_for
from adapters.source import SourceError, create_source
from protocol.messages import Onsets, Responses
from simulator.recording import Oscillator, Recording
from simulator.room import Wish, find_room
from simulator.trains import Trains
from simulator.wires import WIRES, check_channels, free_ports, recording_options

pytest.importorskip("scipy")
RESPONSE_S, BASELINE_S = (0.05, 0.2), (0.0, 0.05)
SETTINGS = {"response_window_s": list(RESPONSE_S), "baseline_window_s": list(BASELINE_S)}
N_TRIALS, N_IMAGES = 5, 5
N_SHOWINGS = N_TRIALS * N_IMAGES
CHANNELS = {
    "intan_rhx": ["A-003", "A-001"],
    "spikeglx": ["7", "3"],  # which SpikeGLX sends the other way round
    "trodes": ["7:3", "2"],
    "tdt": ["3:2", "1"],
}
DEADLINE_S = 60


def fired(random: np.random.Generator) -> Trains:
    """Return busy showings: 50 to 70 spikes a second and channel, some in bursts, some at the edges of the windows."""
    rows = np.repeat(np.arange(N_SHOWINGS), random.poisson(20, N_SHOWINGS))
    times_s = random.uniform(0, 0.2, len(rows))
    times_s[::7] = random.choice([0.0, 0.0499999, 0.05, 0.050001, 0.1999], len(times_s[::7]))
    bursts_s = times_s[::5, None] + np.array([0.0003, 0.0021])
    times_s, rows = np.append(times_s, bursts_s), np.append(rows, np.repeat(rows[::5], 2))
    channels = random.integers(0, 2, len(rows))
    inside = times_s < RESPONSE_S[1]
    # As a source says them.
    times = np.round(times_s[inside], 6).astype(np.float32)
    return Trains(times, rows[inside].astype(np.int32), channels[inside].astype(np.int32))


def shown_s(random: np.random.Generator) -> NDArray[np.float64]:
    """Return [n_trials, n_images] onsets on the display's clock, some time after the recording began at 1000 s."""
    return 1003 + np.cumsum(random.uniform(1.3, 1.9, N_TRIALS))[:, None] + 0.2 * np.arange(N_IMAGES)


def until(done: Callable[[], bool], what: str) -> None:
    end_s = monotonic() + DEADLINE_S
    while not done():
        assert monotonic() < end_s, f"{what} in {DEADLINE_S} s"
        threading.Event().wait(0.001)


def paced(recording: Recording, peer: Behind, source: LiveSource, end_s: float) -> Iterator[Block]:
    """Yield the blocks no faster than they are counted."""

    def is_near(tick: float) -> bool:
        source.poll()
        return source.segment is None or source.segment.counter.watermark > tick

    while recording.can_give(peer.block, end_s):
        block = recording.block(peer.block)
        until(lambda tick=block.start - peer.rate / 2: is_near(tick), "the adapter does not follow")  # type: ignore[misc]
        yield block


def answered(source: LiveSource, onsets_s: NDArray[np.float64]) -> list[Responses]:
    answers: list[Responses] = []
    for trial, each_s in enumerate(onsets_s):
        ids = trial * N_IMAGES + np.arange(N_IMAGES, dtype=np.int64)
        source.request(Onsets(trial, ids, ids, each_s))

    def all_came() -> bool:
        answers.extend(source.poll())
        return sum(len(each.measured) for each in answers) == N_SHOWINGS

    until(all_came, "the adapter does not answer")
    return answers


@pytest.mark.parametrize("system", [name for name in WIRES if name != "lsl"])
def test_each_wire_gives_the_counts_that_were_fired_showing_by_showing(system: str) -> None:
    random = np.random.default_rng(8)
    trains, onsets_s = fired(random), shown_s(random)
    with (
        closing(BEHIND[system](CHANNELS.get(system, ["7", "3"]))) as peer,
        closing(create_source(system, peer.options)) as source,
    ):
        assert isinstance(source, LiveSource)
        clock = Oscillator(peer.rate, first_s=1000.0, drift=50e-6)
        line = int(peer.options.get("line", 0))
        recording = Recording(clock, line, (RESPONSE_S, BASELINE_S), peer.resolution)
        for row, onset_s in enumerate(onsets_s.ravel().tolist()):
            mine = trains.rows == row
            recording.show(onset_s, trains.times_s[mine].astype(np.float64), trains.channels[mine])
        source.begin(SETTINGS)
        peer.play(paced(recording, peer, source, float(onsets_s.max()) + 1))
        answers = answered(source, onsets_s)
    rows = np.concatenate([each.presentation_ids for each in answers])
    for window_s, name in ((RESPONSE_S, "spike_counts"), (BASELINE_S, "baseline_counts")):
        counts = np.concatenate([getattr(each, name) for each in answers])
        np.testing.assert_array_equal(counts, trains.counts(window_s, N_SHOWINGS, 2)[rows])
    assert np.concatenate([each.measured for each in answers]).all()
    assert recording.n_crowded == 0


# -- room for spikes

SOME = st.lists(st.integers(0, 400), max_size=30)


@given(spikes=SOME, others=SOME, walls=st.lists(st.integers(1, 400), max_size=3), apart=st.integers(1, 30))
def test_spikes_keep_their_distance_and_stay_between_their_walls(
    spikes: list[int], others: list[int], walls: list[int], apart: int
) -> None:
    edges = [-inf, *sorted(walls), inf]
    taken = find_room([Wish(tick) for tick in sorted(others)], [], apart)
    places = np.searchsorted(edges, sorted(spikes), side="right").tolist()
    wishes = [
        Wish(tick, edges[place - 1], edges[place] - 1) for tick, place in zip(sorted(spikes), places, strict=True)
    ]
    ticks = find_room(wishes, taken, apart)
    assert (np.diff(sorted([*ticks, *taken])) >= apart).all()
    n_between = [np.searchsorted(sorted(spikes), edge) for edge in edges]
    assert (np.diff([np.searchsorted(ticks, edge) for edge in edges]) <= np.diff(n_between)).all()
    if len(ticks) == len(spikes):
        assert np.searchsorted(edges, ticks, side="right").tolist() == places


def test_spikes_with_room_stay_where_they_are_and_the_last_ones_make_room_before_a_wall() -> None:
    def find(*ticks: int, last: int = 100, taken: tuple[int, ...] = ()) -> list[int]:
        return find_room([Wish(tick, 0, last) for tick in ticks], taken, 10)

    assert find(3, 20, 100) == [3, 20, 100]
    assert find(3, 5, 12) == [3, 13, 23]
    assert find(90, 95, 99) == [80, 90, 100]
    assert find(50, taken=(45,)) == [55]
    assert find(96, taken=(95,)) == [85]
    assert find(*range(0, 101, 5)) == list(range(0, 101, 10)), "eleven have room, and ten have none"


def test_more_spikes_than_a_detector_could_find_are_not_recorded_and_counted_as_such() -> None:
    recording = Recording(Oscillator(Fraction(1000)), 0, [BASELINE_S, RESPONSE_S], Resolution(apart=2, late=1))
    recording.show(0.0, np.linspace(0, 0.0499, 40), np.zeros(40, np.int32))
    ticks = recording.block(1000).ticks
    assert (len(ticks), ticks.max(), recording.n_crowded) == (25, 48, 15)


def test_a_wire_that_cannot_tell_of_the_past_has_no_pulse_of_an_onset_that_comes_late() -> None:
    recording = Recording(Oscillator(Fraction(1000)), 0, [BASELINE_S], Resolution(bin=10, of_the_past=False))
    recording.block(100)
    recording.show(0.095, np.array([0.01]), np.zeros(1, np.int32))
    recording.show(0.205, np.array([0.0]), np.zeros(1, np.int32))
    block = recording.block(200)
    assert recording.n_late == 1
    assert (block.ticks.tolist(), block.edges) == ([200], (Edge(200, 0, True), Edge(205, 0, False)))


# -- voltages


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), k=st.sampled_from([3.5, 4.5, 8.0]), lockout_ms=st.sampled_from([1, 2, 3]))
def test_the_detector_finds_each_spike_in_the_voltages_once_and_no_other(seed: int, k: float, lockout_ms: int) -> None:
    random = np.random.default_rng(seed)
    n_ticks, apart = 150_000, 30 * lockout_ms + LATE
    ticks = [find_room([Wish(t) for t in np.sort(random.integers(0, n_ticks - 50, 500)).tolist()], [], apart)] * 2
    both = sorted((tick, column) for column, each in enumerate(ticks) for tick in each if tick < n_ticks - 50)
    blocks = [
        Block(start, start + 300, *(np.array([s[i] for s in both if start <= s[0] < start + 300], int) for i in (0, 1)))
        for start in range(0, n_ticks, 300)
    ]
    made = Voltages(2, peak_for(k), seed=seed)
    samples = np.concatenate([made.take(block) for block in blocks])[:, :2]
    rules = DetectionRules(k, lockout_ms / 1000)
    detector = SpikeDetector(Fraction(30_000), 2, rules)
    found = sorted(zip(*(each.tolist() for each in detector.detect(samples, 0)), strict=True))
    measured_from = round(rules.calibration_s * 30_000)
    true = [spike for spike in both if spike[0] >= measured_from]
    late = [tick - spike for (tick, _), (spike, _) in zip(found[-len(true) :], true, strict=True)]
    assert len(found) - len(true) <= 2, "but for spikes that began before the noise was measured"
    assert min(late) >= 0 and max(late) <= LATE


def test_spikeglx_keeps_some_seconds_and_says_so() -> None:
    with closing(BehindSpikeGlx(["3", "5"], Place({"line": "6", "k": "5"}, wait_s=0))) as peer:
        with pytest.raises(TimeoutError, match="nobody fetches"):
            peer.play([])
        assert peer.answer("GETSTREAMSAMPLECOUNT 2 0") == b"0\nOK\n"
        assert peer.answer("FETCH 2 0 0 100 5#3#384# 1") == b"BINARY_DATA 385 0 uint64(0)\nOK\n"
        peer.play([Block(0, 300, edges=(Edge(100, 6, True),)), Block(300, 600)])
        head, _, data = peer.answer("FETCH 2 0 50 100 5#384#3# 1").partition(b"\n")
        assert head == b"BINARY_DATA 3 100 uint64(50)"
        rows = np.frombuffer(data[:-3], "<i2").reshape(100, 3)
        assert rows[:, 2].tolist() == [0] * 50 + [64] * 50
        assert set(np.abs(rows[:, :2]).ravel().tolist()) == {20}
        peer.play([Block(600 + KEPT_S * 30_000, 900 + KEPT_S * 30_000)])
        assert peer.answer("FETCH 2 0 300 100 3# 1") == b"ERROR FETCH: Too late.\n"
        assert peer.answer("FETCH 2 0 300 100 385# 1") == b"ERROR Channel 385 out of range [0..384].\n"
        assert peer.answer("GETSTREAMSAMPLERATE 0 0").startswith(b"ERROR GETSTREAMSAMPLERATE: Not running")
    with pytest.raises(SourceError, match="channel 384 is the sync word"):
        BehindSpikeGlx([str(N_CHANNELS - 1)])


# -- a recording that begins after its adapter


@pytest.mark.parametrize(("system", "behind"), [("spikeglx", BehindSpikeGlx), ("trodes", BehindTrodes)])
def test_an_adapter_waits_for_a_program_that_is_not_there_yet(system: str, behind: type[Behind]) -> None:
    options = {"port": str(free_ports(1)[0]), "channels": "2"}
    made: list[Behind] = []
    beginning = threading.Timer(0.3, lambda: made.append(behind(["2"], Place(options))))
    beginning.start()
    with closing(create_source(system, {**options, "wait_s": "30"})) as source:
        beginning.join()
        with closing(made[0]):
            assert source.channels == ("2",)


# -- names and options


def test_channels_are_what_each_system_has() -> None:
    check_channels("spikeglx", ["0", "383"])
    check_channels("tdt", ["5", "5:1"])
    with pytest.raises(SourceError, match="tdt has no channel '0': there a channel is a number from 1"):
        check_channels("tdt", ["0"])
    with pytest.raises(SourceError, match="spikeglx has no channel '384': there a channel is a number from 0 to 383"):
        check_channels("spikeglx", ["384"])


def test_trodes_samples_more_slowly_where_time_is_simulated() -> None:
    assert recording_options("trodes", fast=False) == {"rate_hz": "30000"}
    assert recording_options("trodes", fast=True) == {"rate_hz": "5000"}
    assert recording_options("plexnet", fast=True) == {}
