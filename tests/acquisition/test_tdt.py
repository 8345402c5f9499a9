"""TDT's UDP interface: how counts are packed, what is lost, and what is asked of the RZ."""

import json
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from time import monotonic
from typing import Any

import pytest
from made_up_rig import Rig

from adapters.channels import Columns
from adapters.events import Begin, Chunk, Edge, Event, Gap, Spikes, Watermark, Word
from adapters.live import LiveSource
from adapters.peers.tdt import BehindTdt
from adapters.rules import Rules
from adapters.source import SourceError, create_source
from adapters.synapse import ask_mode, mode_sentence
from adapters.tdt import ASK, RzReader, TdtWire, _rate

BIN = 24
RATE = _rate("24414.0625")


def a_wire(channels: str = "1,2,3") -> TdtWire:
    return TdtWire(Columns(channels.split(",")), Rules(), RATE, BIN, 4)


def packet(number: int, lines: int, *counts: int) -> Chunk:
    words = (number, lines, *counts)
    return Chunk(0.0, (bytes([0x55, 0xAA, 0, len(words)]) + b"".join(w.to_bytes(4, "big") for w in words),))


def counted(events: list[Event], n_columns: int) -> list[int]:
    columns = [column for event in events if isinstance(event, Spikes) for column in event.columns.tolist()]
    return [columns.count(column) for column in range(n_columns)]


def test_counts_are_unpacked_lowest_bits_first_by_channel_and_then_by_sort_code() -> None:
    counts = (0x87654321, 0x0000000E)
    assert counted(a_wire().take(packet(5, 0, *counts)), 3) == [10, 24, 14]
    assert counted(a_wire("2:1,1:4,3").take(packet(5, 0, *counts)), 3) == [5, 4, 14]


def test_a_bin_stands_at_its_beginning_and_is_whole() -> None:
    wire = a_wire("1")
    begin, spikes, watermark = wire.take(packet(100, 0, 2))
    assert begin == Begin(2400, RATE, "we joined")
    assert isinstance(spikes, Spikes)
    assert spikes.ticks.tolist() == [2400, 2401]
    assert watermark == Watermark(2424)
    assert wire.take(packet(101, 1, 0)) == [Edge(2424, 0, True), Word(2424, 1), Watermark(2448)]
    assert wire.take(packet(101, 1, 0)) == [], "a datagram that comes twice"


def test_lost_packets_are_a_gap_that_takes_the_next_edge_along() -> None:
    wire = a_wire("1")
    wire.take(packet(100, 0, 0))
    gap, edge, _, _ = wire.take(packet(103, 1, 0))
    assert gap == Gap(101 * BIN, 104 * BIN, "2 lost packets", 2)
    assert edge == Edge(103 * BIN, 0, True)


def test_a_count_at_its_limit_is_told_of() -> None:
    wire = a_wire("1")
    assert [type(event) for event in wire.take(packet(0, 0, 14))] == [Begin, Spikes, Watermark]
    gap, _, _ = wire.take(packet(1, 0, 15))
    assert gap == Gap(24, 48, "a bin that may hold more spikes than it says")
    assert "make bins shorter" in next(iter(wire.troubles))
    # A channel that nobody counts spoils nothing.
    assert [type(event) for event in wire.take(packet(2, 0, 15 << 16))] == [Watermark]


def test_packets_of_another_make_are_told_of() -> None:
    wire = a_wire("1")
    for data in (b"", b"\x12\x34\0\1abcd", b"\x55\xaa\0\5abcd", b"\x55\xaa\0\2" + bytes(8)):
        assert wire.take(Chunk(0.0, (data,))) == []
    assert wire.take(Chunk(0.0, (ASK,))) == []
    assert len(wire.troubles) == 3


def test_the_rz_is_asked_to_send_and_nothing_else_is_said() -> None:
    rig = Rig(n_trials=1, n_channels=2, first_tick=0, rate=RATE)
    with closing(BehindTdt(["1", "2"])) as peer, closing(create_source("tdt", peer.options)) as source:
        assert isinstance(source, LiveSource)
        source.begin({})
        peer.play(rig.script.blocks(0, rig.end_tick // BIN * BIN, 10 * BIN))
        end_s = monotonic() + 20
        while monotonic() < end_s and (source.segment is None or source.segment.aligner.tally.edges < 5):
            source.poll()
        assert source.segment is not None
        assert source.segment.aligner.tally.edges == 5
        assert peer.heard == {ASK}
        assert source.wire.troubles == {}


def test_where_windows_are_in_whole_bins_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    told = {"channels": "1", "bin_samples": "24", "host": "127.0.0.1"}
    with closing(create_source("tdt", told)) as source:
        source.begin({"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.0]})
    assert "tdt: the response window of 50 to 200 ms is 50.135 to 200.54 ms in whole bins" in caplog.text
    assert "baseline" not in caplog.text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "say how many samples of the RZ a bin has"),
        ({"bin_samples": "1000"}, "bins must last 5 ms at most, got 41"),
        ({"bin_samples": "24", "channels": "5:9"}, "such as 5, or 5:1 to 5:4, got '5:9'"),
        ({"bin_samples": "24", "rate_hz": "fast"}, "samples a second, such as 24414.0625, got 'fast'"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        create_source("tdt", {"channels": "1", **options})


def test_a_channel_that_the_packets_do_not_have_is_not_counted_as_silent() -> None:
    wire = a_wire("5")
    assert wire.take(packet(1, 0, 0x11111111, 0x11111111)) == []
    assert "it ends before channel 5" in next(iter(wire.troubles))
    assert wire.take(packet(1, 0, 0, 0, 0)) != []


class NoWay:
    """A socket whose cable is out."""

    def send(self, _: bytes) -> int:
        raise OSError(101, "Network is unreachable")

    def close(self) -> None:
        pass


def test_a_network_that_is_away_is_silence_and_no_error() -> None:
    reader = RzReader(("127.0.0.1", 22_022))
    reader.close()
    reader._socket = NoWay()  # type: ignore[assignment]
    assert reader.read(0.0) == []


class Synapse(BaseHTTPRequestHandler):
    """Synapse's API in Preview."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/system/mode" else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"mode": "Preview"}).encode())

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def synapse() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Synapse) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_synapse_that_does_not_record_is_told_of(synapse: int) -> None:
    assert mode_sentence(ask_mode("127.0.0.1", synapse)) == "Synapse does NOT record (it says Preview): " + (
        "raw data are not kept"
    )
    assert mode_sentence("Record") == ""
    assert mode_sentence(ask_mode("127.0.0.1", 1)) is None
