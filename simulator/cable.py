"""The cable between a simulated rig's screen and its recording: light, onset pulses and one clock.

On a rig the animal sees the screen, and a wire carries each onset to the amplifier. Here both go over one ZeroMQ
connection, from what the stimulus client has truly flipped; the server takes no part in it. A drill that is the
recording's business goes the same way: the adapter, which is a rig's, must find out by itself.

In real time each side has the clock of this machine. In simulated time the recording has the only clock: the screen
asks it for the time before a flip, says to which time it went, and the recording goes on from there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import zmq
from numpy.typing import NDArray

ANSWER_S = 60
"""A recording that does not answer for so long is gone."""


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """An image that can be on screen from now on."""

    stimulus_id: int
    image: NDArray[np.uint8]
    """[height_px, width_px, 3]"""


@dataclass(frozen=True, slots=True)
class Gone:
    """Images that will not be shown again."""

    stimulus_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """The screen asks for the time: it is about to flip, or only wants to know whether there is a recording."""

    peer: bytes
    number: int
    flips: bool


@dataclass(frozen=True, slots=True)
class Flip:
    """The screen has changed at this time of its clock; in a trial it will change again soon."""

    at_s: float
    in_trial: bool


@dataclass(frozen=True, slots=True)
class Pulse:
    """An image has come on."""

    presentation_id: int
    stimulus_id: int
    at_s: float
    peer: bytes = b""


@dataclass(frozen=True, slots=True)
class Drill:
    """Something is to go wrong with the recording, now."""

    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The screen goes dark."""


Said = Light | Gone | Asked | Flip | Pulse | Drill | Goodbye


class CableError(RuntimeError):
    """The other end of the cable is not there."""


class ScreenEnd:
    """The screen's end. It never waits but for the time."""

    def __init__(self, address: str) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.connect(address)
        self._address = address
        self._is_dark, self._n_asked = False, 0

    def light(self, stimulus_id: int, image: NDArray[np.uint8]) -> None:
        """Send an image."""
        self._say("light", stimulus_id, image.shape, np.ascontiguousarray(image).tobytes())

    def gone(self, stimulus_ids: tuple[int, ...]) -> None:
        """Say that images will not be shown again."""
        self._say("gone", stimulus_ids)

    def flip(self, at_s: float, in_trial: bool) -> None:
        """Say when the screen changed."""
        self._say("flip", at_s, in_trial)

    def pulse(self, presentation_id: int, stimulus_id: int, at_s: float) -> None:
        """Say that an image came on."""
        self._say("pulse", presentation_id, stimulus_id, at_s)

    def drill(self, arguments: dict[str, Any]) -> None:
        """Pass on what an operator wants to go wrong: nobody else here knows the recording."""
        self._say("drill", {key: value for key, value in arguments.items() if isinstance(value, str | int | float)})

    def now_s(self) -> float:
        """Return the recording's simulated time, which stands still until the next `flip`."""
        return self._ask("now")

    def lacks_light(self) -> bool:
        """Return whether the recording has asked for all images since this was last asked."""
        while self._socket.poll(0):
            self._is_dark |= msgpack.unpackb(self._socket.recv()) is None
        is_dark, self._is_dark = self._is_dark, False
        return is_dark

    def wait(self) -> None:
        """Wait until the recording runs."""
        self._ask("there?")

    def close(self) -> None:
        """Say goodbye, and let go of the cable."""
        self._say("goodbye")
        self._socket.close(linger=200)

    def _ask(self, what: str) -> float:
        self._n_asked += 1
        for _ in range(ANSWER_S):
            # Again and again: a recording that was started afresh has not heard it.
            self._say(what, self._n_asked)
            while self._socket.poll(1000):
                match msgpack.unpackb(self._socket.recv()):
                    case [self._n_asked, now_s]:
                        return float(now_s)
                    case None:
                        self._is_dark = True
        raise CableError(f"the simulated recording at {self._address} did not answer for {ANSWER_S} s")

    def _say(self, *words: Any) -> None:
        self._socket.send(msgpack.packb(words))


class RecordingEnd:
    """The recording's end."""

    def __init__(self, address: str) -> None:
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self._socket.close(linger=0)
            raise CableError(f"cannot listen for the screen at {address}: {error}") from error

    def heard(self, wait_s: float) -> Iterator[Said]:
        """Yield what the screen has said, waiting at most so long for the first of it."""
        if not self._socket.poll(round(1000 * wait_s)):
            return
        while self._socket.poll(0):
            peer, said = self._socket.recv_multipart()
            yield _read(peer, msgpack.unpackb(said))

    def tell(self, asked: Asked, now_s: float) -> None:
        """Answer a screen that asked for the time."""
        self._socket.send_multipart([asked.peer, msgpack.packb([asked.number, now_s])])

    def ask_for_light(self, peer: bytes) -> None:
        """Have all images sent again: this recording has begun since."""
        self._socket.send_multipart([peer, msgpack.packb(None)])

    def close(self) -> None:
        """Let go of the cable."""
        self._socket.close(linger=0)


def _read(peer: bytes, said: list[Any]) -> Said:
    match said:
        case ["light", stimulus_id, shape, pixels]:
            return Light(stimulus_id, np.frombuffer(pixels, np.uint8).reshape(shape))
        case ["gone", stimulus_ids]:
            return Gone(tuple(stimulus_ids))
        case ["flip", at_s, in_trial]:
            return Flip(at_s, in_trial)
        case ["pulse", presentation_id, stimulus_id, at_s]:
            return Pulse(presentation_id, stimulus_id, at_s, peer)
        case ["now" | "there?" as what, number]:
            return Asked(peer, number, what == "now")
        case ["drill", arguments]:
            return Drill(arguments)
        case ["goodbye"]:
            return Goodbye()
    raise CableError(f"the screen said {said[:1]}, which makes no sense: are both ends of one version?")
