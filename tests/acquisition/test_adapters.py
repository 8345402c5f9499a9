"""Adapters with real sockets: what they send, what they refuse, and what `--check` says of them."""

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench import Bench, judge
from made_up_rig import Rig
from systems import SYSTEMS, Stream

from adapters.blackrock import CONFIGURATION, MONITOR, BlackrockWire
from adapters.bridge import BridgeWire
from adapters.channels import Columns
from adapters.check import FAIL, PASS, Inspectable, Line, check, report
from adapters.events import Begin, Chunk, Event, Gap, Spikes, Watermark
from adapters.intan_commands import ask_sample_rate
from adapters.intan_rhx import SPIKE_MAGIC, IntanWire
from adapters.live import LiveSource, Wire
from adapters.lsl import SPIKES, TIME, LslReader, LslWire
from adapters.open_ephys import OpenEphysWire
from adapters.open_ephys_http import ask, recording_sentence
from adapters.peers.behind import BEHIND, BehindPlexNet
from adapters.peers.intan_rhx import IntanPeer
from adapters.peers.open_ephys import OpenEphysPeer
from adapters.plexnet_greeting import SELECT_CONTINUOUS, SELECT_SPIKES, SERVER_AREA, SIZES, greet, words
from adapters.pump import CUT, Pump
from adapters.readers import TcpReader
from adapters.rules import Rules
from adapters.source import SourceError, create_source

HOST = "127.0.0.1"
DOCS = Path(__file__).parents[2] / "docs"


class Passing:
    """A clock that goes on by a little whenever it is asked."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.005
        return self.now_s


# -- check


@pytest.mark.parametrize("name", [name for name in BEHIND if name not in ("spikeglx", "lsl")])
def test_check_says_what_a_recording_gives(name: str) -> None:
    with closing(BEHIND[name](["1", "2"])) as peer, closing(create_source(name, peer.options)) as source:
        assert isinstance(source, LiveSource)
        rig = Rig(n_trials=2, n_channels=2, rate=peer.rate, first_tick=0)
        peer.play(rig.script.blocks(0, int(4 * peer.rate), peer.block))
        lines = {
            line.what: line for line in check(source, 3.0, Passing(), lambda _: threading.Event().wait(0.001) and None)
        }
    assert {lines[what].verdict for what in ("data", "losses", "channel 1", "channel 2", "onsets")} == {PASS}
    assert "5 onset edges" in lines["onsets"].sentence


def test_check_says_when_nothing_comes(capsys: pytest.CaptureFixture[str]) -> None:
    options = {"address": "inproc://nobody", "channels": "1"}
    assert report("bridge", options, watch_s=0.05) == 1
    assert f"{FAIL}  data  nothing that could be understood" in capsys.readouterr().out
    assert report("simulator", {}, watch_s=0.05) == 0
    assert "note  simulator cannot be looked over" in capsys.readouterr().out
    assert report("bridge", {"address": "nonsense"}, watch_s=0.05) == 1
    assert "cannot listen at nonsense" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("clock", "faster", "verdict"), [("samples", 1, PASS), ("samples", 1.5, FAIL), ("ns", 1, FAIL)]
)
def test_check_says_when_a_second_of_the_recording_takes_another_time(clock: str, faster: float, verdict: str) -> None:
    wire = BlackrockWire(Columns(["1", "2", "3"]), Rules(), "4.1", clock, 279)
    assert checked(wire, Rig(n_trials=4), faster)["pace"].verdict == verdict


@pytest.mark.parametrize("name", ["spikeglx", "lsl"])
def test_check_of_samples_and_of_streams(name: str) -> None:
    """Those that find their own spikes, or need a network of their own, are looked over on a bench."""
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=4)
    lines = checked(system.wire(rig, Rules()), rig, 1.0, system.speak)
    assert {line.verdict for what, line in lines.items() if what not in ("clock", "recording")} == {PASS}
    assert "20 onset edges" in lines["onsets"].sentence


def test_check_says_how_many_messages_were_lost() -> None:
    system = SYSTEMS["bridge"]
    rig = system.make_rig(n_trials=4)

    def lossy(rig: Rig) -> Stream:
        for n, (tick, chunks) in enumerate(system.speak(rig)):
            yield tick, [] if n in (40, 41, 42, 90) else chunks

    losses = checked(system.wire(rig, Rules()), rig, 1.0, lossy)["losses"]
    assert losses.verdict == FAIL
    assert "2 gaps (1 lost messages, 3 lost messages), 4 lost messages, packets or samples in all" in losses.sentence


def test_check_says_what_is_missing_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("blackrock", "plexnet", "spikeglx", "lsl", "trodes", "tdt", "intan_rhx"):
        assert report(name, {}) == 1
        said = capsys.readouterr().out
        assert said == f"{FAIL}  connection  source {name!r} needs channels: add -o channels=...\n"


def test_check_looks_at_a_folder_and_takes_nothing_out_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = tmp_path / "trial_00000001_100_abc.json"
    request.touch()
    options = {"folder": str(tmp_path), "channels": "a"}
    assert report("folder_exchange", options) == int(find_spec("scipy") is None or find_spec("h5py") is None)
    assert f"{PASS}  folder   requests can be written into {tmp_path}" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [request], "another adapter may be waiting for its answer"
    source = create_source("folder_exchange", options)
    request.unlink()
    tmp_path.rmdir()
    assert isinstance(source, Inspectable)
    [(well, _, sentence), _] = source.look()
    assert (well, sentence) == (False, f"{tmp_path} cannot be written into: No such file or directory")


def test_check_says_when_words_come_without_a_flash() -> None:
    rules, rig = Rules(onset="word", photodiode="5"), Rig(n_trials=4, word_bits=8)
    system = SYSTEMS["bridge"]
    lines = checked(system.wire(rig, rules), rig, 1.0, system.speak, rules)
    assert (lines["onsets"].verdict, "no flash on line 5" in lines["onsets"].sentence) == (FAIL, True)


def checked(
    wire: Wire,
    rig: Rig,
    faster: float,
    speak: Callable[[Rig], Stream] = SYSTEMS["blackrock"].speak,
    rules: Rules | None = None,
) -> dict[str, Line]:
    """Return what `--check` says of a recording that comes so many times as fast as its ticks say."""
    bench, stream = Bench(wire, rules), speak(rig)

    def sleep(_: float) -> None:
        tick, chunks = next(stream)
        bench.now_s = (tick - rig.first_tick) / float(rig.rate) / faster
        bench.feed.chunks += [Chunk(bench.now_s, each.frames, each.port) for each in chunks]

    end_s = (rig.end_tick - rig.first_tick) / float(rig.rate) / faster - 0.1
    return {line.what: line for line in check(bench.source, end_s, lambda: bench.now_s, sleep)}


# -- the bridge


def test_a_bridge_says_its_own_channels() -> None:
    with closing(BEHIND["bridge"](["left", "right"])) as peer:
        address = peer.options["address"]
        player = threading.Thread(target=peer.play, args=[Rig(n_trials=1, n_channels=2).script.blocks(0, 3000, 300)])
        player.start()
        with closing(create_source("bridge", {"address": address})) as source:
            player.join()
            assert source.channels == ("left", "right")


def test_a_bridge_that_says_nothing_is_not_waited_for_for_ever() -> None:
    with pytest.raises(SourceError, match="no bridge said hello for 0 s at inproc://silent"):
        create_source("bridge", {"address": "inproc://silent", "wait_s": "0"})


def test_a_bridge_may_speak_json() -> None:
    system = SYSTEMS["bridge"]
    wire = system.wire(Rig(n_channels=1), Rules())
    hello = {"type": "hello", "channels": ["x", "A-000"], "ticks_per_s": [30000, 1], "tick": 5}
    data = {"type": "data", "n": 1, "watermark": 99, "spikes": [[7, 8, 9], [1, 0, 1]], "edges": [[8, 0, 1]]}
    [_] = wire.take(Chunk(0.0, (json.dumps(hello).encode(),)))
    spikes, edge, watermark = wire.take(Chunk(0.0, (json.dumps(data).encode(),)))
    assert (spikes.ticks.tolist(), spikes.columns.tolist()) == ([7, 9], [0, 0])  # type: ignore[union-attr]
    assert (edge.tick, watermark.tick) == (8, 99)  # type: ignore[union-attr]


def say(wire: BridgeWire, **message: Any) -> list[Event]:
    return wire.take(Chunk(0.0, (json.dumps(message).encode(),)))


HELLO = {"type": "hello", "channels": ["a", "b"], "ticks_per_s": [1000, 1], "tick": 0}


def test_a_lost_message_may_have_been_ahead_of_its_watermark() -> None:
    wire = BridgeWire(Columns(["a"]))
    say(wire, **HELLO)
    say(wire, type="data", n=1, watermark=1000)
    # What the second one said is of its own time, which the watermark comes to a second later or so.
    _, gap, watermark = say(wire, type="data", n=3, watermark=1020)
    assert (gap, watermark) == (Gap(1000, 2020, "1 lost messages", 1), Watermark(1020))
    say(wire, type="data", n=4, watermark=1030, spikes=[[4000], [0]])
    _, gap, _ = say(wire, type="data", n=6, watermark=1050)
    assert gap == Gap(1030, 1050 + 2970, "1 lost messages", 1)


def test_a_hello_that_makes_no_sense_ends_what_was_before_it() -> None:
    for wrong in ({"ticks_per_s": [1000, 0]}, {"tick": "soon"}, {"channels": None}):
        wire = BridgeWire(Columns(["a"]))
        say(wire, **HELLO)
        assert say(wire, **{**HELLO, **wrong}) == []
        assert say(wire, type="data", n=1, watermark=50_000, spikes=[[49_000], [0]]) == []
        assert "makes no sense" in next(iter(wire.troubles))


def test_a_channel_that_the_bridge_does_not_have_is_not_counted_as_silent() -> None:
    wire = BridgeWire(Columns(["a", "typo"]))
    assert say(wire, **HELLO) == []
    assert say(wire, type="data", n=1, watermark=50) == []
    assert list(wire.troubles) == ["the bridge has no channel typo: see -o channels="]


# -- Open Ephys


@pytest.mark.parametrize("name", ["µ-électrode", "下側頭皮質の電極一", "下側頭皮質の電極番号一二三"])
def test_names_that_are_not_ascii_are_repaired_and_said(name: str) -> None:
    rig = Rig(n_trials=2, n_channels=1)
    peer = OpenEphysPeer([name])
    wire = OpenEphysWire(Columns([name]), Rules(lock_trials=1))
    stream = (
        (b.end, [Chunk(0.0, m) for m in peer.say(b)]) for b in rig.script.blocks(rig.first_tick, rig.end_tick, 640)
    )
    assert judge(rig, Bench(wire).run(rig, stream)).right == 10
    assert "rename the streams" in next(iter(wire.troubles))


def test_spikes_without_data_are_said_and_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.open_ephys.MAX_WAITING", 100)
    wire = OpenEphysWire(Columns(["1"]), Rules())
    spike = {"stream": "AP", "source_node": 1, "electrode": "1", "sorted_id": 0}
    for n in range(1, 151):
        header = {"message_num": n, "type": "spike", "spike": {**spike, "sample_num": 1000 * n}}
        assert wire.take(Chunk(0.0, (b"EVENT\0", json.dumps(header).encode(), b""))) == []
    assert "let the ZMQ Interface send one channel" in next(iter(wire.troubles))
    data = {"stream": "AP", "channel_num": 0, "num_samples": 640, "sample_num": 150_000, "sample_rate": 30_000.0}
    header = {"message_num": 151, "type": "data", "content": data}
    begin, *_ = wire.take(Chunk(0.0, (b"DATA\0", json.dumps(header).encode(), b"")))
    assert isinstance(begin, Begin)
    assert begin.tick == 150_640


def test_the_old_plugin_is_named() -> None:
    wire = OpenEphysWire(Columns(["1"]), Rules())
    wire.take(Chunk(0.0, (b"DATA\0", b'{"message_no": 3, "type": "data"}', b"")))
    assert "GUI 0.5" in next(iter(wire.troubles))


class Gui(BaseHTTPRequestHandler):
    """The GUI's HTTP server, acquiring and not recording."""

    def do_GET(self) -> None:
        body = b'{"mode":"ACQUIRE"}'
        self.send_response(200 if self.path == "/api/status" else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def gui() -> Iterator[int]:
    with HTTPServer((HOST, 0), Gui) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_gui_that_does_not_record_is_told_of(gui: int) -> None:
    assert "does NOT record (it says ACQUIRE)" in recording_sentence(ask(HOST, gui, "status"))
    assert recording_sentence({"mode": "RECORD"}) == ""
    assert "does not answer" in recording_sentence(ask(HOST, gui, "cpu"))
    with pytest.raises(ValueError, match="not among what may be asked"):
        ask(HOST, gui, "quit")


# -- Intan RHX


def test_the_sample_rate_is_asked_for_and_nothing_else_is_said() -> None:
    heard = []

    def rhx(listener: socket.socket) -> None:
        with listener.accept()[0] as client:
            heard.append(client.recv(100))
            client.sendall(b"Return: Sample")
            client.sendall(b"RateHertz 25000")
            heard.append(client.recv(100))

    with socket.create_server((HOST, 0)) as listener:
        thread = threading.Thread(target=rhx, args=[listener])
        thread.start()
        rate, connection = ask_sample_rate(HOST, listener.getsockname()[1])
        connection.close()
        thread.join()
    assert (rate, heard) == ("25000", [b"get sampleratehertz;", b""])
    with pytest.raises(SourceError, match="Remote TCP Control"):
        ask_sample_rate(HOST, listener.getsockname()[1] if listener.fileno() >= 0 else 1)


def test_a_port_that_answers_is_kept_while_the_other_does_not_yet() -> None:
    """RHX takes one connection a click: who lets it go to try again is never let in."""
    now_s = iter(range(100))
    with socket.create_server((HOST, 0)) as waveforms, socket.create_server((HOST, 0)) as later:
        address = later.getsockname()
        later.close()
        reader = TcpReader([waveforms.getsockname(), address], clock=lambda: float(next(now_s)))
        assert reader.read(0.0) == []
        with waveforms.accept()[0] as first, socket.create_server(address):
            assert reader.read(0.0) == [(CUT, (b"a connection was made",))]
            first.sendall(b"block")
            assert reader.read(5.0) == [(0, (b"block",))]
        reader.close()


def test_a_tap_that_cannot_be_is_said_before_rhx_is_connected_to(tmp_path: Path) -> None:
    (tmp_path / "old.tap").touch()
    with socket.create_server((HOST, 0)) as rhx:
        rhx.settimeout(0.05)
        port = str(rhx.getsockname()[1])
        options = {"channels": "A-000", "command_port": port, "waveform_port": port, "spike_port": port}
        with pytest.raises(SourceError, match="never overwrites"):
            create_source("intan_rhx", {**options, "tap": str(tmp_path / "old.tap")})
        with pytest.raises(TimeoutError):
            rhx.accept()


def test_channels_that_are_added_in_mid_run_are_noticed() -> None:
    rig = Rig(n_trials=10, n_channels=2, rate=SYSTEMS["intan_rhx"].rig["rate"], first_tick=0)
    peer = IntanPeer(["A-000", "A-001"], n_words=1)

    def stream() -> Iterator[tuple[int, list[Chunk]]]:
        for block in rig.script.blocks(0, rig.end_tick // 128 * 128, 128):
            peer.n_words = 1 if block.start < rig.true_ticks[17] else 2
            yield block.end, [Chunk(0.0, (data,), port) for port, data in peer.say(block)]

    wire = IntanWire(Columns(["A-000", "A-001"]), Rules(), rig.rate)
    verdict = judge(rig, Bench(wire).run(rig, stream()))
    assert verdict.wrong == 0
    assert verdict.right > 20
    assert 0 < verdict.not_measured < 20
    assert "leave them alone" in next(iter(wire.troubles))


def test_spikes_that_come_seconds_before_their_waveforms_are_not_forgotten() -> None:
    """After a stall each socket is read as far as it goes: the spikes' to its end, the waveforms' by 256 KB."""
    system = SYSTEMS["intan_rhx"]
    rig = system.make_rig(n_trials=8)
    begins, ends = rig.true_ticks[12], rig.true_ticks[12] + 3 * rig.rate

    def stalling() -> Iterator[tuple[int, list[Chunk]]]:
        held: list[Chunk] = []
        for tick, chunks in system.speak(rig):
            held += chunks
            if not begins <= tick < ends:
                yield tick, sorted(held, key=lambda chunk: -chunk.port)
                held = []

    verdict = judge(rig, Bench(system.wire(rig, Rules())).run(rig, stalling()))
    assert (verdict.right, verdict.wrong, verdict.not_measured) == (40, 0, 0)


def test_spikes_that_cannot_wait_for_their_waveforms_are_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.intan_rhx.MAX_EARLY", 3)
    wire = IntanWire(Columns(["A-000"]), Rules(), Rig().rate)
    block = IntanPeer(["A-000"]).say(next(Rig(n_trials=1, n_channels=1, spike_hz=0).script.blocks(0, 128, 128)))
    wire.take(Chunk(0.0, (block[0][1],), 0))
    wire.take(Chunk(0.0, (block[0][1][:4],), 0))
    spikes = b"".join(struct.pack("<4s5sIB", SPIKE_MAGIC, b"A-000", 100_000 + n, 1) for n in range(5))
    [gap] = wire.take(Chunk(0.0, (spikes,), 1))
    assert isinstance(gap, Gap)
    assert (gap.start, gap.end, gap.lost) == (100_000, 100_002, 2)


def test_artefacts_are_no_spikes() -> None:
    wire = IntanWire(Columns(["A-000"]), Rules(), Rig().rate)
    peer = IntanPeer(["A-000"])
    script = Rig(n_trials=1, n_channels=1, first_tick=0).script
    [(_, waveform), (_, spike)] = next(
        said for block in script.blocks(0, 128_000, 128) if len(said := peer.say(block)) == 2
    )
    wire.take(Chunk(0.0, (waveform,), 0))
    wire.take(Chunk(0.0, (waveform[:4],), 0))
    assert len(wire.take(Chunk(0.0, (spike[:14],), 1))) == 1
    assert wire.take(Chunk(0.0, (spike[:13] + b"\x80",), 1)) == []


# -- LSL


class Inlet:
    """An inlet in which samples have piled up, as after a stall."""

    def __init__(self, values: list[Any], times_s: list[float]) -> None:
        self.values, self.times_s = values, times_s

    def pull_chunk(self, timeout: float, most: int) -> tuple[list[Any], list[float]]:
        pulled = self.values[:most], self.times_s[:most]
        del self.values[:most], self.times_s[:most]
        return pulled


def test_after_a_stall_the_time_is_told_behind_all_spikes_and_not_before_the_last_ones() -> None:
    pytest.importorskip("pylsl")
    reader, wire = LslReader(("", "", "")), LslWire(Columns(["1"]), 0)
    times_s = [10 + n / 10_000 for n in range(25_000)]
    reader._inlets = [Inlet([[1, 0]] * 25_000, times_s), Inlet([], []), Inlet([[0]] * 2500, times_s[::10])]
    events = [event for port, frames in reader.read(0.0) for event in wire.take(Chunk(0.0, frames, port))]
    spikes = [each for each in events if isinstance(each, Spikes)]
    assert sum(len(each.ticks) for each in spikes) == 25_000
    assert isinstance(events[-1], Watermark)


def seconds(*times_s: float) -> bytes:
    return np.array(times_s, "<f8").tobytes()


def test_a_record_is_not_whole_before_its_first_piece_of_time_has_come() -> None:
    [begin, _] = LslWire(Columns(["1"]), 100).take(Chunk(0.0, (seconds(9.9, 9.95, 10.0), b""), TIME))
    assert isinstance(begin, Begin)
    assert begin.tick == 10_000_000


def test_spikes_that_cannot_be_read_are_a_gap_and_not_a_silence() -> None:
    wire = LslWire(Columns(["1"]), 100)
    wire.take(Chunk(0.0, (seconds(10.0), b""), TIME))
    one_number_a_spike = np.array([1, 1, 1], "<i4").tobytes()
    wire.take(Chunk(0.0, (seconds(10.1, 10.2, 10.3), one_number_a_spike), SPIKES))
    gap, _ = wire.take(Chunk(0.0, (seconds(10.5), b""), TIME))
    assert gap == Gap(9_900_000, 10_600_000, "samples that could not be read")


# -- PlexNet


def test_plexnet_is_greeted_as_it_expects_and_no_more_is_said() -> None:
    with (
        closing(BehindPlexNet(["3", "7"])) as peer,
        closing(create_source("plexnet", {**peer.options, "channels": "3,7:1"})),
    ):
        peer.play([])
        assert peer.heard == [10_000, 10_100, 10_400, 10_401, 10_200]
    with pytest.raises(SourceError, match="are numbers from 1"):
        create_source("plexnet", {"channels": "left"})


def test_plexnet_is_asked_for_continuous_data_too_and_for_channels_from_1() -> None:
    ours, theirs = socket.socketpair()
    area = [SERVER_AREA, *[0] * 14, 128, 0, 32]
    with ours, theirs:
        theirs.sendall(words(SIZES, 0, 0, 2, SELECT_SPIKES, SELECT_CONTINUOUS) + words(*area))
        greet(ours, {3}, 0)
        assert struct.unpack("<6i", theirs.recv(24)) == (10_000, 1, 0, 1, 1, 128)


def test_packets_go_on_after_an_overflow_in_the_middle_of_one() -> None:
    system = SYSTEMS["plexnet"]
    rig = system.make_rig(n_trials=16)
    reader = Pieces([frame for _, chunks in system.speak(rig) for chunk in chunks for frame in chunk.frames])
    pump, wire = Pump(reader, max_bytes=20_000, start=False), system.wire(rig, Rules())
    kinds = []
    for n in range(reader.n_pieces):
        pump.step()
        stalls = 100 < n < 200
        kinds += [] if stalls else [type(event) for chunk in pump.drain() for event in wire.take(chunk)]
    assert kinds.count(Begin) == 2
    assert kinds[-1] is Watermark
    assert wire.troubles == {}


class Pieces:
    """A reader of a byte stream in pieces of 777 bytes."""

    def __init__(self, frames: list[bytes]) -> None:
        self._bytes = b"".join(frames)
        self.n_pieces = -(-len(self._bytes) // 777)

    def read(self, wait_s: float) -> list[tuple[int, tuple[bytes, ...]]]:
        piece, self._bytes = self._bytes[:777], self._bytes[777:]
        return [(0, (piece,))]

    def close(self) -> None:
        pass


# -- Blackrock


def datagram(*packets: tuple[int, int, bytes]) -> Chunk:
    """Return packets of protocol 4.1: time, channel, payload; the monitor's channel is the configuration's."""
    kinds = (MONITOR if channel == CONFIGURATION else 0 for _, channel, _ in packets)
    heads = [
        struct.pack("<QHHHBB", time, channel, kind, len(payload) // 4, 0, 0)
        for kind, (time, channel, payload) in zip(kinds, packets, strict=True)
    ]
    return Chunk(0.0, (b"".join(head + each[2] for head, each in zip(heads, packets, strict=True)),))


def monitor(time: int, n_sent: int, counter: int) -> tuple[int, int, bytes]:
    return time, CONFIGURATION, struct.pack("<II", n_sent, counter)


def an_instrument() -> BlackrockWire:
    return BlackrockWire(Columns(["1"]), Rules(), "4.1", "samples", 279)


def test_a_lost_spike_may_be_of_the_time_before_its_monitor() -> None:
    wire = an_instrument()
    sent = [1, 1, 1, 1, 2, 1, 1]  # the fifth comes with a spike, which is lost
    events = [e for n, n_sent in enumerate(sent) for e in wire.take(datagram(monitor(3000 + 300 * n, n_sent, n)))]
    [gap] = [event for event in events if isinstance(event, Gap)]
    assert gap.start <= 3900 - 128
    passed = [event.tick for event in events[: events.index(gap)] if isinstance(event, Watermark)]
    assert max(passed) <= gap.start


def test_what_comes_twice_does_not_make_up_for_what_is_lost() -> None:
    wire = an_instrument()
    events = []
    for n in range(8):
        packets = [] if n == 5 else [datagram((3000 + 300 * n - 9, 1, b""))]
        for chunk in (*packets, datagram(monitor(3000 + 300 * n, 2, n))):
            events += wire.take(chunk) + wire.take(chunk)
    assert [event.lost for event in events if isinstance(event, Gap)] == [1]


def test_a_clock_in_other_units_is_said_and_breaks_nothing() -> None:
    wire = an_instrument()
    for n in range(4):
        wire.take(datagram(monitor(10**18 + 10**7 * n, 1, n)))
    assert "Gemini needs -o clock=ns" in next(iter(wire.troubles))
    assert wire.take(datagram(monitor(1 << 63, 1, 5), ((1 << 63) + 1, 1, b""))) == []
