"""What adapters are made of: options, words, queues, and pages that say what the code does."""

import re
import socket
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import zmq
from made_up_rig import Faults, Rig

from adapters.bridge import BridgeWire
from adapters.channels import Columns, parse_channels
from adapters.events import Chunk
from adapters.live import LiveSource
from adapters.peers.behind import BEHIND
from adapters.pump import CUT, Pump
from adapters.readers import TcpReader
from adapters.rules import Rules, parse_rules
from adapters.source import SourceError, create_source
from adapters.zmq_readers import subscribed

HOST = "127.0.0.1"
DOCS = Path(__file__).parents[2] / "docs"


# -- options


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lign": "3"}, r"no option 'lign'. Did you mean 'line'\?"),
        ({"line": "-3"}, "line must be a whole number from 0 up, got '-3'"),
        ({"tolerance_ms": "nan"}, "tolerance_ms must be a number from 0 up, got 'nan'"),
        ({"onset": "photo"}, r"onset cannot be 'photo'. Did you mean 'photodiode'\?"),
        ({"infer": "maybe"}, "infer cannot be 'maybe'. It is one of yes, no."),
        ({"onset": "word", "word_bits": "0"}, "word_bits must be from 1 to 64, got 0"),
        ({"onset": "photodiode", "photodiode": "3"}, "and onset is photodiode: say line=3"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        parse_rules(options)


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("blackrock", {"channels": "1", "port": "70000"}, "port must be a port from 1 to 65535, got '70000'"),
        ("plexnet", {"channels": "1", "port": "70000"}, "port must be a port"),
        ("tdt", {"channels": "1", "bin_samples": "24", "port": "0"}, "port must be a port"),
        ("intan_rhx", {"channels": "A-000", "rate_hz": "1000", "spike_port": "70000"}, "spike_port must be a port"),
        ("plexnet", {"channels": "1", "rate_hz": "0"}, "rate_hz must not be 0"),
        ("plexnet", {"channels": "1", "edge": "falling"}, "edge cannot be 'falling'. It is one of rising"),
        ("lsl", {"channels": "1", "edge": "both"}, "edge cannot be 'both'. It is one of rising"),
        ("open_ephys", {"channels": "1", "events_grace_ms": "50"}, "say its events_port too"),
    ],
)
def test_options_that_a_system_cannot_do_are_refused(name: str, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        create_source(name, options)


def test_options_mean_what_they_say() -> None:
    rules = parse_rules({"line": "6", "onset": "photodiode", "infer": "yes", "tolerance_ms": "4.5"})
    assert (rules.line, rules.onset, rules.infer, rules.tolerance_ms) == (6, "photodiode", True, 4.5)


def test_words_say_presentations_and_never_rest() -> None:
    assert Rules(word_bits=64).code(10_000_100_200_300) == 10_000_100_200_300
    assert {Rules(word_bits=8).code(each) for each in range(0, 100_000, 100)} == set(range(1, 256))


def test_channels_are_names_or_units() -> None:
    columns = Columns(["1", "2:1"])
    assert [columns.of("1", 0), columns.of("1", 3), columns.of("2", 1), columns.of("2", 0)] == [0, 0, 1, -1]
    assert columns.uncounted == {"2": 1}
    for names in (["1", "1"], [], ["1", ""]):
        with pytest.raises(SourceError, match="channels must be names"):
            Columns(names)


def test_names_without_number_are_not_remembered() -> None:
    columns = Columns(["a"])
    for n in range(10_000):
        columns.of(f"b{n}", 0)
    columns.of("b7", 0)
    assert (len(columns.uncounted), columns.uncounted["b7"]) == (4096, 2)


def test_a_channel_and_one_of_its_units_are_not_counted_beside_each_other() -> None:
    assert parse_channels("5:1, 5:2,6").names == ("5:1", "5:2", "6")
    with pytest.raises(SourceError, match="5:1 cannot be counted beside it"):
        parse_channels("5,5:1")
    assert parse_channels("5,5:1", units=False).names == ("5", "5:1")


# -- reading


class Chatty:
    """A reader that has much to say, and then breaks."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = list(frames)

    def read(self, wait_s: float) -> list[tuple[int, tuple[bytes, ...]]]:
        if not self.frames:
            raise OSError("the socket is gone")
        return [(0, (self.frames.pop(0),))]

    def close(self) -> None:
        pass


def test_a_queue_that_overflows_says_so_in_its_place() -> None:
    pump = Pump(Chatty(b"abc", b"defg", b"hij", b"klmn", b"o", b"pqr"), lambda: 1.0, max_bytes=6, start=False)
    for _ in range(5):
        pump.step()
    # Smaller pieces would fit after the first that did not, and then a hole among them would not show.
    assert [(chunk.port, chunk.frames[0][:9]) for chunk in pump.drain()] == [(0, b"abc"), (CUT, b"more data")]
    pump.step()
    assert [chunk.frames for chunk in pump.drain()] == [(b"pqr",)]


def test_connections_that_only_listen_are_asked_whether_they_live() -> None:
    """Else one whose other end gave up while the cable was out would look alive for ever: nothing is sent on it."""
    with socket.create_server((HOST, 0)) as listener:
        connected: list[socket.socket] = []
        address = (HOST, listener.getsockname()[1])
        reader = TcpReader([address], connected.extend, clock=lambda: 0.0)
        reader.read(0.0)
        assert connected[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        reader.close()
    subscriber = subscribed(f"tcp://{HOST}:{address[1]}")
    assert subscriber.getsockopt(zmq.TCP_KEEPALIVE) == 1
    subscriber.close(linger=0)


def test_a_reader_that_breaks_is_a_cut_and_not_a_silence(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Pump(Chatty(), lambda: 1.0)) as pump:
        [first, *_] = pump.wait(5)
    assert (first.port, first.frames) == (CUT, (b"reading went wrong: the socket is gone",))
    assert "reading went wrong" in caplog.text


def test_blackrock_only_listens() -> None:
    # A socket that was never connected has nobody to send to; the module never names one.
    with closing(BEHIND["blackrock"](["1"])) as peer, closing(create_source("blackrock", peer.options)) as source:
        peer.play(Rig(n_trials=1, n_channels=1).script.blocks(0, 30_000, 300))
        assert isinstance(source, LiveSource)
        while source.segment is None:
            source.poll()
    with pytest.raises(SourceError, match="protocol cannot be '5'"):
        create_source("blackrock", {"channels": "1", "protocol": "5"})


def test_faults_of_the_test_bench_are_what_they_say() -> None:
    rig = Rig(n_trials=200, faults=Faults(void=0.5))
    assert 400 < sum(len(trial.presentation_ids) for trial in rig.trials) < 600
    assert np.all(np.diff(rig.script.ticks) >= 0)


# -- the documents


def test_every_option_and_every_adapter_is_documented() -> None:
    page = (DOCS / "adapters.md").read_text("utf-8")
    for rule in fields(Rules):
        assert f"`{rule.name}`" in page or f"`-o {rule.name}=`" in page, rule.name
    for name in BEHIND:
        assert f"xdream-adapter {name} " in page or name == "bridge"
    for name, value in re.findall(r"^\| `(\w+)` \| (\S+) \|", page, re.MULTILINE):
        if name in (known := {rule.name: getattr(Rules(), rule.name) for rule in fields(Rules)}):
            assert value.strip("`") == f"{known[name]:g}" if isinstance(known[name], float) else str(known[name]), name


def test_the_bridge_of_the_page_is_understood() -> None:
    template = re.findall(r"```python\n(.*?)```", (DOCS / "bridge.md").read_text("utf-8"), re.DOTALL)[0]
    said: list[bytes] = []

    class Done(Exception):
        pass

    class Socket:
        def send(self, message: bytes) -> None:
            said.append(message)
            if len(said) == 3:
                raise Done

    module: dict[str, Any] = {"__name__": "bridge"}
    exec(template, module)
    module["read"] = lambda: ([(950, 1)], [(960, 0, 1)], 1000)
    push = SimpleNamespace(
        setsockopt=lambda *_: None, connect=lambda _: None, poll=lambda *_: zmq.POLLOUT, send=Socket().send
    )
    module["zmq"] = SimpleNamespace(
        Context=lambda: SimpleNamespace(socket=lambda _: push), PUSH=0, IMMEDIATE=zmq.IMMEDIATE, POLLOUT=zmq.POLLOUT
    )
    module["time"] = SimpleNamespace(sleep=lambda _: None)
    with pytest.raises(Done):
        module["main"]()
    wire = BridgeWire()
    events = [event for message in said for event in wire.take(Chunk(0.0, (message,)))]
    assert [type(event).__name__ for event in events[:4]] == ["Begin", "Spikes", "Edge", "Watermark"]
    assert (wire.channels, wire.troubles) == (("1", "2"), {})
