"""An EyeLink eye tracker through SR Research's pylink (pip install sr-research-pylink, and their developer kit)."""

import time
from collections.abc import Callable
from math import nan
from typing import Any

from stimulus_client.gaze import FRESH_S, in_degrees
from stimulus_client.geometry import Monitor
from stimulus_client.serial_port import PortError

MISSING = -32768.0
"""What the tracker gives for an eye that it cannot see."""


def connect(host: str) -> Any:
    """Return the tracker at that address; raise PortError if there is none."""
    try:
        import pylink
    except ImportError as missing:
        raise PortError("an EyeLink needs SR Research's pylink: pip install sr-research-pylink") from missing
    try:
        return pylink.EyeLink(host)
    except RuntimeError as wrong:
        raise PortError(f"no EyeLink at {host}: {wrong}. Is the host PC on, and this one at 100.1.1.2?") from wrong


class EyeLink:
    """The newest sample of the link, of the eye that is tracked; calibrate on the host PC before the session."""

    name = "eyelink"

    def __init__(
        self,
        host: str = "100.1.1.1",
        connect: Callable[[str], Any] = connect,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._tracker = connect(host)
        self._clock = clock
        self._time_ms = nan
        self._changed_s = clock() - 2 * FRESH_S
        self._monitor, self._screen_px = Monitor.of({}), (1, 1)

    def configure(self, settings: dict[str, Any], screen_px: tuple[int, int]) -> None:
        """Tell the tracker how large the screen is, and have it send samples."""
        self._monitor, self._screen_px = Monitor.of(settings), screen_px
        width, height = screen_px
        self._tracker.sendCommand(f"screen_pixel_coords = 0 0 {width - 1} {height - 1}")
        self._tracker.sendMessage(f"DISPLAY_COORDS 0 0 {width - 1} {height - 1}")
        self._tracker.sendCommand("link_sample_data = LEFT,RIGHT,GAZE,STATUS")
        self._tracker.startRecording(1, 1, 1, 1)

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Write the trial's number into the tracker's own file."""
        self._tracker.sendMessage(f"xdream trial {trial}")

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the newest position, NaN if the eye is lost or the samples stand still."""
        sample = self._tracker.getNewestSample()
        if sample is None:
            return nan, nan
        if sample.getTime() != self._time_ms:
            self._time_ms, self._changed_s = sample.getTime(), self._clock()
        eye = sample.getRightEye() if sample.isRightSample() else sample.getLeftEye()
        if eye is None or self._clock() - self._changed_s > FRESH_S:
            return nan, nan
        x_px, y_px = eye.getGaze()
        if MISSING in (x_px, y_px):
            return nan, nan
        return in_degrees(self._monitor, x_px, y_px, self._screen_px)

    def close(self) -> None:
        """Stop the samples and let the tracker go."""
        self._tracker.stopRecording()
        self._tracker.close()
