"""What a real Open Ephys GUI and a real Intan RHX sent, byte for byte: every spike and every edge is accounted for."""

import json
import lzma
from collections import Counter as Tally
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from bench import Bench
from numpy.typing import NDArray
from recordings import open_ephys_chunks, recording, table

from adapters.channels import Columns
from adapters.events import Begin, Chunk, Edge, Event, Spikes, Watermark
from adapters.intan_rhx import SPIKE, WAVEFORM, IntanWire
from adapters.live import Wire
from adapters.open_ephys import OpenEphysWire
from adapters.rules import Rules
from protocol.messages import Onsets

Found = set[tuple[int, int]]


def taken(wire: Wire, chunks: Iterator[Chunk]) -> list[Event]:
    """Return all events, having checked that none comes before a watermark that has passed it."""
    events: list[Event] = []
    watermark = -(1 << 60)
    for chunk in chunks:
        for event in wire.take(chunk):
            if isinstance(event, Watermark):
                watermark = max(watermark, event.tick)
            elif isinstance(event, Spikes):
                assert event.ticks.min() >= watermark, "a spike came behind the watermark"
            elif isinstance(event, Edge):
                assert event.tick >= watermark, "an edge came behind the watermark"
            events.append(event)
    return events


def spikes_of(events: list[Event]) -> list[tuple[int, int]]:
    return [
        (tick, column)
        for event in events
        if isinstance(event, Spikes)
        for tick, column in zip(event.ticks.tolist(), event.columns.tolist(), strict=True)
    ]


def counted_by_hand(spikes: list[tuple[int, int]], onset: int, start: int, end: int, n: int) -> list[int]:
    tally = Tally(column for tick, column in set(spikes) if onset + start <= tick < onset + end)
    return [tally[column] for column in range(n)]


def counts_agree(
    wire: Wire, chunks: Callable[[], Iterator[Chunk]], onsets: NDArray[np.int64], rate: float, rules: Rules, end: int
) -> None:
    """Ask for onsets at known edges; compare what is counted with a count by hand, spike by spike."""
    bench = Bench(wire, rules)
    spikes: list[tuple[int, int]] = []
    for chunk in chunks():
        bench.now_s = chunk.at_s
        bench.feed.chunks.append(chunk)
        assert bench.source.poll() == []
    # A second reading, by the same wire's twin, only for the list of spikes.
    twin = type(wire)(*_made_of(wire, rules))
    spikes = spikes_of(taken(twin, chunks()))
    ids = np.arange(len(onsets), dtype=np.int64)
    bench.source.request(Onsets(1, ids, ids, 333.0 + onsets / rate * (1 + 40e-6)))
    answers = bench.source.poll()
    bench.now_s += 10
    answers += bench.source.poll()
    n = len(wire.channels)
    within = onsets + 0.2 * rate < end
    start, stop, before = (round(t * rate) for t in (0.05, 0.2, -0.05))
    n_measured = 0
    for answer in answers:
        for row, presentation in enumerate(answer.presentation_ids.tolist()):
            onset = int(onsets[presentation])
            assert answer.measured[row] == within[presentation], answer.reason
            if answer.measured[row]:
                n_measured += 1
                assert answer.spike_counts[row].tolist() == counted_by_hand(spikes, onset, start, stop, n)
                assert answer.baseline_counts[row].tolist() == counted_by_hand(spikes, onset, before, 0, n)
    assert n_measured == np.count_nonzero(within)


def _made_of(wire: Wire, rules: Rules) -> tuple[object, ...]:
    if isinstance(wire, IntanWire):
        return Columns(wire.channels), rules, wire._rate
    return Columns(wire.channels), rules


# -- Open Ephys


def test_open_ephys_every_ttl_is_in_the_file_that_was_played() -> None:
    folder = recording("openephys_8ch")
    wire = OpenEphysWire(Columns(["Electrode 1"]), Rules())
    events = taken(wire, open_ephys_chunks(folder / "zmq.bin.xz"))
    edges = [(e.tick, (e.line + 1) * (1 if e.rising else -1)) for e in events if isinstance(e, Edge)]
    last = max(e.tick for e in events if isinstance(e, Watermark))
    played = [(tick, line) for tick, line in table(folder / "file_reader_truth.json")["ttl"] if tick < last + 100]
    assert sorted(edges) == sorted(played)
    assert len(edges) == 54


def test_open_ephys_every_spike_is_found() -> None:
    folder = recording("openephys_8ch")
    described = table(folder / "description.json")
    names = sorted(described["spikes_by_electrode"])
    wire = OpenEphysWire(Columns(names), Rules())
    events = taken(wire, open_ephys_chunks(folder / "zmq.bin.xz"))
    tally = Tally(names[column] for _, column in spikes_of(events))
    assert dict(tally) == described["spikes_by_electrode"]
    sent = {
        (header["spike"]["sample_num"], names.index(header["spike"]["electrode"]))
        for chunk in open_ephys_chunks(folder / "zmq.bin.xz")
        if (header := json.loads(chunk.frames[1]))["type"] == "spike"
    }
    assert set(spikes_of(events)) == sent
    assert [e.tick for e in events if isinstance(e, Begin)] == [0]
    assert max(e.tick for e in events if isinstance(e, Watermark)) == described["sample_num_last_block"] + 696 - 100
    assert wire.troubles == {}


def test_open_ephys_presentations_are_counted_as_by_hand() -> None:
    folder = recording("openephys_8ch")
    names = sorted(table(folder / "description.json")["spikes_by_electrode"])
    ttl = table(folder / "file_reader_truth.json")["ttl"]
    onsets = np.array([tick for tick, line in ttl if line == 1 and tick < 301_000], np.int64)
    rules = Rules(lock_trials=1)
    counts_agree(
        OpenEphysWire(Columns(names), rules),
        lambda: open_ephys_chunks(folder / "zmq.bin.xz"),
        onsets, 30_000, rules, end=300_672 + 596,
    )  # fmt: skip


# -- Intan RHX


def intan_chunks() -> Iterator[Chunk]:
    """Yield both streams in the pieces and in the order in which they were received."""
    folder = recording("intan_rhd20k_clean")
    data = {
        WAVEFORM: lzma.decompress((folder / "waveform_5001.bin.xz").read_bytes()),
        SPIKE: (folder / "spike_5002.bin").read_bytes(),
    }
    index = table(folder / "session.json")["recv_index"]
    arrivals = [(at_s, SPIKE, n) for at_s, n in index["spike_5002"]]
    arrivals += [(at_s, WAVEFORM, n) for at_s, n in index["waveform_5001"]]
    place = {WAVEFORM: 0, SPIKE: 0}
    for at_s, port, n in sorted(arrivals):
        yield Chunk(at_s, (data[port][place[port] : place[port] + n],), port)
        place[port] += n
    assert place == {port: len(data[port]) for port in data}


@pytest.fixture(name="intan_channels")
def _intan_channels() -> list[str]:
    return [f"A-{channel:03}" for channel in range(8)]


def test_intan_every_sample_and_every_spike_is_accounted_for(intan_channels: list[str]) -> None:
    folder = recording("intan_rhd20k_clean")
    described = table(folder / "description.json")
    wire = IntanWire(Columns(intan_channels), Rules(), 20_000)
    events = taken(wire, intan_chunks())
    spikes = spikes_of(events)
    raw = np.frombuffer((folder / "spike_5002.bin").read_bytes(), "<u4,S5,<u4,u1")
    assert spikes == [(int(t), intan_channels.index(n.decode())) for _, n, t, _ in raw.tolist()]
    assert dict(Tally(intan_channels[column] for _, column in spikes)) == described["spikes"]["counts"]
    assert [e.tick for e in events if isinstance(e, Begin)] == [0]
    assert events[-1] == Watermark(described["waveform"]["samples"] - 1200)
    assert wire.troubles == {}


def test_intan_every_edge_is_in_the_digital_words(intan_channels: list[str]) -> None:
    events = taken(IntanWire(Columns(intan_channels), Rules(), 20_000), intan_chunks())
    words = intan_digital_words()
    changed = np.flatnonzero(np.diff(words.astype(int)))
    expected = [
        (int(at) + 1, line, bool(words[at + 1] >> line & 1))
        for at in changed
        for line in range(16)
        if (words[at] ^ words[at + 1]) >> line & 1
    ]
    assert [(e.tick, e.line, e.rising) for e in events if isinstance(e, Edge)] == expected
    assert expected


def test_intan_presentations_are_counted_as_by_hand(intan_channels: list[str]) -> None:
    words = intan_digital_words()
    onsets = np.flatnonzero(np.diff((words & 1).astype(int)) == 1) + 1
    rules = Rules(lock_trials=1, lock_onsets=4)
    wire = IntanWire(Columns(intan_channels), rules, 20_000)
    counts_agree(wire, intan_chunks, onsets.astype(np.int64), 20_000, rules, end=172_544 - 1200)


def intan_digital_words() -> NDArray[np.uint16]:
    data = lzma.decompress((recording("intan_rhd20k_clean") / "waveform_5001.bin.xz").read_bytes())
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 2820)[:, 4:]
    return np.ascontiguousarray(blocks).view("<u2").reshape(-1, 11)[:, -1]
