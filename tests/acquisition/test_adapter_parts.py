"""What adapters are made of: options, words, queues, and pages that say what the code does."""

import re
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_up_rig import Faults, Rig

from adapters.bridge import BridgeWire
from adapters.channels import Columns
from adapters.events import Chunk
from adapters.live import LiveSource
from adapters.peers.behind import BEHIND
from adapters.pump import CUT, Pump
from adapters.rules import Rules, parse_rules
from adapters.source import SourceError, create_source

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
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        parse_rules(options)


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
    pump = Pump(Chatty(b"abc", b"defg", b"hij", b"klm"), lambda: 1.0, max_bytes=6, start=False)
    for _ in range(3):
        pump.step()
    assert [(chunk.port, chunk.frames[0][:9]) for chunk in pump.drain()] == [
        (0, b"abc"),
        (CUT, b"more data"),
        (0, b"hij"),
    ]
    pump.step()
    assert [chunk.frames for chunk in pump.drain()] == [(b"klm",)]


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
    [template] = re.findall(r"```python\n(.*?)```", (DOCS / "bridge.md").read_text("utf-8"), re.DOTALL)
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
    push = SimpleNamespace(connect=lambda _: None, send=Socket().send)
    module["zmq"] = SimpleNamespace(Context=lambda: SimpleNamespace(socket=lambda _: push), PUSH=0)
    module["time"] = SimpleNamespace(sleep=lambda _: None)
    with pytest.raises(Done):
        module["main"]()
    wire = BridgeWire()
    events = [event for message in said for event in wire.take(Chunk(0.0, (message,)))]
    assert [type(event).__name__ for event in events[:4]] == ["Begin", "Spikes", "Edge", "Watermark"]
    assert (wire.channels, wire.troubles) == (("1", "2"), {})
