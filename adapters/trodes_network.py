"""Where on the network Trodes says what: a registry is asked for the sources by name, and nothing is ever set."""

import logging
from collections.abc import Callable
from contextlib import closing
from time import monotonic, sleep
from typing import Any, cast

import msgpack
import zmq
from zmq.utils.monitor import recv_monitor_message

from adapters.pump import CUT
from adapters.readers import RETRY_S, SILENT_S, Read
from adapters.source import SourceError
from adapters.zmq_readers import ZmqReaders, subscribed

DIGITAL, SPIKES = 0, 1
SOURCES = ("source.digital", "source.spikes")
"""By their ports."""
INFO = "trodes.info"
ALLOWED = (*SOURCES, INFO)
"""All that is ever looked up: `trodes.hardware`, on the same registry, stimulates."""
TIMEOUT_S = 1.0
LOOPBACK = ("127.0.0.1", "localhost")
log = logging.getLogger(__name__)
Address = tuple[str, int]


class TrodesReader:
    """Both sources, in one thread; they are looked up again when they break or fall silent, since Trodes moves."""

    def __init__(self, address: Address, clock: Callable[[], float] = monotonic) -> None:
        self._address, self._clock = address, clock
        self._readers: ZmqReaders | None = None
        self._monitors: list[zmq.Socket[bytes]] = []
        self._tried_s = -RETRY_S
        self._heard_s = 0.0
        self._heard = self._complained = False

    def read(self, wait_s: float) -> Read:
        """Return what has come: one bundle of messages a source, the digital inputs last."""
        if self._readers is None:
            return self._connect(wait_s)
        messages = self._readers.read(wait_s)
        if any(each.poll(0) and recv_monitor_message(each) for each in self._monitors):
            return self._cut("a connection to Trodes broke")
        if messages:
            self._heard, self._heard_s = True, self._clock()
        elif self._clock() - self._heard_s > SILENT_S:
            return self._cut("Trodes fell silent")
        return _bundled(messages)

    def close(self) -> None:
        """Close the connections."""
        for each in self._monitors:
            each.close(linger=0)
        if self._readers is not None:
            self._readers.close()
        self._readers, self._monitors = None, []

    def _connect(self, wait_s: float) -> Read:
        if self._clock() - self._tried_s < RETRY_S:
            sleep(wait_s)
            return []
        self._tried_s = self._heard_s = self._clock()
        sockets: list[zmq.Socket[bytes]] = []
        try:
            for endpoint in [look_up(self._address, name) for name in SOURCES]:
                sockets.append(subscribed(endpoint))
        except SourceError as error:
            for each in sockets:
                each.close(linger=0)
            if not self._complained:
                log.warning("%s Trying again until there is one.", error)
            self._complained = True
            return []
        self._monitors = [each.get_monitor_socket(zmq.EVENT_DISCONNECTED) for each in sockets]
        self._readers, self._complained, self._heard = ZmqReaders(sockets), False, False
        return [(CUT, (b"a connection was made",))]

    def _cut(self, why: str) -> Read:
        said = self._heard
        self.close()
        if not said:
            return []
        log.warning("%s; looking for it again", why)
        return [(CUT, (why.encode(),))]


def look_up(address: Address, name: str) -> str:
    """Return the endpoint of a source or service, as the registry at an address tells; raise SourceError if none."""
    if name not in ALLOWED:
        raise ValueError(f"{name!r} is not among what may be looked up in Trodes: {', '.join(ALLOWED)}")
    where = f"tcp://{address[0]}:{address[1]}"
    with closing(subscribed(where)) as registry:
        replies = _text(_received(registry, f"Trodes at {where}. Is it running, with its network on?"), "replyEndpoint")
    endpoint = _asked(replies, {"tag": "get", "name": name, "endpoint": ""})
    if not isinstance(endpoint, str) or not endpoint:
        raise SourceError(f"Trodes at {where} has no {name} yet.")
    if address[0] not in LOOPBACK and any(f"//{each}:" in endpoint for each in LOOPBACK):
        raise SourceError(f"Trodes offers {name} on its own PC only ({endpoint}): give it that PC's address.")
    return endpoint


def ask_rate(address: Address) -> int:
    """Return the samples a second that Trodes says it takes."""
    answer = _asked(look_up(address, INFO), {"request": "timerate"})
    try:
        rate = int(answer[2]["timerate"])
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise SourceError(f"Trodes says {answer!r:.80} for its sample rate: give it, -o rate_hz=30000") from error
    if not 1000 <= rate <= 10**6:
        raise SourceError(f"Trodes says that it takes {rate} samples/s.")
    return rate


def _asked(endpoint: str, question: dict[str, str]) -> Any:
    service: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.REQ)
    service.setsockopt(zmq.LINGER, 0)
    with closing(service):
        try:
            service.connect(endpoint)
        except zmq.ZMQError as error:
            raise SourceError(f"{endpoint!r} of Trodes is no address: {error}.") from error
        service.send(cast(bytes, msgpack.packb(question)))
        return _received(service, f"Trodes' service at {endpoint}.")


def _received(zmq_socket: "zmq.Socket[bytes]", whom: str) -> Any:
    if not zmq_socket.poll(round(TIMEOUT_S * 1000)):
        raise SourceError(f"no answer from {whom}")
    try:
        return msgpack.unpackb(zmq_socket.recv(), raw=False)
    except (ValueError, RecursionError, msgpack.UnpackException) as error:
        raise SourceError(f"no answer that makes sense from {whom}") from error


def _text(answer: Any, key: str) -> str:
    value = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(value, str):
        raise SourceError(f"what answers is no Trodes: it said {answer!r:.80}")
    return value


def _bundled(messages: Read) -> Read:
    """Return all messages of a source as one chunk: there are 30,000 a second."""
    bundles: dict[int, list[bytes]] = {SPIKES: [], DIGITAL: []}
    for port, frames in messages:
        bundles[port] += frames
    return [(port, tuple(bundle)) for port, bundle in bundles.items() if bundle]
