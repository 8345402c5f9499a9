"""Sockets as readers: ZeroMQ messages, TCP streams, UDP datagrams. They connect again by themselves."""

import logging
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import zmq

from adapters.pump import CUT

MAX_READS = 2000
"""At a time, so that a fast stream does not keep the queue's lock from anybody."""
TCP_BYTES = 1 << 18
DATAGRAM_BYTES = 65_536
UDP_BUFFER_BYTES = 8 << 20
CONNECT_S = 1.0
RETRY_S = 0.5
SILENT_S = 5.0
"""A TCP connection that says nothing for so long may be half dead, so it is made afresh."""
ALIVE_AFTER_S, ALIVE_EVERY_S, ALIVE_TRIES = 5, 5, 12
"""A peer that gave us up while the cable was out says so only if it is asked, and we have nothing to send: TCP asks.
For a minute, since one that has not given us up goes on when the cable is back, and RHX takes no new connection."""
Read = list[tuple[int, tuple[bytes, ...]]]
log = logging.getLogger(__name__)


class ZmqReader:
    """One ZeroMQ socket that is there already."""

    def __init__(self, zmq_socket: "zmq.Socket[bytes]") -> None:
        self._socket = zmq_socket

    def read(self, wait_s: float) -> Read:
        """Return the messages that have come."""
        messages: Read = []
        if self._socket.poll(round(wait_s * 1000)):
            with suppress(zmq.Again):
                while len(messages) < MAX_READS:
                    messages.append((0, tuple(self._socket.recv_multipart(zmq.NOBLOCK))))
        return messages

    def close(self) -> None:
        """Close the socket."""
        self._socket.close(linger=0)


class TcpReader:
    """Connections to one program, one port each; if one breaks, all are made afresh.

    `greet` is given the connected sockets and says what the program must hear before it sends.
    """

    def __init__(
        self,
        addresses: list[tuple[str, int]],
        greet: Callable[[list[socket.socket]], None] = lambda _: None,
        clock: Callable[[], float] = monotonic,
        silent_s: float = SILENT_S,
    ) -> None:
        self._addresses, self._greet, self._clock, self._silent_s = addresses, greet, clock, silent_s
        self._sockets: list[socket.socket] = []
        self._made: list[socket.socket] = []
        """While not all ports answer, those that do: RHX lets nobody in again who has left."""
        self._tried_s = self._heard_s = -RETRY_S
        self._complained = False

    def read(self, wait_s: float) -> Read:
        """Return what has come on each connection, or a cut."""
        if not self._sockets:
            return self._connect(wait_s)
        select.select(self._sockets, [], [], wait_s)
        try:
            stretches = self._read_each()
        except OSError as error:
            return self._cut(f"the connection broke: {error}")
        if any(not frames[0] for _, frames in stretches):
            return self._cut("the recording program closed the connection")
        if stretches:
            self._heard_s = self._clock()
        elif self._clock() - self._heard_s > self._silent_s:
            return self._cut("the recording program fell silent")
        return stretches

    def close(self) -> None:
        """Close the connections."""
        for each in (*self._sockets, *self._made):
            each.close()
        self._sockets, self._made = [], []

    def _read_each(self) -> Read:
        """Return what each connection has, the last one's first.

        The first is read first, though: what the others say about the same time has been sent by then.
        """
        stretches: Read = []
        for port, connection in enumerate(self._sockets):
            if select.select([connection], [], [], 0)[0]:
                stretches.insert(0, (port, (_received(connection),)))
        return stretches

    def _connect(self, wait_s: float) -> Read:
        if self._clock() - self._tried_s < RETRY_S:
            select.select([], [], [], wait_s)
            return []
        self._tried_s = self._heard_s = self._clock()
        try:
            for address in self._addresses[len(self._made) :]:
                self._made.append(_connected(address))
            self._greet(self._made)
        except OSError as error:
            self._complain(error)
            if len(self._made) == len(self._addresses):
                self.close()
            return []
        self._sockets, self._made = self._made, []
        self._complained = False
        return [(CUT, (b"a connection was made",))]

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            where = ", ".join(f"{host}:{port}" for host, port in self._addresses)
            log.warning("no connection to %s (%s); trying again until there is one", where, error)
        self._complained = True

    def _cut(self, why: str) -> Read:
        log.warning("%s; connecting again", why)
        self.close()
        return [(CUT, (why.encode(),))]


class UdpReader:
    """A port that is listened on, and nothing else: no byte is ever sent."""

    def __init__(self, host: str, port: int, buffer_bytes: int = UDP_BUFFER_BYTES) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        self._socket.bind((host, port))
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        got = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        if got < buffer_bytes:
            log.warning("the UDP buffer holds %d kB, not %d: raise net.core.rmem_max", got >> 10, buffer_bytes >> 10)

    def read(self, wait_s: float) -> Read:
        """Return the datagrams that have come."""
        datagrams: Read = []
        if select.select([self._socket], [], [], wait_s)[0]:
            with suppress(BlockingIOError):
                while len(datagrams) < MAX_READS:
                    datagrams.append((0, (self._socket.recv(DATAGRAM_BYTES),)))
        return datagrams

    def close(self) -> None:
        """Close the port."""
        self._socket.close()


def _connected(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, CONNECT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", ALIVE_AFTER_S),
        ("TCP_KEEPINTVL", ALIVE_EVERY_S),
        ("TCP_KEEPCNT", ALIVE_TRIES),
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(TCP_BYTES)
    if hasattr(socket, "TCP_QUICKACK"):
        # Or else the sender's next small packet waits for our acknowledgement for 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return data
