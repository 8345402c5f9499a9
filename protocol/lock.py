"""The server's side of CURVE: its own key, the list of keys it lets in, and the answer to each that knocks.

libzmq asks (ZAP, ZeroMQ RFC 27) over an inproc socket whether a public key is welcome and waits for the answer; it is
given between two messages, by whoever runs the loop, so that no second thread is needed. The list is read again when
it has changed: a key made while a session runs holds at once, one taken off it holds for no new connection.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

import zmq
from zmq.utils.z85 import encode as z85_encode

from protocol.keys import Holder, KeyProblem, read_holders, read_secret, z85

SERVER_KEY = "server.key"
ALLOWED = "allowed.toml"
DOMAIN = b"xdream"
ZAP = "inproc://zeromq.zap.01"
_VERSION, _WELCOME, _REFUSED, _BROKEN = b"1.0", (b"200", b"OK"), (b"400", b"not on the list"), (b"500", b"no ZAP 1.0")
log = logging.getLogger(__name__)


class Lock:
    """Lets in the peers whose key is on the list. One a context: libzmq asks whoever has bound its address there."""

    def __init__(self, folder: Path) -> None:
        """Read the keys in a folder; raise KeyProblem if they cannot be used."""
        self.folder = folder
        table = read_secret(folder / SERVER_KEY)
        self.public = z85(folder / SERVER_KEY, table, "public")
        self._secret = z85(folder / SERVER_KEY, table, "secret")
        self._written = self._signature()
        self._holders = read_holders(folder / ALLOWED)
        self._socket: zmq.Socket[bytes] | None = None

    @property
    def socket(self) -> "zmq.Socket[bytes]":
        """Where libzmq asks: to be watched, and `answer` called when something is there."""
        if self._socket is None:
            raise RuntimeError("this lock is on no door")
        return self._socket

    def put_on(self, door: "zmq.Socket[bytes]") -> None:
        """Lock a socket, before it is bound."""
        self._socket = door.context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(ZAP)
        door.curve_server = True
        door.curve_secretkey = self._secret.encode()
        door.zap_domain = DOMAIN
        door.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # if ever nobody answers, nobody is let in

    def answer(self) -> Iterator[str]:
        """Answer all who knock, without waiting; yield (address, public key) in words for each that is refused."""
        while self.socket.poll(0):
            version, request, *rest = self.socket.recv_multipart()
            if version != _VERSION or len(rest) < 5 or rest[0] != DOMAIN:
                self._say(request, _BROKEN)
                continue
            public = z85_encode(rest[4]).decode() if rest[3] == b"CURVE" and len(rest[4]) == 32 else ""
            holder = self.holders().get(public)
            self._say(request, _WELCOME if holder else _REFUSED, holder)
            if holder is None:
                yield f"{rest[1].decode(errors='replace')}, with the key {public}"

    def holders(self) -> dict[str, Holder]:
        """Return the list by public key, as it stands on disk; the last good one if that cannot be read."""
        written = self._signature()
        if written != self._written:
            self._written = written
            try:
                self._holders = read_holders(self.folder / ALLOWED)
            except KeyProblem as problem:
                log.warning("%s Those who were let in before still are.", problem)
        return self._holders

    def close(self) -> None:
        """Ask no more."""
        if self._socket is not None:
            self._socket.close()

    def _say(self, request: bytes, status: tuple[bytes, bytes], holder: Holder | None = None) -> None:
        user = holder.public.encode() if holder else b""
        self.socket.send_multipart([_VERSION, request, *status, user, b""])

    def _signature(self) -> tuple[int, int, int]:
        try:
            stat = (self.folder / ALLOWED).stat()
        except OSError:
            return (0, 0, 0)
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
