"""What is wired to the display PC: eye tracker, marker port, reward valve, each by name.

The command line names them, or else the server's settings do, so that a rig has no configuration of its own to forget.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from protocol.plugins import PluginError
from stimulus_client.display import Display
from stimulus_client.gaze import Gaze, NoGaze, create_gaze
from stimulus_client.markers import Markers, NoMarkers, create_markers
from stimulus_client.reward import Dispenser, NoReward, create_valve

KINDS = ("gaze", "markers", "reward")
log = logging.getLogger(__name__)


class DeviceError(RuntimeError):
    """A device cannot be used as it was asked for; the text says which, why, and what would do."""


class Devices:
    """The devices that are there; `named` says which, and stands above what the server says."""

    def __init__(
        self,
        gaze: Gaze | None = None,
        markers: Markers | None = None,
        reward: Dispenser | None = None,
        named: dict[str, str] | None = None,
    ) -> None:
        self.gaze: Gaze = gaze or NoGaze()
        self.markers = markers or Markers(NoMarkers())
        self.reward = reward or Dispenser(NoReward())
        self._named = named or {}
        given = {"gaze": gaze, "markers": markers, "reward": reward}
        # What was given as it is stays; what was not is opened when the settings name it.
        self._running = {kind: "none" if part is None else "" for kind, part in given.items()}
        self._n_told: dict[str, float] = {}

    def configure(self, settings: dict[str, Any], display: Display) -> None:
        """Open what the server's settings name and nothing else named; raise DeviceError if it cannot be had."""
        for kind in KINDS:
            said = _said(settings, kind)
            wanted = self._named.get(kind, said)
            if kind in self._named and said not in ("none", wanted):
                log.warning("%s: %s, as the command line says; the server said %s", kind, wanted, said)
            if self._running.get(kind) not in ("", wanted):
                self._open(kind, wanted, display)
                self._running[kind] = wanted
        self._check_outputs()
        self.gaze.configure(settings, display.size_px)
        self.reward.configure(settings)

    def complaints(self) -> list[str]:
        """Return what went wrong with markers and reward, a sentence each: the first time, then at every doubling."""
        found = []
        for courier in (self.markers.courier, self.reward.courier):
            n_bad = courier.n_lost + courier.n_failed
            if n_bad >= 2 * self._n_told.get(courier.name, 0.5):
                self._n_told[courier.name] = n_bad
                why = courier.problem or "its port is too slow"
                found.append(
                    f"{courier.name}: {n_bad} not sent: {why} | images are shown all the same | look at its port"
                )
        return found

    def close(self) -> None:
        """Let them all go."""
        for part in (self.markers, self.reward, self.gaze):
            part.close()

    def _open(self, kind: str, wanted: str, display: Display) -> None:
        name, options = parse(wanted)
        try:
            match kind:
                case "gaze":
                    self.gaze.close()
                    pointer = {"pointer_deg": display.pointer_deg} if name == "mouse" else {}
                    self.gaze = create_gaze(name, {**options, **pointer})
                case "markers":
                    self.markers.close()
                    self.markers = Markers(create_markers(name, options))
                case "reward":
                    self.reward.close()
                    self.reward = Dispenser(create_valve(name, options))
        except (PluginError, OSError) as wrong:
            raise DeviceError(f"{kind}: {wrong}") from wrong

    def _check_outputs(self) -> None:
        marker, valve = self.markers.port.output, self.reward.valve.output
        if marker and marker == valve:
            raise DeviceError(f"markers and reward share {marker}: a marker could open the valve. Give each its own.")


def _said(settings: dict[str, Any], kind: str) -> str:
    """Return what the server's settings name."""
    table = settings.get("reward", {})
    return str(table.get("device", "none") if kind == "reward" else settings.get(kind, "none"))


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of a part that is written NAME,key=value,...; raise DeviceError for nonsense."""
    name, *pairs = text.split(",")
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise DeviceError(f"an option is written key=value, got {pair!r} in {text!r}")
        options[key] = _value(value)
    return name, options


def _value(text: str) -> Any:
    kinds: tuple[Callable[[str], Any], ...] = (int, float)
    for kind in kinds:
        with suppress(ValueError):
            return kind(text)
    return text
