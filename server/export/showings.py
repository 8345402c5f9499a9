"""What was shown, trial by trial and image by image, with what drew no count and why."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from hdmf.common import DynamicTable
from numpy.typing import NDArray
from pynwb import NWBFile
from pynwb.epoch import TimeIntervals

from server.export.clock import Clock
from server.export.snapshot import Snapshot
from server.export.tables import a_table

_PRESENTATIONS = """
    SELECT p.*, s.png IS NOT NULL AS rendered, s.evolution AS of, t.reported_at,
        r.measured, r.onset_source, r.reason, r.spike_counts, r.baseline_counts
    FROM presentations p JOIN trials t USING (trial) JOIN stimuli s USING (stimulus_id)
        LEFT JOIN responses r USING (presentation_id)
    ORDER BY p.trial, p.place
"""
SHOWN = {
    "start_time": "First frame of the image on screen, in seconds since the session began.",
    "stop_time": "First frame without it; NaN = not reported.",
    "presentation_id": "Names this showing: decimal digits E GGGGG SSSSS AA, evolution, generation, slot, attempt.",
    "stimulus_id": "Names the image: E GGGGG IIII, evolution (0 = reference image), generation, place.",
    "image_index": "Place of the image in stimulus/templates/stimuli.",
    "evolution": "Number of the evolution that asked for this showing.",
    "generation": "Its generation.",
    "role": "evolved or reference.",
    "trial": "Number of the trial, one fixation.",
    "place": "Place in the trial.",
    "attempt": "How often this showing had been tried before.",
    "void": "Why it does not count; counts, if it does.",
    "counted": "Whether it went into a score: shown well and measured.",
    "measured": "Whether the recording side vouches for the spike counts.",
    "onset_source": "How the recording side found the onset; none = no answer.",
    "reason": "Why it was not measured, in the words of the recording side; none = nothing said.",
    "frames_expected": "Frames the image should have stayed on.",
    "frames_shown": "Frames it stayed on.",
    "display_onset_s": "The onset on the display's own clock.",
}
MISSED = {
    "presentation_id": SHOWN["presentation_id"],
    "stimulus_id": SHOWN["stimulus_id"],
    "evolution": SHOWN["evolution"],
    "generation": SHOWN["generation"],
    "trial": SHOWN["trial"],
    "place": SHOWN["place"],
    "attempt": SHOWN["attempt"],
    "void": "Why it was not shown; not_reported = the session was ended, killed or copied before the display said.",
}
TRIALS = {
    "start_time": "First image on screen; where none was, when the trial was sent.",
    "stop_time": "Last image off; where none was, when the report was on disk.",
    "trial": "Number of the trial.",
    "outcome": "What became of it, in the display's words.",
    "n_images_planned": "Images that it should show.",
    "n_images_shown": "Images that were on screen.",
    "n_counted": "Images that went into a score.",
    "n_frames": "Frames from the eye's arrival at the fixation point to the empty screen; NaN = not told.",
    "n_long_frames": "How many of them took more than one refresh.",
    "longest_frame_s": "How long the longest took.",
    "n_rewards": "Reward pulses told with this trial.",
}


@dataclass(frozen=True)
class Showings:
    """All presentations, in the order of the screen, as rows of tables."""

    snapshot: Snapshot
    clock: Clock

    @cached_property
    def _all(self) -> list[dict[str, Any]]:
        places = _image_places(self.snapshot)
        return [self._row(row, places) for row in self.snapshot.records.rows(_PRESENTATIONS)]

    @cached_property
    def shown(self) -> list[dict[str, Any]]:
        """Those that were on screen, by their onset."""
        return sorted((row for row in self._all if row["on_screen"]), key=lambda row: row["start_time"])

    @cached_property
    def missed(self) -> list[dict[str, Any]]:
        """Those that were not, trial by trial."""
        return [row for row in self._all if not row["on_screen"]]

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        """The trials that were reported."""
        query = (
            "SELECT t.trial, t.sent_at, t.reported_at, t.outcome, n_frames, n_long_frames, longest_frame_s,"
            " (SELECT COUNT(*) FROM rewards r WHERE r.trial = t.trial) AS n_rewards"
            " FROM trials t LEFT JOIN frames USING (trial) WHERE t.reported_at IS NOT NULL ORDER BY t.trial"
        )
        of_trial: dict[int, list[dict[str, Any]]] = {}
        for row in self._all:
            of_trial.setdefault(row["trial"], []).append(row)
        rows = [self._trial(dict(row), of_trial.get(row["trial"], [])) for row in self.snapshot.records.rows(query)]
        return sorted(rows, key=lambda row: row["start_time"])

    def _row(self, row: Any, places: dict[int, int]) -> dict[str, Any]:
        on_screen = row["onset_s"] is not None
        measured = bool(row["measured"])
        times = {
            name: self.clock.on_screen(row["trial"], row[key]) if on_screen and row[key] is not None else np.nan
            for name, key in (("start_time", "onset_s"), ("stop_time", "offset_s"))
        }
        void = row["void"] or ("counts" if on_screen else "not_reported" if row["reported_at"] is None else "not_shown")
        said = {
            "on_screen": on_screen,
            "image_index": places.get(row["stimulus_id"], -1),
            "role": "evolved" if row["of"] else "reference",
            "void": void,
            "counted": measured and row["void"] is None,
            "measured": measured,
            "onset_source": row["onset_source"] or "none",
            "reason": row["reason"] or "none",
            "display_onset_s": row["onset_s"],
        }
        return dict(row) | times | said

    def _trial(self, trial: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
        shown = [row for row in rows if row["on_screen"]]
        sent, reported = (self.clock.at(trial[key]) for key in ("sent_at", "reported_at"))
        ends = [row["stop_time"] for row in shown if not np.isnan(row["stop_time"])]
        start = min((row["start_time"] for row in shown), default=sent)
        return trial | {
            "start_time": start,
            "stop_time": max([*(ends or [reported]), start]),
            "outcome": trial["outcome"] or "none",
            "n_images_planned": len(rows),
            "n_images_shown": len(shown),
            "n_counted": sum(row["counted"] for row in rows),
        }


def counts(rows: list[dict[str, Any]], key: str, n_channels: int) -> NDArray[np.float32]:
    """Return [n_rows, n_channels] counts, NaN where they were not measured."""
    table = np.full((len(rows), n_channels), np.nan, np.float32)
    for place, row in enumerate(rows):
        if row["measured"]:
            table[place] = np.frombuffer(row[key], "<i4")
    return table


def add_showings(nwb: NWBFile, showings: Showings, n_channels: int) -> None:
    """Add the presentations and the trials; what there is none of has no table."""
    if showings.trials:
        nwb.trials = a_table(TimeIntervals, "trials", "Trials: one fixation each.", showings.trials, TRIALS)
    if showings.shown:
        nwb.add_time_intervals(_presentations(showings, n_channels))
    if showings.missed:
        said = "Presentations that never were on screen, and why: they have no time."
        nwb.add_analysis(a_table(DynamicTable, "presentations_not_shown", said, showings.missed, MISSED))


def _presentations(showings: Showings, n_channels: int) -> TimeIntervals:
    said = f"One row an image on screen; all ties are by id. {showings.clock.said()}"
    table = a_table(TimeIntervals, "stimulus_presentations", said, showings.shown, SHOWN)
    for key, window in (("spike_counts", "response"), ("baseline_counts", "baseline")):
        if n_channels:
            what = f"Spikes in the {window} window, a column a channel, as in the electrodes table; NaN = not measured."
            table.add_column(name=key, description=what, data=counts(showings.shown, key, n_channels))
    return table


def _image_places(snapshot: Snapshot) -> dict[int, int]:
    query = "SELECT stimulus_id FROM stimuli WHERE png IS NOT NULL ORDER BY stimulus_id"
    return {row[0]: place for place, row in enumerate(snapshot.records.rows(query))}
