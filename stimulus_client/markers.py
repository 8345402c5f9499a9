"""Markers: an id sent to the recording system at each onset. Ids travel in markers; time comes from the edge of light.

A marker is sent right after its flip, on a thread of its own: no port, however slow, delays what is on screen.
"""

from typing import Any, Protocol, cast

from protocol.ids import MAX_ATTEMPTS
from protocol.plugins import create
from stimulus_client.courier import LIMIT, Courier

MARKERS = {
    "none": "stimulus_client.markers:NoMarkers",
    "lsl": "stimulus_client.lsl:LslMarkers",
    "serial": "stimulus_client.serial_port:SerialMarkers",
    "open_ephys": "stimulus_client.network_events:OpenEphysMarkers",
    "parallel": "stimulus_client.parallel_port:ParallelMarkers",
}
PULSE_S = 0.005
"""Shorter pulses are missed by some recording systems' synchronised streams."""


class MarkerPort(Protocol):
    """Something that carries an id to the recording system."""

    name: str
    output: str
    """The line or device it drives, which nothing else may drive; "" for none."""

    def send(self, presentation_id: int) -> None:
        """Send the id of a presentation that has just come on; may wait, may raise: nobody waits for it."""

    def close(self) -> None:
        """Let the port go, with its lines low."""


class NoMarkers:
    """No markers: onsets are found by the photodiode, or by the clock alone."""

    name = "none"
    output = ""

    def send(self, presentation_id: int) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: there is no port."""


class Markers:
    """Sends markers through a port, in order, without waiting for it."""

    def __init__(self, port: MarkerPort, limit: int = LIMIT) -> None:
        self.port = port
        self.courier = Courier(f"markers ({port.name})", limit)

    def mark(self, presentation_id: int) -> None:
        """Have the id of a presentation sent; return at once."""
        self.courier.hand_over(lambda: self.port.send(presentation_id))

    def close(self) -> None:
        """Send what waits, and let the port go."""
        if self.courier.close():
            self.port.close()


def code(presentation_id: int) -> int:
    """Return the id as eight lines carry it: 1 to 255, never 0, and another one for the next slot or attempt."""
    slot, attempt = divmod(presentation_id, MAX_ATTEMPTS)
    return 1 + (slot + attempt) % 255


def create_markers(name: str, options: dict[str, Any]) -> MarkerPort:
    """Return the marker port of that name, or of that `package.module:Class`; raise PluginError for an unknown one."""
    return cast(MarkerPort, create("marker port", name, MARKERS, **options))
