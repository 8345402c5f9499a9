"""Adapters with real sockets: what they send, what they refuse, and what `--check` says of them."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from bench import Bench, judge
from made_up_rig import Rig
from systems import SYSTEMS

from adapters.channels import Columns
from adapters.check import FAIL, PASS, check, report
from adapters.events import Chunk
from adapters.intan_commands import ask_sample_rate
from adapters.intan_rhx import IntanWire
from adapters.live import LiveSource
from adapters.open_ephys import OpenEphysWire
from adapters.open_ephys_http import ask, recording_sentence
from adapters.peers.behind import BEHIND, BehindPlexNet
from adapters.peers.intan_rhx import IntanPeer
from adapters.peers.open_ephys import OpenEphysPeer
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
    assert report("bridge", {"address": "nonsense"}, watch_s=0.05) == 1
    assert "cannot listen at nonsense" in capsys.readouterr().out


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


# -- Open Ephys


def test_names_that_are_not_ascii_are_repaired_and_said() -> None:
    rig = Rig(n_trials=2, n_channels=1)
    peer = OpenEphysPeer(["µ-électrode"])
    wire = OpenEphysWire(Columns(["µ-électrode"]), Rules(lock_trials=1))
    stream = (
        (b.end, [Chunk(0.0, m) for m in peer.say(b)]) for b in rig.script.blocks(rig.first_tick, rig.end_tick, 640)
    )
    assert judge(rig, Bench(wire).run(rig, stream)).right == 10
    assert "rename the streams" in next(iter(wire.troubles))


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
