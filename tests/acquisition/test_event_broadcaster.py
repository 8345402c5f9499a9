"""Open Ephys' Event Broadcaster: onsets of other streams, placed by what both plugins say of the same spikes."""

import json
import struct
from contextlib import closing
from fractions import Fraction
from time import monotonic

import pytest
from made_up_rig import Rig

from adapters.events import Edge, Word
from adapters.live import LiveSource
from adapters.open_ephys_events import BroadcastLines, Stamp, Ttl, parse
from adapters.peers.block import Block
from adapters.peers.event_broadcaster import BehindEventBroadcaster
from adapters.rules import Rules
from adapters.source import SourceError, create_source

RATE = Fraction(30_000)
RAW_TTL = "01036400214e000040e20100000000002eff21fdf675104000010100000000000000"
RAW_SPIKE = "02016700214e0400c801000000000000c58f31772d218f3f0200000048c20000803f000000c0"
TTL, SPIKE = b"\0\0", b"\1\0"


def json_ttl(sample: int, line: int, state: bool = True, stream: str = "AP") -> tuple[bytes, bytes]:
    event = {"event_type": "ttl", "stream": stream, "sample_number": sample, "line": line, "state": state}
    return TTL, json.dumps(event).encode()


def raw_ttl(time_s: float, sample: int = 1, stream: int = 20_002) -> tuple[bytes, bytes]:
    return TTL, struct.pack("<BBHHHqdBBQ", 1, 3, 100, stream, 0, sample, time_s, 0, 1, 1)


def raw_spike(sample: int, time_s: float, stream: int = 20_001) -> tuple[bytes, bytes]:
    return SPIKE, struct.pack("<BBHHHqdH", 2, 1, 102, stream, 0, sample, time_s, 0) + bytes(12)


def known(lines: BroadcastLines, n_spikes: int = 30) -> BroadcastLines:
    """Return it after as many spikes as show which stream is ours: sample 30,000 is at 101 s."""
    for sample in range(1000, 1000 * (n_spikes + 1), 1000):
        lines.see_spike(sample)
        lines.hear(raw_spike(sample, 100 + sample / 30_000))
    lines.settle("AP", 1000 * (n_spikes + 1), RATE)
    return lines


def test_messages_are_read_as_the_plugin_packs_them() -> None:
    ttl = parse((TTL, bytes.fromhex(RAW_TTL)))
    assert ttl == Ttl("20001", 123_456, 0, True, pytest.approx(4.1152), 1)
    spike = parse((SPIKE, bytes.fromhex(RAW_SPIKE)))
    assert isinstance(spike, Stamp)
    assert (spike.stream, spike.sample) == ("20001", 456)
    assert parse(json_ttl(77, 3, False)) == Ttl("AP", 77, 3, False)
    assert parse((SPIKE, b'{"event_type":"spike"}')) is None


def test_lines_of_one_sample_make_one_word() -> None:
    lines = BroadcastLines("", Rules(word_bits=8), {})
    for line in (0, 2):
        lines.hear(json_ttl(500, line))
    assert lines.settle("AP", 400, RATE) == [], "its time is not past yet"
    assert lines.settle("AP", 600, RATE) == [Edge(500, 0, True), Edge(500, 2, True), Word(500, 5)]


def test_another_streams_lines_are_placed_by_the_time_that_both_share() -> None:
    troubles: dict[str, int] = {}
    lines = known(BroadcastLines("20002", Rules(), troubles))
    lines.hear(raw_ttl(101.5))
    assert lines.settle("AP", 50_000, RATE) == [Edge(45_000, 0, True), Word(45_000, 1)]
    assert troubles == {}


def test_a_stream_is_not_ours_because_its_numbers_are_near() -> None:
    troubles: dict[str, int] = {}
    lines = BroadcastLines("20002", Rules(), troubles)
    for sample in range(1000, 31_000, 1000):
        lines.see_spike(sample)
        # Another probe fires at other samples, and at one of ours now and then.
        lines.hear(raw_spike(sample + (sample % 4000 > 0), 100 + sample / 30_000))
    lines.hear(raw_ttl(100.5))
    events = [event for until in range(31_000, 131_000, 1000) for event in lines.settle("AP", until, RATE)]
    assert events == []
    assert "cannot be placed" in next(iter(troubles))


def test_streams_that_share_no_time_are_told_of() -> None:
    troubles: dict[str, int] = {}
    unsynchronized = known(BroadcastLines("20002", Rules(), troubles))
    unsynchronized.hear(raw_ttl(-1.0))
    assert not [event for until in range(31_000, 131_000, 1000) for event in unsynchronized.settle("AP", until, RATE)]
    assert "is it synchronized" in next(iter(troubles))
    in_json = BroadcastLines("NI", Rules(), said := {})
    in_json.hear(json_ttl(5, 0, stream="NI"))
    in_json.settle("AP", 10, RATE)
    assert "let the Event Broadcaster send Raw Binary" in next(iter(said))


def test_a_stream_nobody_asked_about_and_an_old_plugin_are_named() -> None:
    troubles: dict[str, int] = {}
    lines = BroadcastLines("", Rules(), troubles)
    lines.hear(json_ttl(5, 0, stream="NI"))
    assert lines.settle("AP", 10, RATE) == []
    lines.hear((TTL, bytes(8), bytes(20)))
    assert [*troubles] == [
        "lines of stream 'NI' are not looked at: see -o events_stream=",
        "an event could not be read (ValueError) (one from before 2022? update it)",
    ]


@pytest.mark.parametrize("raw", [False, True])
def test_edges_come_from_the_event_broadcaster_over_real_sockets(raw: bool) -> None:
    rig = Rig(n_trials=2, n_channels=2, first_tick=0, rate=RATE)
    with (
        closing(BehindEventBroadcaster(["1", "2"], raw)) as peer,
        closing(create_source("open_ephys", peer.options)) as source,
    ):
        assert isinstance(source, LiveSource)
        source.begin({})
        end = rig.end_tick // peer.block * peer.block
        peer.play(rig.script.blocks(0, end, peer.block))
        until_s = monotonic() + 10
        while monotonic() < until_s and (source.segment is None or source.segment.aligner.tally.edges < 10):
            source.poll()
            if source.segment is not None and source.segment.counter.watermark > end - int(RATE):
                # The recording goes on, as lines that come late are placed by the data that come after them.
                peer.play([Block(end, end := end + peer.block)])
        assert source.segment is not None
        assert source.segment.aligner.tally.edges == 10
        assert source.wire.troubles == {}


def test_a_stream_without_its_port_is_refused() -> None:
    with pytest.raises(SourceError, match="say its events_port too"):
        create_source("open_ephys", {"channels": "1", "events_stream": "NI"})
