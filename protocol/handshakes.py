"""Why connections fail to come about, in sentences: ZeroMQ itself says nothing when keys do not fit."""

from collections.abc import Iterator
from itertools import count

import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.keys import PeerKey

FAILURES = zmq.Event.HANDSHAKE_FAILED_AUTH | zmq.Event.HANDSHAKE_FAILED_PROTOCOL | zmq.Event.HANDSHAKE_FAILED_NO_DETAIL
MAX_WAITING = 10_000
"""Failures that may wait to be looked at; libzmq stands still when there are more."""
AUTH, OTHER_MECHANISM, OTHER_KEY, NOT_OURS, CUT = "auth", "mechanism", "key", "not ours", "cut"
_PROTOCOL: dict[int, str] = {
    int(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH): OTHER_MECHANISM,
    int(zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC): OTHER_KEY,
}
_numbers = count()


class Handshakes:
    """Watches the handshakes of one socket; to be made before it connects or binds, and closed before it is."""

    def __init__(self, socket: "zmq.Socket[bytes]") -> None:
        self._watched = socket
        address = f"inproc://handshakes-{next(_numbers)}"
        socket.monitor(address, FAILURES)
        self.socket: zmq.Socket[bytes] = socket.context.socket(zmq.PAIR)
        self.socket.linger = 0
        self.socket.rcvhwm = MAX_WAITING
        self.socket.connect(address)

    def failed(self) -> Iterator[str]:
        """Yield how each handshake failed that has since the last look, without waiting."""
        while self.socket.poll(0):
            message = recv_monitor_message(self.socket)
            match message["event"]:
                case zmq.Event.HANDSHAKE_FAILED_AUTH:
                    yield AUTH
                case zmq.Event.HANDSHAKE_FAILED_PROTOCOL:
                    yield _PROTOCOL.get(message["value"], NOT_OURS)
                case zmq.Event.HANDSHAKE_FAILED_NO_DETAIL:
                    yield CUT

    def close(self) -> None:
        """Watch no more."""
        if not self._watched.closed:
            self._watched.disable_monitor()
        self.socket.close()


def why_peer_failed(how: str, address: str, key: PeerKey | None) -> str:
    """Return what a person at a peer should read when its handshake has failed."""
    if how == OTHER_MECHANISM and key is None:
        return (
            f"the server at {address} asks for a key. On its machine: xdream keys make NAME --role ROLE; "
            "bring the file here and start with --key FILE."
        )
    if key is None and how == CUT:
        return (
            f"the server at {address} hangs up at once: it asks for a key (on its machine: xdream keys make NAME "
            "--role ROLE; here: --key FILE), or it is no xdream server."
        )
    if key is None:
        return f"something at {address} answers that is no xdream server of this version. Is the port right?"
    if how == OTHER_MECHANISM:
        return (
            f"the server at {address} knows no keys, so nothing is said to it. Start it with its keys "
            "(docs/security.md), or start here without --key if it is yours and the network is."
        )
    if how == AUTH:
        return (
            f"the server at {address} does not let the key {key.name!r} in: it is not on its list. On its machine "
            "xdream keys list says which are; xdream keys make NAME --role ROLE makes one to bring here."
        )
    if how == CUT:
        return (
            f"the server at {address} hangs up at once: it knows no keys (start it with its keys, docs/security.md), "
            f"or it is not the one that the key {key.name!r} was made for (ask for a key of this one)."
        )
    return (
        f"the server at {address} is not the one that the key {key.name!r} was made for. "
        "Ask for a key of this server: on its machine, xdream keys make NAME --role ROLE."
    )
