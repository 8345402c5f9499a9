"""An animal in silico: it takes its time, looks away, rests; and may be made to by a schedule or a drill.

What it does in a trial depends on the seed and the trial's number alone, so a repeated run behaves the same.
"""

from collections.abc import Mapping
from math import inf, nan
from typing import Any

import numpy as np

from simulator.faults import crash, drilled, parse_faults
from stimulus_client.gaze import SimulatedGaze

REACTION_SPREAD = 0.4
"""Standard deviation of the logarithm of the time it takes to look at the fixation point."""


class Animal(SimulatedGaze):
    """The eyes of an animal, for `xdream-client --gaze animal,break_rate=0.3,...`.

    `lives` is how often this client was started again before: so many crashes have been had already.
    """

    name = "animal"

    def __init__(
        self,
        break_rate: float = 0.0,
        reaction_s: float = 0.0,
        pause_rate: float = 0.0,
        pause_s: float = 5.0,
        lost_rate: float = 0.0,
        faults: str = "",
        lives: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(break_rate, seed)
        self._reaction_s, self._pause_rate, self._pause_s, self._lost_rate = reaction_s, pause_rate, pause_s, lost_rate
        self._faults = parse_faults(faults)
        self._crashes = [fault for fault in self._faults if fault.what == "crash_display"][lives:]
        self._comes_s = -inf
        """When it looks at the fixation point of this trial."""
        self._lost = False
        self._now_s = self._away_until_s = -inf

    def begin(self, trial: int, start_s: float, duration_s: float) -> None:
        """Decide when it looks at the fixation point, and whether it stays."""
        if any(fault.trial <= trial for fault in self._crashes):
            crash()
        random = np.random.default_rng((self.seed, 3, trial))
        late_s = self._reaction_s * float(np.exp(REACTION_SPREAD * random.standard_normal()))
        late_s += self._pause_s if random.random() < self._pause_rate else 0.0
        self._lost = random.random() < self._lost_rate
        late_s += sum(fault.seconds for fault in self._faults if fault.what == "slow" and fault.trial == trial)
        self._comes_s = max(start_s + late_s, self._away_until_s)
        super().begin(trial, self._comes_s, duration_s)
        for fault in self._faults:
            if fault.what == "look_away" and fault.trial == trial:
                self._breaks_s = min(self._breaks_s, self._comes_s + duration_s / 2)
                self._away_until_s = self._breaks_s + fault.seconds

    def position_deg(self, now_s: float) -> tuple[float, float]:
        """Return the fixation point while it looks there; NaN when the tracker has lost its eye."""
        self._now_s = now_s
        if now_s < self._comes_s or self._breaks_s <= now_s < self._away_until_s:
            return self.AWAY_DEG
        if now_s >= self._breaks_s and self._lost:
            return nan, nan
        return super().position_deg(now_s)

    def drill(self, arguments: Mapping[str, Any]) -> None:
        """Let something happen now; what is the recording's business is left to it."""
        fault = drilled(arguments)
        if fault.what == "crash_display":
            crash()
        elif fault.what in ("look_away", "slow"):
            self._away_until_s = self._now_s + fault.seconds
            self._breaks_s = min(self._breaks_s, self._now_s)
