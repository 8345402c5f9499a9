"""What every marker port must do; a new one is a name in `MARKERS` and, here, something that hears it."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
import zmq

from protocol.plugins import PluginError
from stimulus_client.markers import MARKERS, MarkerPort, Markers, NoMarkers, code, create_markers
from stimulus_client.network_events import OpenEphysMarkers
from stimulus_client.parallel_port import ParallelMarkers
from stimulus_client.serial_port import PortError, SerialMarkers

IDS = [10000000100, 10000000200, 10000000301]
DEADLINE_S = 10
Heard = Callable[[], list[Any]]
"""Returns what has come through by now."""


class Wire:
    """A serial port that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.closed = False
        self.write = self.written.append

    def close(self) -> None:
        self.closed = True


@contextmanager
def none() -> Iterator[tuple[MarkerPort, Heard, list[Any]]]:
    yield NoMarkers(), list, []


@contextmanager
def serial(format: str) -> Iterator[tuple[MarkerPort, Heard, list[Any]]]:
    wire = Wire()
    line = [b"%d\n" % each for each in IDS]
    byte = [sent for each in IDS for sent in (bytes([code(each)]), b"\0")]
    yield (
        SerialMarkers("COM1", format=format, open=lambda *_: wire),
        lambda: wire.written,
        {"line": line}.get(format, byte),
    )
    assert wire.closed


@contextmanager
def parallel() -> Iterator[tuple[MarkerPort, Heard, list[Any]]]:
    lines: list[int] = []
    port = ParallelMarkers(open=lambda port: (lines.append, lambda: lines.append(-1)), sleep=lambda _: None)
    yield port, lambda: lines, [0, *(level for each in IDS for level in (code(each), 0))]
    assert lines[-2:] == [0, -1], "it is let go with its lines low"


class NetworkEvents:
    """Open Ephys with its plugin of that name: does what it is told and says so, or speaks an older dialect."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", dialect: str = "new") -> None:
        self.heard: list[str] = []
        self._dialect = dialect
        self._socket = context.socket(zmq.REP)
        self._socket.bind("inproc://open_ephys")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while (text := self._socket.recv_string()) != "end":
            self.heard.append(text)
            words = dict(word.split("=") for word in text.split()[1:] if "=" in word)
            if not text.startswith("TTL"):
                self._socket.send_string("NotHandled")
            elif self._dialect == "new":
                self._socket.send_string(f"TTLHandled: Line={words['Line']} State={words['State']}")
            else:
                self._socket.send_string("TTLHandled: Line=1 State=0")
        self._socket.send_string("")
        self._socket.close(linger=0)

    def close(self, context: "zmq.Context[zmq.Socket[bytes]]") -> None:
        with context.socket(zmq.REQ) as socket:
            socket.connect("inproc://open_ephys")
            socket.send_string("end")
            socket.recv()
        self._thread.join()


@contextmanager
def open_ephys() -> Iterator[tuple[MarkerPort, Heard, list[Any]]]:
    with zmq.Context() as context:
        plugin = NetworkEvents(context)
        expected = [
            said for each in IDS for said in ("TTL Line=3 State=1", f"xdream presentation {each}", "TTL Line=3 State=0")
        ]
        yield OpenEphysMarkers("inproc://open_ephys", 3, context, sleep=lambda _: None), lambda: plugin.heard, expected
        plugin.close(context)


@contextmanager
def lsl() -> Iterator[tuple[MarkerPort, Heard, list[Any]]]:
    pylsl = pytest.importorskip("pylsl", reason="needs pylsl: pip install pylsl")
    name = f"markers {uuid4().hex}"
    port = create_markers("lsl", {"stream": name})
    inlet = pylsl.StreamInlet(pylsl.resolve_byprop("name", name, 1, DEADLINE_S)[0])
    inlet.open_stream(DEADLINE_S)
    yield port, lambda: [inlet.pull_sample(timeout=DEADLINE_S)[0] for _ in IDS], [[str(each)] for each in IDS]
    inlet.close_stream()


PORTS: dict[str, Callable[[], Any]] = {
    "none": none,
    "serial line": lambda: serial("line"),
    "serial byte": lambda: serial("byte"),
    "parallel": parallel,
    "open_ephys": open_ephys,
    "lsl": lsl,
}


def test_every_port_is_tested_here() -> None:
    assert {name.split()[0] for name in PORTS} == set(MARKERS)


@pytest.mark.parametrize("name", PORTS)
def test_every_id_comes_through_in_order(name: str) -> None:
    with PORTS[name]() as (port, heard, expected):
        assert port.name
        assert bool(port.output) == (port.name != "none")
        markers = Markers(port)
        for each in IDS:
            markers.mark(each)
        assert markers.courier.finish(DEADLINE_S)
        assert heard() == expected
        markers.close()
        assert (markers.courier.n_lost, markers.courier.n_failed) == (0, 0)


class Stuck(NoMarkers):
    """A port that takes no marker until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.sent: list[int] = []

    def send(self, presentation_id: int) -> None:
        self.let_go.wait(DEADLINE_S)
        self.sent.append(presentation_id)


def test_a_port_that_is_stuck_keeps_nobody_waiting_and_what_it_misses_is_counted() -> None:
    port = Stuck()
    markers = Markers(port, limit=4)
    for each in range(100):
        markers.mark(each)
    # One may be in the port's hands already; all others over four were left out, and it says so.
    assert markers.courier.n_lost in (95, 96)
    port.let_go.set()
    markers.close()
    assert port.sent[:4] == [0, 1, 2, 3]
    assert len(port.sent) + markers.courier.n_lost == 100


class Broken(NoMarkers):
    """A port whose cable is pulled and put back."""

    def __init__(self) -> None:
        self.sent: list[int] = []

    def send(self, presentation_id: int) -> None:
        if presentation_id < 3:
            raise OSError("the cable is out")
        self.sent.append(presentation_id)


def test_a_port_that_fails_is_counted_and_tried_again() -> None:
    port = Broken()
    markers = Markers(port)
    for each in range(5):
        markers.mark(each)
    markers.close()
    assert port.sent == [3, 4]
    assert (markers.courier.n_failed, markers.courier.problem) == (3, "the cable is out")


def test_an_open_ephys_that_does_something_else_is_found_out() -> None:
    with zmq.Context() as context:
        plugin = NetworkEvents(context, dialect="old")
        port = OpenEphysMarkers("inproc://open_ephys", 3, context, sleep=lambda _: None)
        with pytest.raises(PortError, match=r"set line 3 to 1 and answered 'TTLHandled: Line=1 State=0'"):
            port.send(1)
        port.close()
        plugin.close(context)


def test_codes_are_never_zero_and_differ_from_one_showing_to_the_next() -> None:
    codes = [code(100 * slot + attempt) for slot in range(1000) for attempt in range(3)]
    assert min(codes) == 1
    assert max(codes) == 255
    assert all(code(100 * slot) != code(100 * (slot + 1)) for slot in range(1000))


def test_what_cannot_be_had_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PluginError, match=r"no marker port named 'open_ehys'. Did you mean 'open_ephys'\?"):
        create_markers("open_ehys", {})
    with pytest.raises(PortError, match=r"parallel port '/dev/no_such' cannot be opened"):
        ParallelMarkers("/dev/no_such")
    with pytest.raises(PortError, match=r'format must be "line" or "byte"'):
        SerialMarkers("COM1", format="words", open=lambda *_: Wire())
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(PortError, match=r"pip install 'xdream\[client\]'"):
        SerialMarkers("COM1")
