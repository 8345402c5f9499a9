"""Markers into Open Ephys by its Network Events plugin: a TTL pulse, and the id as a text message.

The plugin stamps them with the start of the block of samples that it is at, some 25 ms off: good for which
presentation it was, useless for when. Its commands were renamed once, and an unknown one is answered as if it had
been done: so what it says it did is compared with what it was asked.
"""

import re
import time
from collections.abc import Callable

import zmq

from stimulus_client.markers import PULSE_S
from stimulus_client.serial_port import PortError

ANSWER_S = 2.0
"""A busy GUI keeps the plugin waiting for its lock; longer than this and it is gone."""
MAX_ANSWER_BYTES = 65_536


class OpenEphysMarkers:
    """A REQ socket to the plugin, `address` being tcp://HOST:5556 unless another port was set there."""

    name = "open_ephys"

    def __init__(
        self,
        address: str = "tcp://127.0.0.1:5556",
        line: int = 1,
        context: "zmq.Context[zmq.Socket[bytes]] | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not re.fullmatch(r"\w+://\S+", address):
            raise PortError(f"an address is written tcp://HOST:5556, got {address!r}")
        self.output = f"{address} line {line}"
        self._address, self._line, self._sleep = address, line, sleep
        self._context = context or zmq.Context.instance()
        self._socket: zmq.Socket[bytes] | None = None

    def send(self, presentation_id: int) -> None:
        """Raise the line, say the id, lower the line; raise PortError if the plugin does not do it."""
        self._set_line(1)
        try:
            self._ask(f"xdream presentation {presentation_id}")
            self._sleep(PULSE_S)
        finally:
            self._set_line(0)

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close(linger=0)
            self._socket = None

    def _set_line(self, state: int) -> None:
        answer = self._ask(f"TTL Line={self._line} State={state}")
        done = re.fullmatch(r"TTLHandled: Line=(\d+) State=(\d+)\s*", answer)
        if done is None or (int(done[1]), int(done[2])) != (self._line, state):
            raise PortError(
                f"Open Ephys at {self._address} was asked to set line {self._line} to {state} and answered {answer!r}: "
                "update its Network Events plugin (GUI 0.6 or later)"
            )

    def _ask(self, text: str) -> str:
        if self._socket is None:
            self._socket = self._context.socket(zmq.REQ)
            self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_ANSWER_BYTES)
            self._socket.connect(self._address)
        self._socket.send_string(text)
        if not self._socket.poll(round(1000 * ANSWER_S)):
            self.close()  # a REQ that was not answered cannot ask again
            raise PortError(f"no answer from Open Ephys at {self._address}: is Network Events in its signal chain?")
        return self._socket.recv().rstrip(b"\0").decode(errors="replace")
