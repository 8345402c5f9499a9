"""What every recording system's wire must do, spoken to by a peer that talks as the real program does."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice, pairwise
from math import ceil

import numpy as np
import pytest
from bench import Bench, Verdict, in_pieces, judge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up_rig import BASELINE_S, RESPONSE_S, Faults, Rig
from systems import SYSTEMS, Stream, System, names, tellable

from adapters.events import Chunk
from adapters.peers.block import Block, Script
from adapters.peers.bridge import BridgePeer
from adapters.pump import CUT
from adapters.rules import Rules

N_TRIALS = 8
ALL = pytest.mark.parametrize("name", SYSTEMS)


def answered(system: System, rig: Rig, stream: Stream) -> Verdict:
    rules = Rules()
    verdict = judge(rig, Bench(system.wire(rig, rules), rules).run(rig, stream))
    asked = np.concatenate([trial.presentation_ids for trial in rig.trials])
    assert sorted(verdict.ids) == sorted(asked.tolist()), "each presentation is answered once"
    assert verdict.wrong == 0
    return verdict


@ALL
def test_exact_counts(name: str) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=N_TRIALS)
    assert answered(system, rig, system.speak(rig)).right == 5 * N_TRIALS


@ALL
def test_onsets_that_are_missing_double_or_spurious(name: str) -> None:
    system = SYSTEMS[name]
    faults = Faults(missing=0.03, double=0.03, spurious_hz=0.3, void=0.1, drift=100e-6)
    rig = system.make_rig(n_trials=3 * N_TRIALS, faults=faults)
    verdict = answered(system, rig, system.speak(rig))
    assert verdict.right > 3 * verdict.not_measured > 0


@pytest.mark.parametrize("name", ["open_ephys", "event_broadcaster_raw", "intan_rhx", "spikeglx", "trodes", "tdt"])
def test_a_word_that_stands_while_the_photodiode_flashes_is_one_word(name: str) -> None:
    system, rules = SYSTEMS[name], Rules(onset="word", line=8, word_bits=8, photodiode="0")
    rig = system.make_rig(n_trials=N_TRIALS, word_bits=8)
    rig.script = replace(rig.script, edges=words_on_lines(rig), words=np.zeros((0, 2), np.int64))
    verdict = judge(rig, Bench(system.wire(rig, rules), rules).run(rig, system.speak(rig)))
    assert verdict.not_measured == 0, verdict.reasons


def words_on_lines(rig: Rig) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return [n_edges, 3]: each word stands on lines 8 to 15 for 50 ms, and the flash comes 4 ms after it on line 0."""
    ms = float(rig.rate) / 1000
    rows = []
    for tick, word in rig.script.words.tolist():
        bits = [bit for bit in range(8) if word >> bit & 1]
        rows += [(tick + round(late), 8 + bit, up) for bit in bits for late, up in ((0, 1), (50 * ms, 0))]
        rows += [(tick + round(4 * ms), 0, 1), (tick + round(24 * ms), 0, 0)]
    return np.array(sorted(rows, key=lambda row: row[0]))


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_lost_chunks_are_not_zeros(name: str, seed: int) -> None:
    system = SYSTEMS[name]
    if system.bytestream or not system.numbered:
        pytest.skip("TCP, and LSL over it, lose nothing without a cut")
    rig = system.make_rig(n_trials=2 * N_TRIALS, seed=seed)
    random = np.random.default_rng(seed)

    def lossy() -> Stream:
        for tick, chunks in system.speak(rig):
            yield tick, [chunk for chunk in chunks if random.random() > 0.002 or tick == rig.first_tick]

    assert answered(system, rig, lossy()).right > 0


@ALL
def test_what_is_repeated_counts_once(name: str) -> None:
    system = SYSTEMS[name]
    if system.bytestream or not system.repeats:
        pytest.skip("TCP repeats nothing; nor do fetches, each of which is asked for from where the last one ended")
    rig = system.make_rig(n_trials=N_TRIALS)
    twice = ((tick, [again for chunk in chunks for again in (chunk, chunk)]) for tick, chunks in system.speak(rig))
    assert answered(system, rig, twice).right == 5 * N_TRIALS


@ALL
def test_onsets_at_the_ends_of_blocks_and_spikes_at_the_ends_of_windows(name: str) -> None:
    system = SYSTEMS[name]
    first, second = islice((tick for tick, _ in system.speak(system.make_rig(n_trials=1))), 1, 3)
    rig = system.make_rig(n_trials=N_TRIALS, block=second - first)
    assert {(tick - rig.first_tick + 1) % (second - first) for tick in rig.true_ticks.tolist()} <= {0, 1, 2}
    ends = [ceil(Fraction(str(end_s)) * rig.rate) for window_s in (RESPONSE_S, BASELINE_S) for end_s in window_s]
    at_ends = np.unique(np.add.outer(rig.true_ticks, [end - before for end in ends for before in (0, 1)]))
    both = np.unique(np.concatenate([rig.script.ticks * 4 + rig.script.columns, at_ends * 4]))
    script = replace(rig.script, ticks=both // 4, columns=(both % 4).astype(np.int32))
    rig.script = tellable(script, rig, system.resolution)
    assert answered(system, rig, system.speak(rig)).right == 5 * N_TRIALS


@dataclass(frozen=True, slots=True, eq=False)
class Shifted(Script):
    """A recording whose edges are told so many ticks behind their time, or before it."""

    behind: int

    def block(self, start: int, end: int) -> Block:
        edges = Script.block(self, start - self.behind, end - self.behind).edges
        return replace(Script.block(self, start, end), edges=edges)


@pytest.mark.parametrize(
    ("name", "behind_s"),
    [("plexnet", 0.05), ("plexnet", -0.05), ("lsl", 0.05), ("lsl", -0.05), ("bridge", -0.05), ("open_ephys", -0.02)],
)
def test_an_onset_may_be_told_before_or_behind_the_data_of_its_time(name: str, behind_s: float) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=N_TRIALS)
    script = rig.script
    rig.script = Shifted(script.ticks, script.columns, script.edges, script.words, round(behind_s * rig.rate))
    assert answered(system, rig, system.speak(rig)).right == 5 * N_TRIALS


def test_clocks_that_drift_apart_for_two_hours() -> None:
    rig = Rig(n_trials=320, pause_s=(17.0, 28.0), spike_hz=5.0, faults=Faults(drift=100e-6))
    assert rig.end_tick - rig.first_tick > 7200 * rig.rate
    peer = BridgePeer(names(rig), rig.rate)
    around = np.add.outer(rig.true_ticks[::5], 6000 * np.arange(-2, 13))

    def in_long_and_short_blocks() -> Stream:
        yield rig.first_tick, [Chunk(0.0, message) for message in peer.hello(rig.first_tick)]
        for start, end in pairwise(np.unique([rig.first_tick, *around.ravel(), rig.end_tick]).tolist()):
            yield end, [Chunk(0.0, message) for message in peer.say(rig.script.block(start, end))]

    verdict = answered(SYSTEMS["bridge"], rig, in_long_and_short_blocks())
    assert verdict.right == 5 * 319, "all but the first trial, which is given up before the second comes"


@ALL
@pytest.mark.parametrize("piece", [1, 7, 1000, "any"])
def test_pieces_of_a_byte_stream_mean_nothing(name: str, piece: int | str) -> None:
    system = SYSTEMS[name]
    if not system.bytestream:
        pytest.skip("messages come whole")
    rig = system.make_rig(n_trials=2, n_channels=2)
    random = np.random.default_rng(7)

    def cut(data: bytes) -> list[bytes]:
        sizes = random.geometric(1 / 40, len(data)) if piece == "any" else np.full(len(data), piece)
        ends = [0, *np.cumsum(sizes).tolist()]
        return [data[begin:end] for begin, end in pairwise(ends) if begin < len(data)]

    assert answered(system, rig, in_pieces(system.speak(rig), cut)).right == 10


@ALL
def test_a_stall_delays_and_spoils_nothing(name: str) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=N_TRIALS)

    def stalling() -> Stream:
        held: list[Chunk] = []
        for tick, chunks in system.speak(rig):
            held += chunks
            if not rig.true_ticks[12] <= tick < rig.true_ticks[12] + rig.rate:
                yield tick, held
                held = []

    assert answered(system, rig, stalling()).right == 5 * N_TRIALS


@ALL
def test_a_cut_connection_spoils_what_it_cut(name: str) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=3 * N_TRIALS)

    def cut() -> Stream:
        done = False
        for tick, chunks in system.speak(rig):
            if tick >= rig.true_ticks[61] and not done:
                done = True
                yield tick, [Chunk(0.0, (b"the connection broke",), CUT)]
            else:
                yield tick, chunks

    verdict = answered(system, rig, cut())
    assert verdict.not_measured > 0
    assert verdict.right > 5 * N_TRIALS


@ALL
def test_a_new_run_in_the_middle_of_a_window_spoils_it(name: str) -> None:
    system = SYSTEMS[name]
    first, second = system.make_rig(n_trials=N_TRIALS), system.make_rig(n_trials=N_TRIALS, seed=2)
    second.ids += 1_000_000_000
    second.trials = [
        type(t)(t.trial, t.presentation_ids + 1_000_000_000, t.stimulus_ids, t.onsets_s) for t in second.trials
    ]
    middle = int(first.true_ticks[22]) + 500
    rules = Rules()
    bench = Bench(system.wire(first, rules), rules)
    answers = bench.run(first, (each for each in system.speak(first) if each[0] < middle))
    before = judge(first, answers)
    assert before.wrong == 0
    after = judge(second, bench.run(second, system.speak(second)))
    assert (after.wrong, after.not_measured) == (0, 0)


@ALL
def test_silence_is_noticed_within_a_second(name: str, caplog: pytest.LogCaptureFixture) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=2)
    bench = Bench(system.wire(rig, Rules()))
    for tick, chunks in system.speak(rig):
        bench.now_s = tick / float(rig.rate)
        bench.feed.chunks += [Chunk(bench.now_s, chunk.frames, chunk.port) for chunk in chunks]
        bench.source.poll()
    assert bench.source.data_age_s() < 0.1
    caplog.clear()
    bench.now_s += 0.95
    bench.source.poll()
    assert bench.source.data_age_s() > 0.9
    assert "no new data" in caplog.text


def garbled(stream: Stream, random: np.random.Generator) -> Iterator[tuple[int, list[Chunk]]]:
    """Yield a stream in which some bytes are others."""
    for tick, chunks in stream:
        yield tick, [Chunk(0.0, tuple(_garbled(f, random) for f in chunk.frames), chunk.port) for chunk in chunks]


def _garbled(frame: bytes, random: np.random.Generator) -> bytes:
    if not frame or random.random() > 0.02:
        return frame
    at = int(random.integers(len(frame)))
    return frame[:at] + random.bytes(int(random.integers(4))) + frame[at + int(random.integers(3)) :]


@ALL
@pytest.mark.parametrize("seed", range(3))
def test_garbage_breaks_nothing(name: str, seed: int) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=2)
    bench = Bench(system.wire(rig, Rules()))
    answers = bench.run(rig, garbled(system.speak(rig), np.random.default_rng(seed)))
    assert sorted(judge(rig, answers).ids) == rig.ids.tolist()


@ALL
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_bytes_break_nothing(name: str, data: st.DataObject) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=1)
    wire = system.wire(rig, Rules())
    real = (chunk.frames[0] for _, chunks in system.speak(rig) for chunk in chunks)
    frame = st.one_of(st.binary(max_size=600), st.sampled_from(list(islice(real, 40))))
    for frames in data.draw(st.lists(st.lists(frame, min_size=1, max_size=3), max_size=6)):
        wire.take(Chunk(0.0, tuple(frames), data.draw(st.sampled_from([0, 1]))))
