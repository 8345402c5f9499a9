"""The page's own connection to the server: what becomes of a wish when the session that it was meant for is over."""

from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import zmq
from fastapi.testclient import TestClient

from protocol.codec import decode, encode
from protocol.messages import Control, Farewell, Heartbeat, Hello, Message, Vitals, Welcome
from server.status.app import create_app
from server.status.operator import Operator
from tests.page.made import MadeSession

PATIENCE_MS = 20_000
Kind = TypeVar("Kind", bound=Message)


class Played:
    """A server as the page meets it: it says what a test tells it to, and leaves out the rest."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._socket = socket
        self.address = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._peer = b""

    def hears(self, kind: type[Kind]) -> Kind:
        """Wait for the next message of a kind."""
        while self._socket.poll(PATIENCE_MS):
            self._peer, *frames = self._socket.recv_multipart()
            message = decode(frames)
            if isinstance(message, kind):
                return message
        raise AssertionError(f"no {kind.__name__} came")

    def says(self, *messages: Message) -> None:
        for message in messages:
            self._socket.send_multipart([self._peer, *encode(message)])

    def welcomes(self, session_id: str) -> None:
        self.hears(Hello)
        self.says(Welcome(session_id, "test", {}), Vitals("running", "", {}, 0.001, 0, 0))


@contextmanager
def a_server() -> Iterator[Played]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind("tcp://127.0.0.1:*")
        yield Played(socket)


@pytest.mark.timeout(60)
def test_a_wish_that_was_not_sent_before_its_server_died_is_no_wish_to_the_next_session() -> None:
    with a_server() as server:
        operator = Operator(server.address, clock=lambda: 0.0)
        operator.start()
        server.welcomes("a")
        server.hears(Hello)  # nothing was answered meanwhile: the server of session a is taken for dead
        for_a = operator.ask(Control("a-wish-for-a", "end"))
        server.says(Welcome("b", "test", {}), Vitals("running", "", {}, 0.001, 0, 0))
        with pytest.raises(CancelledError):
            for_a.result(timeout=20)
        operator.ask(Control("a-wish-for-b", "pause"))
        assert server.hears(Control).control_id == "a-wish-for-b"
        operator.close()


@pytest.mark.timeout(60)
def test_a_wish_that_the_end_of_its_session_overtakes_is_said_to_be_undone(tmp_path: Path) -> None:
    made = MadeSession(tmp_path / "running.xdream").begin()
    with a_server() as server, ThreadPoolExecutor() as pool:
        app = create_app(made.file.path, Operator(server.address))
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
            server.welcomes(made.session.session_id)
            wish = {"control_id": "a-wish-too-late", "action": "stop"}
            while not app.state.library.operator.session_id:
                server.hears(Heartbeat)
            asked = pool.submit(client.post, "/api/sessions/running/controls", json=wish)
            assert server.hears(Control).control_id == "a-wish-too-late"
            server.says(Farewell("session ended: all done"))
            answer = asked.result(timeout=20)
    made.close()
    assert answer.status_code == 503
    assert "Nothing was done" in answer.json()["error"]
