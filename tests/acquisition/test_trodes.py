"""Trodes over its network: what is lost, what breaks, and what is asked of it."""

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from threading import Event
from time import monotonic

import msgpack
import pytest
import zmq
from bench import Bench, judge
from made_up_rig import Rig
from systems import SYSTEMS

from adapters.channels import Columns
from adapters.events import Begin, Chunk, Edge, Gap, Spikes, Watermark, Word
from adapters.live import LiveSource
from adapters.peers.trodes import RATE_HZ, BehindTrodes
from adapters.pump import CUT
from adapters.rules import Rules
from adapters.source import SourceError, create_source
from adapters.trodes import TrodesWire
from adapters.trodes_network import DIGITAL, SPIKES, TrodesReader, look_up

RATE = Fraction(30_000)
A_SPIKE = (
    "84a86e54726f6465496407a7636c757374657201ae6c6f63616c54696d657374616d70cd7530"
    "af73797374656d54696d657374616d70cf18867251edfa0000"
)


def sample(tick: int, lines: int = 0) -> bytes:
    packed: bytes = msgpack.packb({"localTimestamp": tick, "digitalData": [b"\x55" + lines.to_bytes(4, "little")]})
    return packed


def a_wire(rules: Rules | None = None) -> TrodesWire:
    return TrodesWire(Columns(["7", "9:2"]), rules or Rules(), RATE, 100)


def digital(*messages: bytes) -> Chunk:
    return Chunk(0.0, messages, DIGITAL)


def test_a_spike_is_read_as_trodes_packs_it() -> None:
    wire = a_wire()
    begin, _ = wire.take(digital(sample(29_990)))
    assert begin == Begin(32_990, RATE, "we joined")
    [spikes] = wire.take(Chunk(0.0, (bytes.fromhex(A_SPIKE),), SPIKES))
    assert isinstance(spikes, Spikes)
    assert (spikes.ticks.tolist(), spikes.columns.tolist()) == ([30_000], [0])


def test_clusters_of_an_ntrode_are_told_apart() -> None:
    wire = a_wire()
    wire.take(digital(sample(100)))
    spikes = [{"nTrodeId": 9, "cluster": cluster, "localTimestamp": 101 + cluster} for cluster in (0, 2)]
    [said] = wire.take(Chunk(0.0, tuple(msgpack.packb(each) for each in spikes), SPIKES))
    assert isinstance(said, Spikes)
    assert (said.ticks.tolist(), said.columns.tolist()) == ([103], [1])
    assert wire.columns.uncounted == {"9": 1}


def test_only_the_lines_that_matter_make_edges() -> None:
    wire = a_wire(Rules(onset="word", line=8, word_bits=4, photodiode="2"))
    wire.take(digital(sample(100)))
    *events, _ = wire.take(digital(sample(101, 1 << 20), sample(102, 0b101 << 8), sample(103, 0b101 << 8 | 4)))
    assert events == [Edge(102, 8, True), Edge(102, 10, True), Word(102, 5), Edge(103, 2, True)]


def test_samples_that_are_left_out_are_a_gap_that_takes_the_next_edge_along() -> None:
    wire = a_wire()
    wire.take(digital(sample(10_000)))
    gap, edge, _, watermark = wire.take(digital(sample(10_004, 1)))
    assert gap == Gap(7_001, 10_005, "3 lost samples", 3)
    assert edge == Edge(10_004, 0, True)
    assert watermark == Watermark(7_005)


def test_a_spike_that_cannot_be_read_is_a_gap_and_not_a_silence() -> None:
    wire = a_wire()
    wire.take(digital(sample(10_000)))
    wire.take(Chunk(0.0, (b"\x81\xa1x\x01",), SPIKES))
    gap, _ = wire.take(digital(sample(10_001)))
    assert gap == Gap(7_001, 13_001, "1 spikes that could not be read", 1)
    assert "could not be read" in next(iter(wire.troubles))


def test_lost_digital_messages_spoil_what_they_touch_and_nothing_else() -> None:
    system = SYSTEMS["trodes"]
    rig = system.make_rig(n_trials=12)

    def lossy() -> Iterator[tuple[int, list[Chunk]]]:
        for tick, chunks in system.speak(rig):
            lost = tick // 20 % 150 == 0
            yield (
                tick,
                [Chunk(0.0, each.frames[3:], each.port) if lost and each.port == DIGITAL else each for each in chunks],
            )

    verdict = judge(rig, Bench(system.wire(rig, Rules())).run(rig, lossy()))
    assert verdict.wrong == 0
    assert verdict.right > verdict.not_measured > 0


def test_spikes_wait_for_digital_inputs_that_are_seconds_behind() -> None:
    system = SYSTEMS["trodes"]
    rig = system.make_rig(n_trials=6)

    def apart() -> Iterator[tuple[int, list[Chunk]]]:
        held: list[Chunk] = []
        for tick, chunks in system.speak(rig):
            held += [each for each in chunks if each.port == DIGITAL]
            stalls = rig.true_ticks[12] <= tick < rig.true_ticks[12] + 3 * rig.rate
            told, held = ([], held) if stalls else (held, [])
            yield tick, [each for each in chunks if each.port == SPIKES] + told

    verdict = judge(rig, Bench(system.wire(rig, Rules())).run(rig, apart()))
    assert (verdict.wrong, verdict.not_measured) == (0, 0)


def until(source: LiveSource, enough: int) -> LiveSource:
    end_s = monotonic() + 20
    while monotonic() < end_s and (source.segment is None or source.segment.aligner.tally.edges < enough):
        source.poll()
        Event().wait(0.001)
    return source


def test_trodes_is_only_asked_where_its_sources_are_and_how_fast_it_samples() -> None:
    rig = Rig(n_trials=1, n_channels=2, first_tick=0, rate=Fraction(RATE_HZ))
    with closing(BehindTrodes(["1", "2"])) as peer, closing(create_source("trodes", peer.options)) as source:
        assert isinstance(source, LiveSource)
        source.begin({})
        peer.play(rig.script.blocks(0, rig.end_tick, 300))
        until(source, 5)
        assert source.segment is not None
        assert (source.segment.aligner.tally.edges, source.segment.ticks_per_s) == (5, RATE_HZ)
        assert source.wire.troubles == {}
    asked = [question.get("name", question.get("request")) for question in peer.heard]
    assert asked == ["trodes.info", "timerate", "source.digital", "source.spikes"]
    with pytest.raises(ValueError, match="not among what may be looked up"):
        look_up(("127.0.0.1", 1), "trodes.hardware")


def test_a_connection_that_breaks_is_a_cut() -> None:
    rig = Rig(n_trials=1, n_channels=1, first_tick=0, rate=RATE)
    with closing(BehindTrodes(["1"])) as peer:
        reader = TrodesReader(("127.0.0.1", int(peer.options["port"])))
        assert reader.read(0.1) == [(CUT, (b"a connection was made",))]
        peer.play(rig.script.blocks(0, 300, 300))
        read: list[tuple[int, tuple[bytes, ...]]] = []
        end_s = monotonic() + 10
        while monotonic() < end_s and not read:
            read = reader.read(0.01)
    while monotonic() < end_s and read[-1][0] != CUT:
        read += reader.read(0.01)
    reader.close()
    assert read[-1] == (CUT, (b"a connection to Trodes broke",))


def test_no_trodes_and_a_trodes_that_keeps_to_itself_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.trodes_network.TIMEOUT_S", 0.05)
    with pytest.raises(SourceError, match="Is it running, with its network on"):
        create_source("trodes", {"channels": "1", "port": "1"})
    with pytest.raises(SourceError, match="are ids of nTrodes"):
        create_source("trodes", {"channels": "left"})
    with closing(BehindTrodes(["1"])) as peer:
        monkeypatch.setattr("adapters.trodes_network.TIMEOUT_S", 5)
        monkeypatch.setattr("adapters.trodes_network.LOOPBACK", ("127.0.0.1",))
        with pytest.raises(SourceError, match=r"has no source.spikes yet"):
            del peer.endpoints["source.spikes"]
            look_up(("127.0.0.1", int(peer.options["port"])), "source.spikes")
        with pytest.raises(SourceError, match="on its own PC only"):
            look_up(("localhost", int(peer.options["port"])), "source.digital")


def test_an_endpoint_that_is_none_is_said_once_and_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    with closing(BehindTrodes(["1"])) as peer:
        peer.endpoints["source.spikes"] = "nonsense"
        now_s = iter(range(100))
        reader = TrodesReader(("127.0.0.1", int(peer.options["port"])), lambda: float(next(now_s)))
        assert [reader.read(0.0), reader.read(0.0)] == [[], []]
        reader.close()
    assert caplog.text.count("nonsense is no address") == 1


def test_a_service_that_is_no_trodes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with zmq.Context() as context, context.socket(zmq.XPUB) as stranger:
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        monkeypatch.setattr("adapters.trodes_network.subscribed", lambda _: _Saying(b"\x93\x01\x02\x03"))
        with pytest.raises(SourceError, match=r"no Trodes: it said \[1, 2, 3\]"):
            look_up(("127.0.0.1", port), "source.digital")


class _Saying:
    """A socket that has one message."""

    def __init__(self, message: bytes) -> None:
        self.recv = lambda: message

    def poll(self, timeout_ms: int) -> bool:
        return True

    def close(self) -> None: ...
