"""Whether raw data are kept: asked now and then, said when they are not, and no bother where nobody answers."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import count
from threading import Event, Thread
from time import monotonic

import pytest
from bench import ListFeed
from made_up_rig import Rig
from systems import SYSTEMS

from adapters.alarms import Alarm
from adapters.check import FAIL, NOTE, PASS, check
from adapters.guard import Guard
from adapters.intan_commands import PATIENCE, RunModeGuard, ask, ask_sample_rate
from adapters.live import LiveSource
from adapters.open_ephys_http import ask as ask_gui
from adapters.open_ephys_http import recording_sentence
from adapters.peers.behind import BehindIntan, BehindOpenEphys
from adapters.peers.spikeglx import BehindSpikeGlx
from adapters.rules import Rules
from adapters.source import SourceError
from adapters.spikeglx import saving_guard
from adapters.spikeglx_server import ALLOWED, CommandServer
from adapters.synapse import ask_mode

HOST = "127.0.0.1"
NEVER_S = 1e6


def wait_until(happened: Callable[[], bool]) -> bool:
    end_s = monotonic() + 10
    while not happened() and monotonic() < end_s:
        Event().wait(0.001)
    return happened()


def test_what_is_wrong_is_said_once_and_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sentences: list[str | None] = ["it does NOT record", "it does NOT record", None, "it does NOT record", ""]
    looked: list[str | None] = []

    def look() -> str | None:
        looked.append(sentences[min(len(looked), len(sentences) - 1)])
        return looked[-1]

    with closing(Guard("some", look, "press record", every_s=0.001)) as guard:
        assert wait_until(lambda: "raw data are kept" in caplog.text)
        assert guard.alarms() == {}
    assert [record.getMessage() for record in caplog.records] == [
        "some: it does NOT record", "some: it does NOT record", "some: raw data are kept",
    ]  # fmt: skip


@pytest.mark.parametrize("answer", [b"\xff\0\0\0\0\0\0\0\x01\x7f\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 100_000])
@pytest.mark.parametrize("question", [lambda port: ask_gui(HOST, port, "status"), lambda port: ask_mode(HOST, port)])
def test_a_port_where_something_else_answers_is_no_answer(question: Callable[[int], object], answer: bytes) -> None:
    def something() -> None:
        with listener.accept()[0] as client:
            client.recv(1000)
            client.sendall(answer)

    with socket.create_server((HOST, 0)) as listener:
        thread = Thread(target=something)
        thread.start()
        assert question(listener.getsockname()[1]) is None
        thread.join()


def test_an_alarm_lasts_as_long_as_nothing_is_recorded() -> None:
    with closing(Guard("some", lambda: "it does NOT record", "press record", every_s=0.001)) as guard:
        assert wait_until(lambda: bool(guard.alarms()))
        alarm: Alarm = guard.alarms()["not_recording"]
        assert (alarm.what, alarm.do) == ("it does NOT record", "press record")


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ("it does NOT record", (FAIL, "it does NOT record")),
        ("", (PASS, "raw data are kept")),
        (None, (NOTE, "whether raw data are kept cannot be seen from here: look")),
    ],
)
def test_check_shows_it(told: str | None, line: tuple[str, str]) -> None:
    system = SYSTEMS["bridge"]
    rig = Rig(n_trials=1)
    feed = ListFeed([chunk for _, chunks in system.speak(rig) for chunk in chunks])
    ticks = count()
    with closing(Guard("some", lambda: told, "press record", NEVER_S)) as guard:
        source = LiveSource(system.wire(rig, Rules()), feed, Rules(), lambda: 0.0, companions=[guard])
        lines = {each.what: each for each in check(source, 1.0, lambda: next(ticks) / 10, lambda _: None)}
    assert (lines["recording"].verdict, lines["recording"].sentence) == line


# -- programs that are simulated answer as the real ones do, and do nothing that they are told


def test_a_simulated_gui_says_its_mode_and_lets_nobody_change_it() -> None:
    with closing(BehindOpenEphys(["1"])) as gui:
        port = int(gui.options["http_port"])
        assert recording_sentence(ask_gui(HOST, port, "status")) == ""
        assert set(ask_gui(HOST, port, "recording") or {}) >= {"parent_directory", "base_text"}
        assert ask_gui(HOST, port, "cpu") is None
        with closing(HTTPConnection(HOST, port)) as connection:
            connection.request("PUT", "/api/status", b'{"mode": "IDLE"}')
            assert connection.getresponse().status == HTTPStatus.NOT_IMPLEMENTED
        assert ask_gui(HOST, port, "status") == {"mode": "RECORD"}
        gui.saves = False
        assert "does NOT record (it says ACQUIRE)" in recording_sentence(ask_gui(HOST, port, "status"))


def test_a_simulated_rhx_answers_questions_to_one_after_the_other() -> None:
    with closing(BehindIntan(["A-000"])) as peer:
        port = int(peer.options["command_port"])
        for _ in range(2):
            rate_hz, connection = ask_sample_rate(HOST, port)
            with connection:
                connection.sendall(b"set runmode stop;")
                assert (rate_hz, ask(connection, "get runmode")) == ("20000", "Record")
                connection.sendall(b"get colour;")
                assert connection.recv(100) == b"Unrecognized parameter"


# -- Intan RHX


@contextmanager
def rhx(*replies: bytes) -> Iterator[tuple[socket.socket, list[bytes]]]:
    """Give a connection to an RHX that replies so, piece by piece, and what it hears; then it goes away."""
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        with server, suppress(ConnectionError):
            for reply in replies:
                heard.append(server.recv(100))
                for piece in reply.split(b"|"):
                    server.sendall(piece)

    client, server = socket.socketpair()
    thread = Thread(target=serve, args=[server])
    thread.start()
    with client:
        yield client, heard
    thread.join()


def test_rhx_is_asked_for_its_run_mode() -> None:
    replies = (b"Return: RunMode Run", b"Return: RunMode R|ecord", b"Return: RunMode Stop")
    with rhx(*replies) as (connection, heard), closing(RunModeGuard(connection, NEVER_S)) as guard:
        assert guard.look() == "RHX does NOT record (it says Run): raw data are not kept"
        assert guard.look() == ""
        assert guard.look() == "RHX does NOT record (it says Stop): raw data are not kept"
    assert heard == [b"get runmode;"] * 3


def test_an_rhx_that_does_not_know_run_modes_is_soon_left_in_peace() -> None:
    replies = [b"Unrecognized parameter"] * PATIENCE
    with rhx(*replies, b"") as (connection, heard), closing(RunModeGuard(connection, NEVER_S)) as guard:
        connection.setblocking(True)
        assert [guard.look() for _ in range(2 * PATIENCE)] == [None] * 2 * PATIENCE
    assert len(heard) == PATIENCE + 1
    assert heard[-1] == b"", "nothing more is asked"


def test_an_rhx_that_goes_away_is_no_bother() -> None:
    with rhx() as (connection, _), closing(RunModeGuard(connection, NEVER_S)) as guard:
        assert guard.look() is None


def test_a_reply_that_came_too_late_is_no_answer_to_the_next_question() -> None:
    with rhx(b"Return: RunMode Record") as (connection, _):
        end_s = monotonic() + 10
        connection.sendall(b"get runmode;")
        while monotonic() < end_s and not connection.recv(100, socket.MSG_PEEK):
            pass
        with pytest.raises((SourceError, ConnectionError)):
            ask(connection, "get runmode")


def test_nothing_else_may_be_asked_of_rhx() -> None:
    left, right = socket.socketpair()
    with left, right, pytest.raises(ValueError, match="not among what may be sent to RHX"):
        ask(left, "set runmode stop")


# -- SpikeGLX


def test_spikeglx_is_asked_whether_it_saves() -> None:
    with closing(BehindSpikeGlx(["1"])) as peer:
        with closing(saving_guard((HOST, int(peer.options["port"])), NEVER_S)) as guard:
            assert guard.look() == ""
            peer.saves = False
            assert guard.look() == "SpikeGLX does NOT save: raw data are not kept"
        server = CommandServer((HOST, int(peer.options["port"])))
        with closing(server), pytest.raises(ValueError, match="not among what may be sent to SpikeGLX"):
            server.ask("STOPRUN")
        assert peer.heard == {"ISSAVING", "ISRUNNING"}
        assert peer.heard < set(ALLOWED)
    with closing(saving_guard((HOST, int(peer.options["port"])), NEVER_S)) as guard:
        assert guard.look() is None


def test_a_spikeglx_that_does_not_know_the_question_is_no_bother(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BehindSpikeGlx, "answer", lambda *_: b"ERROR CmdWorker: unknown command\n")
    with (
        closing(BehindSpikeGlx(["1"])) as peer,
        closing(saving_guard((HOST, int(peer.options["port"])), NEVER_S)) as guard,
    ):
        assert guard.look() is None
