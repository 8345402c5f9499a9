"""Where the display's clock stands against the session's: one time line for what was shown and what was written down.

An image is on screen after its trial was sent and before the trial's report is on disk. So for all trials of one
display process

    sent_at - first onset  <=  shift  <=  reported_at - last offset

and the shift taken is the upper bound, since a report takes milliseconds. Differences between onsets are the display's
own and exact; only where the session begins on that clock is known no better than the two bounds lie apart.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.export.snapshot import Snapshot

_TRIALS = """
    SELECT t.trial, t.sent_at, t.reported_at, MIN(p.onset_s), MAX(COALESCE(p.offset_s, p.onset_s))
    FROM trials t JOIN presentations p USING (trial)
    WHERE t.reported_at IS NOT NULL AND p.onset_s IS NOT NULL GROUP BY t.trial ORDER BY t.trial
"""


@dataclass(frozen=True, slots=True)
class Shift:
    """What is added to the clock of one display process, and how it was found."""

    instance: str
    add_s: float
    """Gives seconds since the session began."""
    doubt_s: float
    """How much too late it may be; NaN = the clock did not run in real time, as in a fast rehearsal."""


class Clock:
    """Turns times into seconds since the session began."""

    def __init__(self, snapshot: Snapshot) -> None:
        records = snapshot.records
        self.began_at = float(records.facts()["created_at"])
        joined = "SELECT joined_at, instance FROM peers WHERE role = 'display' ORDER BY joined_at"
        self._joined = [(row["joined_at"], row["instance"]) for row in records.rows(joined)]
        trials = [tuple(row) for row in records.rows(_TRIALS)]
        self.shifts = {name: self._shift(name, rows) for name, rows in self._by_instance(trials).items()}
        self._of_trial = {row[0]: self._instance(row[2]) for row in trials}

    def at(self, moment: float) -> float:
        """Return when something was written down, a time since 1970."""
        return moment - self.began_at

    def on_screen(self, trial: int, display_s: float) -> float:
        """Return when something was on screen, a time on the clock of the display that showed that trial."""
        shift = self.shifts.get(self._of_trial.get(trial, ""))
        return float("nan") if shift is None else display_s + shift.add_s

    def said(self) -> str:
        """Return how well this is known, in a sentence."""
        said = [
            "in a rehearsal whose display kept no real time, placed by the first trial"
            if np.isnan(shift.doubt_s)
            else f"at most {1000 * shift.doubt_s:.1f} ms late"
            for shift in self.shifts.values()
        ]
        return f"Display clock to session clock: {'; '.join(said)}." if said else "No image was on screen."

    def _instance(self, moment: float) -> str:
        """Return which display process was here at a time."""
        before = [instance for joined_at, instance in self._joined if joined_at <= moment]
        return before[-1] if before else ""

    def _by_instance(self, trials: list[tuple[Any, ...]]) -> dict[str, NDArray[np.float64]]:
        found: dict[str, list[list[float]]] = {}
        for _, *times in trials:
            found.setdefault(self._instance(times[1]), []).append(times)
        return {instance: np.array(rows, np.float64) for instance, rows in found.items()}

    def _shift(self, instance: str, rows: NDArray[np.float64]) -> Shift:
        """Return the shift of a display by [n_trials, 4] sent, reported, first onset, last offset."""
        least, most = (rows[:, 0] - rows[:, 2]).max(), (rows[:, 1] - rows[:, 3]).min()
        if least > most:
            return Shift(instance, float(rows[0, 0] - rows[0, 2] - self.began_at), float("nan"))
        return Shift(instance, float(most - self.began_at), float(most - least))
