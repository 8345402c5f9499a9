"""Spikes found in voltages: the same in any pieces, few that are none, and few that are missed."""

from contextlib import closing
from fractions import Fraction
from time import monotonic

import numpy as np
import pytest
from bench import BASELINE_S, RESPONSE_S, Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from adapters.channels import Columns
from adapters.detection import DetectionRules, SpikeDetector
from adapters.events import Chunk, Edge, Spikes, Word
from adapters.live import LiveSource
from adapters.peers.block import Script
from adapters.peers.spikeglx import BehindSpikeGlx
from adapters.peers.voltages import voltages
from adapters.rules import Rules
from adapters.source import SourceError, create_source
from adapters.spikeglx import SpikeGlxReader, SpikeGlxWire
from adapters.spikeglx_server import CommandServer
from protocol.messages import Onsets

pytest.importorskip("scipy")
RATE = Fraction(30_000)
N_CHANNELS = 2


def a_script(seconds: int = 8, seed: int = 4) -> Script:
    """Return spikes at least 5 ms apart on each channel, and a pulse on the sync line now and then."""
    random = np.random.default_rng(seed)
    n = seconds * 20
    ticks = np.sort(np.concatenate([np.cumsum(random.integers(150, 3000, n)) for _ in range(N_CHANNELS)]))
    columns = np.tile(np.arange(N_CHANNELS, dtype=np.int32), n)
    keep = np.concatenate([[True] * N_CHANNELS, ticks[N_CHANNELS:] - ticks[:-N_CHANNELS] >= 150])
    keep &= ticks < seconds * 30_000 - 100
    edges = [(int(t) + wait, 6, wait == 0) for t in 75_000 + 6000 * np.arange(5) for wait in (0, 1500)]
    return Script(ticks[keep], columns[keep], np.array(edges, np.int64), np.zeros((0, 2), np.int64))


@pytest.fixture(scope="module", name="samples")
def _samples() -> NDArray[np.int16]:
    return voltages(a_script().blocks(0, 240_000, 3000), N_CHANNELS)


def found(samples: NDArray[np.int16], pieces: list[int]) -> list[tuple[int, int]]:
    detector = SpikeDetector(RATE, N_CHANNELS)
    spikes: list[tuple[int, int]] = []
    start = 0
    while start < len(samples):
        for length in pieces:
            ticks, columns = detector.detect(samples[start : start + length, :N_CHANNELS], start)
            spikes += zip(ticks.tolist(), columns.tolist(), strict=True)
            start += length
    return sorted(spikes)


@settings(max_examples=6, deadline=None)
@given(pieces=st.lists(st.sampled_from([1000, 163, 640, 20_000]), min_size=1, max_size=4))
def test_pieces_do_not_matter(samples: NDArray[np.int16], pieces: list[int]) -> None:
    assert found(samples[:120_000], pieces) == found(samples[:120_000], [120_000])


def test_nearly_all_spikes_are_found_and_hardly_any_others(samples: NDArray[np.int16]) -> None:
    script = a_script()
    spikes = found(samples, [640])
    for column in range(N_CHANNELS):
        true = script.ticks[(script.columns == column) & (script.ticks > 60_000)]
        seen = np.array([tick for tick, where in spikes if where == column])
        hit = np.abs(seen[:, None] - true - 2).min(axis=0) <= 10
        assert hit.mean() > 0.98
        assert len(seen) <= 1.03 * len(true)


def test_noise_alone_gives_few_spikes() -> None:
    noise = np.random.default_rng(5).normal(0, 30, (600_000, 1))
    detector = SpikeDetector(RATE, 1)
    ticks, _ = detector.detect(noise, 0)
    assert len(ticks) < 8
    assert detector.threshold is not None
    assert detector.detect(np.zeros((0, 1)), 600_000)[0].tolist() == []


def test_a_lockout_is_one_spike() -> None:
    silence = np.random.default_rng(6).normal(0, 1, (90_000, 1))
    silence[80_000:80_003], silence[80_020:80_023] = -200, -200
    for lockout_s, n in ((0.002, 1), (0.0002, 2)):
        detector = SpikeDetector(RATE, 1, DetectionRules(k=20, lockout_s=lockout_s))
        assert len(detector.detect(silence, 0)[0]) == n


# -- SpikeGLX


def test_what_is_counted_is_what_is_detected(samples: NDArray[np.int16]) -> None:
    rules = Rules(line=6, lock_trials=1, lock_onsets=2)
    bench = Bench(SpikeGlxWire(Columns(["3", "5"]), rules, RATE, DetectionRules()), rules)
    onsets = 75_000 + 6000 * np.arange(5)
    ids = np.arange(5, dtype=np.int64)
    for start in range(0, 240_000, 301):
        piece = samples[start : start + 301]
        bench.feed.chunks.append(Chunk(0.0, (b"BINARY_DATA 3 %d uint64(%d)" % (len(piece), start), piece.tobytes())))
    bench.source.request(Onsets(1, ids, ids, 55.5 + onsets / 30_000))
    [answer] = bench.source.poll()
    spikes = np.array(found(samples, [640]))
    for row, onset in enumerate(onsets.tolist()):
        for counts, (start_s, end_s) in ((answer.spike_counts, RESPONSE_S), (answer.baseline_counts, BASELINE_S)):
            after = (spikes[:, 0] - onset) / 30_000
            inside = spikes[(after >= start_s) & (after < end_s), 1]
            assert counts[row].tolist() == np.bincount(inside, minlength=2).tolist()
    assert answer.measured.all()


def test_channels_come_in_ascending_order_however_they_are_named() -> None:
    noise = np.random.default_rng(3).normal(0, 9, (30_000, 3))
    noise[20_000:20_003, 0] = -2000
    noise[:, 1] = np.repeat([0, 64, 0], 10_000)
    piece = noise.astype("<i2").tobytes()
    wire = SpikeGlxWire(Columns(["30", "3"]), Rules(line=6), RATE, DetectionRules(k=20, calibration_s=0.1), 20)
    _, spikes, *events = wire.take(Chunk(0.0, (b"BINARY_DATA 3 30000 uint64(0)", piece)))
    assert isinstance(spikes, Spikes)
    assert spikes.columns.tolist() == [1]
    edges = [each for each in events if isinstance(each, Edge)]
    assert edges == [Edge(10_000, 6, True), Edge(20_000, 6, False)]
    with pytest.raises(SourceError, match="none the sync channel 5"), closing(BehindSpikeGlx(["3", "5"])) as peer:
        create_source("spikeglx", {**peer.options, "sync_channel": "5"})


def test_the_sync_word_says_all_its_lines_and_words() -> None:
    noise = np.random.default_rng(3).normal(0, 9, (6000, 2))
    noise[:, 1] = np.repeat([0, 5 << 8, 5 << 8 | 1], 2000)
    rules = Rules(onset="word", line=8, word_bits=8, photodiode="0")
    wire = SpikeGlxWire(Columns(["3"]), rules, RATE, DetectionRules(calibration_s=0.01))
    events = wire.take(Chunk(0.0, (b"BINARY_DATA 2 6000 uint64(0)", noise.astype("<i2").tobytes())))
    assert [each for each in events if isinstance(each, Edge | Word)] == [
        Edge(2000, 8, True), Edge(2000, 10, True), Word(2000, 5), Edge(4000, 0, True),
    ]  # fmt: skip


def test_lost_samples_and_garbage_are_a_new_beginning() -> None:
    wire = SpikeGlxWire(Columns(["3"]), Rules(line=6), RATE, DetectionRules(calibration_s=0.01))
    piece = np.random.default_rng(1).normal(0, 9, (600, 2)).astype("<i2").tobytes()
    kinds = []
    for head in (
        b"BINARY_DATA 2 600 uint64(0)",
        b"BINARY_DATA 2 600 uint64(600)",
        b"BINARY_DATA 2 600 uint64(5000)",
        b"rubbish",
    ):
        kinds += [type(event).__name__ for event in wire.take(Chunk(0.0, (head, piece)))]
    assert kinds.count("Begin") == 2
    assert "a fetch could not be read" in next(iter(wire.troubles))


def test_a_stream_smuggles_no_other_command_in() -> None:
    with (
        closing(BehindSpikeGlx(["3"])) as peer,
        closing(CommandServer(("127.0.0.1", int(peer.options["port"])))) as ours,
    ):
        with pytest.raises(ValueError, match="not among what may be sent"):
            ours.ask("GETSTREAMSAMPLECOUNT 2 0\nSTOPRUN")
        for stream in ("2 0\nSTOPRUN", "2", "imec0"):
            with pytest.raises(SourceError, match="such as '2 0' for the first imec probe"):
                create_source("spikeglx", {**peer.options, "stream": stream})
        assert "STOPRUN" not in peer.heard


def test_what_spikeglx_refuses_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    with closing(BehindSpikeGlx(["3"])) as peer:
        now_s = iter(range(100))
        reader = SpikeGlxReader(("127.0.0.1", int(peer.options["port"])), "2 0", "no#", lambda: float(next(now_s)))
        for _ in range(6):
            reader.read(0.0)
        reader.close()
    assert caplog.text.count("Bad channel string format.; trying again") == 1


def test_spikeglx_is_fetched_from_and_told_nothing() -> None:
    with closing(BehindSpikeGlx(["3", "5"])) as peer, closing(create_source("spikeglx", peer.options)) as source:
        assert isinstance(source, LiveSource)
        peer.play(a_script(4).blocks(0, 120_000, 300))
        deadline_s = monotonic() + 10
        while source.segment is None or source.segment.counter.watermark < 120_000:
            assert monotonic() < deadline_s
            source.poll()
        assert source.segment.aligner.tally.edges == 5
        assert peer.heard <= {"GETSTREAMSAMPLERATE", "GETSTREAMSAMPLECOUNT", "FETCH"}
    with pytest.raises(SourceError, match="Command Server"):
        create_source("spikeglx", peer.options)
