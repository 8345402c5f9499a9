"""The server's end of the wire: who is let in, who is refused with what sentence, who is given up."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import zmq

from protocol.codec import decode, encode
from protocol.messages import Control, Farewell, Heartbeat, Hello, Message, Notice, Role
from server.router import PEER_LOST_S, Router
from tests.builders import a_display

DEADLINE_MS = 10_000


class Station:
    """A router on a clock that stands still unless told, and peers that say what a test wants."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.router = Router("tcp://127.0.0.1:*", lambda: self.now_s, self.context)
        self.sockets: list[zmq.Socket[bytes]] = []

    def a_socket(self) -> "zmq.Socket[bytes]":
        socket = self.context.socket(zmq.DEALER)
        socket.connect(self.router.address)
        self.sockets.append(socket)
        return socket

    def say(self, socket: "zmq.Socket[bytes]", *frames: bytes) -> list[tuple[Role, Message]]:
        socket.send_multipart(frames)
        assert self.router.socket.poll(DEADLINE_MS), "nothing arrived"
        return list(self.router.receive())

    def tell(self, socket: "zmq.Socket[bytes]", message: Message) -> list[tuple[Role, Message]]:
        return self.say(socket, *(bytes(frame) for frame in encode(message)))

    def hear(self, socket: "zmq.Socket[bytes]") -> Message:
        while True:
            assert socket.poll(DEADLINE_MS), "the server says nothing"
            message = decode(socket.recv_multipart())
            if not isinstance(message, Heartbeat):
                return message


@pytest.fixture
def station() -> Iterator[Station]:
    station = Station()
    yield station
    for socket in station.sockets:
        socket.close(linger=0)
    station.router.close()
    station.context.term()


def test_a_peer_is_known_by_its_role(station: Station) -> None:
    socket = station.a_socket()
    [(role, message)] = station.tell(socket, a_display())
    assert role is Role.DISPLAY and isinstance(message, Hello)
    station.router.send(Role.DISPLAY, Notice("info", "hello"))
    heard = station.hear(socket)
    assert isinstance(heard, Notice) and heard.text == "hello"


def test_a_second_live_display_is_refused_with_a_sentence_and_in_the_end_for_good(station: Station) -> None:
    first, second = station.a_socket(), station.a_socket()
    station.tell(first, a_display("d1"))
    assert not station.tell(second, a_display("d2"))
    refusal = station.hear(second)
    assert isinstance(refusal, Farewell) and "display already" in refusal.reason and not refusal.final
    for _ in range(5):
        station.now_s += 1.0
        station.tell(first, Heartbeat(0.0))
        station.tell(second, a_display("d2"))
        refusal = station.hear(second)
    assert isinstance(refusal, Farewell) and refusal.final


def test_a_display_started_again_gets_in_when_the_dead_one_is_given_up(station: Station) -> None:
    station.tell(station.a_socket(), a_display("d1"))
    station.now_s += PEER_LOST_S + 0.1
    assert list(station.router.newly_lost()) == [(Role.DISPLAY, "headless")]
    assert not list(station.router.newly_lost()), "said once"
    assert station.tell(station.a_socket(), a_display("d2"))


def test_a_page_that_was_killed_is_forgotten_and_no_trouble(station: Station) -> None:
    station.tell(station.a_socket(), Hello("operator", "status page", "p1"))
    station.now_s += PEER_LOST_S + 0.1
    assert not list(station.router.newly_lost())
    assert not station.router.links()


def test_a_display_that_reconnects_replaces_itself(station: Station) -> None:
    station.tell(station.a_socket(), a_display("d1"))
    assert station.tell(station.a_socket(), a_display("d1"))
    assert [link.hello.instance for link in station.router.links()] == ["d1"]


def test_a_peer_that_was_only_asleep_says_anew_what_it_holds(station: Station) -> None:
    socket = station.a_socket()
    station.tell(socket, a_display())
    station.now_s += PEER_LOST_S + 0.1
    list(station.router.newly_lost())
    assert not station.tell(socket, Heartbeat(0.0)), "its Hello of before says nothing of the trials sent since"
    asked = station.hear(socket)
    assert isinstance(asked, Farewell) and not asked.final
    [(role, message)] = station.tell(socket, a_display(trials=[7, 8]))
    assert role is Role.DISPLAY and isinstance(message, Hello) and message.trials.tolist() == [7, 8]
    assert not any(link.lost for link in station.router.links())


@pytest.mark.parametrize(("theirs", "older"), [(99, "this server"), (0, "headless")])
def test_another_protocol_version_is_told_what_to_install(station: Station, theirs: int, older: str) -> None:
    socket = station.a_socket()
    assert not station.tell(socket, replace(a_display(), protocol_version=theirs))
    refusal = station.hear(socket)
    assert isinstance(refusal, Farewell) and refusal.final
    assert f"protocol version {theirs}" in refusal.reason and f"{older} is the older" in refusal.reason


def test_an_unknown_role_is_refused(station: Station) -> None:
    socket = station.a_socket()
    station.tell(socket, Hello("janitor", "x", "i"))
    refusal = station.hear(socket)
    assert isinstance(refusal, Farewell) and "'janitor'" in refusal.reason and "acquisition" in refusal.reason


@pytest.mark.parametrize("frames", [(b"GET / HTTP/1.1",), (b"",), (b"\x81\xa4type\x01", b"x"), (b"\xff" * 3000,)])
def test_garbage_on_the_port_is_counted_and_dropped(station: Station, frames: tuple[bytes, ...]) -> None:
    assert not station.say(station.a_socket(), *frames)
    assert station.router.n_dropped == 1 and not station.router.links()


def test_a_stranger_is_not_listened_to_before_hello(station: Station) -> None:
    assert not station.tell(station.a_socket(), Control("c1", "end"))
    assert station.router.n_dropped == 1


def test_an_address_in_use_is_a_sentence(station: Station) -> None:
    with pytest.raises(OSError, match=r"cannot listen at .* another server"):
        Router(station.router.address, lambda: 0.0, station.context)


def test_a_stranger_is_asked_to_introduce_itself_again(station: Station) -> None:
    socket = station.a_socket()
    station.tell(socket, Heartbeat(0.0))
    answer = station.hear(socket)
    assert isinstance(answer, Farewell) and not answer.final


def test_whoever_still_talks_when_the_session_is_over_is_told_so(station: Station) -> None:
    socket = station.a_socket()
    socket.send_multipart(encode(a_display()))
    station.router.close("session ended")
    answer = station.hear(socket)
    assert isinstance(answer, Farewell) and answer.final and answer.reason == "session ended"
