"""Reward: pulses of a valve, within the limits that the server sets, each of them reported.

Never on an output that markers use too: a marker must not be able to open a valve. A hardware one-shot that limits
how long the valve can be open is not optional; what is here trusts no clock of this machine to close it in time.
"""

import logging
import time
from collections.abc import Callable
from math import inf, isfinite
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from protocol.plugins import create
from stimulus_client.courier import Courier

REWARDS = {
    "none": "stimulus_client.reward:NoReward",
    "serial": "stimulus_client.serial_port:SerialReward",
    "ttl": "stimulus_client.serial_port:TtlReward",
}
LONGEST_PULSE_S = 1.0
"""Whatever the settings say: a valve that has to stay open for longer is a slip of the unit."""
N_WAITING = 4
"""More pulses than that must not pile up in front of a valve that is stuck."""
log = logging.getLogger(__name__)


class Valve(Protocol):
    """Something that gives juice."""

    name: str
    output: str
    """The line or device it drives, which nothing else may drive; "" for none."""

    def pulse(self, duration_s: float) -> None:
        """Open for so long, and be closed when this returns or raises, or soon after by hardware; may wait."""

    def close(self) -> None:
        """Let the device go, closed."""


class NoReward:
    """No valve: the animal is rewarded by other means, or there is none."""

    name = "none"
    output = ""

    def pulse(self, duration_s: float) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing: there is no valve."""


class Dispenser:
    """Opens a valve without waiting for it, within limits, and remembers each pulse until it is asked for.

    `clock` is the display's, so that pulses stand on the same time line as onsets.
    """

    def __init__(self, valve: Valve, clock: Callable[[], float] = time.perf_counter) -> None:
        self.valve = valve
        self.pulse_s = 0.0
        """How long a pulse is; 0 = none are given."""
        self.most = inf
        """How many pulses may be given in the whole session."""
        self.gap_s = 0.0
        """The least time from one pulse's start to the next."""
        self.n_given = 0
        """How many were given in this session, as far as this client or the server knows."""
        self.courier = Courier(f"reward ({valve.name})", N_WAITING)
        self._clock = clock
        self._last_s = -inf
        self._given: list[tuple[float, float]] = []

    def configure(self, settings: dict[str, Any]) -> None:
        """Take the limits from the server: the table `reward`."""
        table = settings.get("reward", {})
        self.pulse_s = min(float(table.get("pulse_s", 0.0)), LONGEST_PULSE_S)
        self.most = int(table.get("limit_pulses", 0)) or inf
        self.gap_s = float(table.get("gap_s", 0.0))

    def forget(self) -> None:
        """Begin a new session: nothing was given in it yet."""
        self.n_given = 0
        self._given.clear()

    def give(self) -> str:
        """Give one pulse; return "" or why there is none."""
        refusal = self._refusal(self._clock())
        if refusal:
            log.info("no reward: %s", refusal)
            return refusal
        duration_s = self.pulse_s
        if not self.courier.hand_over(lambda: self.valve.pulse(duration_s)):
            return "the valve is behind by too many pulses"
        self._last_s = self._clock()
        self.n_given += 1
        self._given.append((self._last_s, duration_s))
        return ""

    def taken(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return [n_pulses] when each began and [n_pulses] how long it was, of those not returned before."""
        pulses, self._given = self._given, []
        onsets_s, durations_s = np.array(pulses, np.float64).reshape(-1, 2).T.copy()
        return onsets_s, durations_s

    def close(self) -> None:
        """Finish the pulse that runs, and let the valve go."""
        if self.courier.close():
            self.valve.close()

    def _refusal(self, now_s: float) -> str:
        if not (self.pulse_s > 0 and isfinite(self.pulse_s)):
            return "the length of a pulse is 0 (pulse_ms in [display.reward])"
        if self.n_given >= self.most:
            return f"this session's limit of {self.most:g} pulses is reached"
        if now_s - self._last_s < self.gap_s:
            return f"the last pulse was less than {self.gap_s:g} s ago"
        return ""


def create_valve(name: str, options: dict[str, Any]) -> Valve:
    """Return the valve of that name, or of that `package.module:Class`; raise PluginError for an unknown one."""
    return cast(Valve, create("reward", name, REWARDS, **options))
