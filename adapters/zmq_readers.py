"""Several ZeroMQ subscriptions of one recording system, read in one thread."""

from contextlib import suppress

import zmq

from adapters.readers import ALIVE_AFTER_S, ALIVE_EVERY_S, ALIVE_TRIES, MAX_READS, Read
from adapters.source import SourceError

MAX_BEHIND = 200_000
"""Messages of one socket at a time: far more than come while one look is taken, and yet an end."""
MAX_MESSAGE_BYTES = 1 << 26
"""64 MiB; a block of continuous data is a hundredth of that."""


def subscribed(address: str, max_queued: int = 0) -> "zmq.Socket[bytes]":
    """Return a socket that hears everything at an address; raise SourceError if that is none.

    Without a limit nothing is lost on our side of the network: the queue of the pump is the one that is bounded.
    """
    subscriber: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.SUB)
    subscriber.setsockopt(zmq.RCVHWM, max_queued)
    subscriber.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_BYTES)
    subscriber.setsockopt(zmq.SUBSCRIBE, b"")
    subscriber.setsockopt(zmq.TCP_KEEPALIVE, 1)
    subscriber.setsockopt(zmq.TCP_KEEPALIVE_IDLE, ALIVE_AFTER_S)
    subscriber.setsockopt(zmq.TCP_KEEPALIVE_INTVL, ALIVE_EVERY_S)
    subscriber.setsockopt(zmq.TCP_KEEPALIVE_CNT, ALIVE_TRIES)
    try:
        subscriber.connect(address)
    except zmq.ZMQError as error:
        subscriber.close(linger=0)
        raise SourceError(f"{address} is no address: {error}.") from error
    return subscriber


class ZmqReaders:
    """Sockets whose place is their port. The first one tells the time."""

    def __init__(self, sockets: "list[zmq.Socket[bytes]]") -> None:
        self._sockets = sockets
        self._poller = zmq.Poller()
        for each in sockets:
            self._poller.register(each, zmq.POLLIN)

    def read(self, wait_s: float) -> Read:
        """Return the messages that have come, the first socket's last.

        It is read first, though: what the others say about the same time has mostly been sent by then.
        """
        if not self._poller.poll(round(wait_s * 1000)):
            return []
        clock, *others = self._sockets
        told = _messages(clock, 0, MAX_READS)
        said = [each for port, other in enumerate(others, 1) for each in _messages(other, port, MAX_BEHIND)]
        return said + told

    def close(self) -> None:
        """Close the sockets."""
        for each in self._sockets:
            each.close(linger=0)


def _messages(zmq_socket: "zmq.Socket[bytes]", port: int, most: int) -> Read:
    messages: Read = []
    with suppress(zmq.Again):
        while len(messages) < most:
            messages.append((port, tuple(zmq_socket.recv_multipart(zmq.NOBLOCK))))
    return messages
