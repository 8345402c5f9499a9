"""The lab streaming layer: gaze from a stream, markers into one."""

from collections.abc import Callable
from math import isnan, nan
from typing import Any

from stimulus_client.gaze import FRESH_S, in_degrees
from stimulus_client.geometry import Monitor
from stimulus_client.serial_port import PortError

try:
    import pylsl
except (ImportError, RuntimeError) as missing:  # RuntimeError: pylsl is there and its library is not
    raise ImportError(f"the lab streaming layer needs pylsl: pip install pylsl ({missing})") from missing

SEARCH_S = 5.0


class LslMarkers:
    """A marker stream of its own; each sample is a presentation's id as text."""

    name = "lsl"

    def __init__(self, stream: str = "xdream markers") -> None:
        self.output = f"LSL stream {stream!r}"
        self._outlet = pylsl.StreamOutlet(
            pylsl.StreamInfo(stream, "Markers", 1, pylsl.IRREGULAR_RATE, "string", "xdream-markers")
        )

    def send(self, presentation_id: int) -> None:
        """Push one sample."""
        self._outlet.push_sample([str(presentation_id)])

    def close(self) -> None:
        """End the stream."""
        del self._outlet


class LslGaze:
    """The newest sample of a stream of gaze positions; a stream that has fallen silent is an eye that is lost.

    `unit` is "deg", right and up from the fixation point, or right and down from the screen's corner "px" or "share".
    """

    name = "lsl"

    def __init__(
        self,
        stream: str = "",
        type: str = "Gaze",
        x_channel: int = 0,
        y_channel: int = 1,
        unit: str = "deg",
        clock: Callable[[], float] = pylsl.local_clock,
    ) -> None:
        if unit not in ("deg", "px", "share"):
            raise PortError(f'unit must be "deg", "px" or "share", got {unit!r}')
        self._channels, self._unit, self._clock = (x_channel, y_channel), unit, clock
        self._newest: list[float] | None = None
        self._came_s = -FRESH_S
        self._to_deg: Callable[[float, float], tuple[float, float]] = lambda x, y: (x, y)
        self._inlet = _find(stream, type)

    def configure(self, settings: dict[str, Any], screen_px: tuple[int, int]) -> None:
        """Take the screen's size, to turn pixels into degrees."""
        monitor = Monitor.of(settings)
        scale = {"deg": (0.0, 0.0), "px": (1.0, 1.0), "share": screen_px}[self._unit]
        if self._unit != "deg":
            self._to_deg = lambda x, y: in_degrees(monitor, x * scale[0], y * scale[1], screen_px)

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Change nothing."""

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the newest position that has come, NaN if none came of late."""
        while True:
            samples, _ = self._inlet.pull_chunk(timeout=0.0, max_samples=256)
            if not samples:
                break
            self._take(samples[-1])
        if self._newest is None or self._clock() - self._came_s > FRESH_S:
            return nan, nan
        x, y = (float(self._newest[channel]) for channel in self._channels)
        return self._to_deg(x, y) if not (isnan(x) or isnan(y)) else (nan, nan)

    def _take(self, sample: list[float]) -> None:
        self._newest, self._came_s = sample, self._clock()

    def close(self) -> None:
        """Let the stream go."""
        self._inlet.close_stream()


def _find(stream: str, kind: str) -> Any:
    """Return an inlet of the stream of that name, or else of that type; raise PortError if there is none."""
    which = ("name", stream) if stream else ("type", kind)
    found = pylsl.resolve_byprop(*which, 1, SEARCH_S)
    if not found:
        raise PortError(f"no LSL stream of {which[0]} {which[1]!r} within {SEARCH_S:g} s: does the tracker stream?")
    inlet = pylsl.StreamInlet(found[0], max_buflen=1, recover=True)
    inlet.open_stream(SEARCH_S)
    return inlet
