"""What is on its way: trials at the display, onsets at the acquisition side, each known by its id."""

import numpy as np

from protocol.arrays import Ids
from protocol.messages import Onsets, Responses, Trial, TrialReport


class Traffic:
    """Trials sent and not reported, onsets asked about and not answered."""

    def __init__(self) -> None:
        self.out: dict[int, Trial] = {}
        """Trials at the display, not yet reported."""
        self.abandoned: set[int] = set()
        """Trials whose report was given up."""
        self._onsets: dict[int, Onsets] = {}
        self._awaited: dict[int, int] = {}
        self._next_trial = 1

    @property
    def awaiting(self) -> bool:
        """Whether responses are still to come."""
        return bool(self._awaited)

    def is_closed(self, trial: int) -> bool:
        """Return whether the report of a trial is on record."""
        # Trials are numbered without a gap, so nothing has to be kept of those that are over.
        return 0 < trial < self._next_trial and trial not in self.out and trial not in self.abandoned

    def send(self, presentation_ids: Ids, stimulus_ids: Ids) -> Trial:
        """Give a trial its number and take note that it is out."""
        trial = Trial(self._next_trial, presentation_ids, stimulus_ids)
        self.take_up(trial)
        return trial

    def take_up(self, trial: Trial) -> None:
        """Take note of a trial that is out, with the number it has."""
        self.abandoned.discard(trial.trial)
        self.out[trial.trial] = trial
        self._next_trial = max(self._next_trial, trial.trial + 1)

    def remember(self, trial: int, reported: bool) -> None:
        """Take note of a trial of before; one that was not reported counts as given up until it is taken up."""
        if not reported:
            self.abandoned.add(trial)
        self._next_trial = max(self._next_trial, trial + 1)

    def close(self, report: TrialReport) -> Trial | None:
        """Return the trial that a report is about and close it; None when it matches no trial that is out."""
        trial = self.out.get(report.trial)
        if trial is None or not np.array_equal(trial.presentation_ids, report.presentation_ids):
            return None
        return self.out.pop(report.trial)

    def abandon(self, trial: Trial) -> None:
        """Give a trial up: its display is gone."""
        del self.out[trial.trial]
        self.abandoned.add(trial.trial)

    def comes_late(self, trial: int) -> bool:
        """Return whether a report is of a trial that was given up, and close that trial."""
        if trial not in self.abandoned:
            return False
        self.abandoned.discard(trial)
        return True

    def await_responses(self, onsets: Onsets) -> None:
        """Take note that these onsets are to be answered."""
        self._onsets[onsets.trial] = onsets
        self._awaited.update(dict.fromkeys(onsets.presentation_ids.tolist(), onsets.trial))

    def unanswered(self) -> list[Onsets]:
        """Return what is still to be answered, for an acquisition side that has just joined."""
        return [_rows_of_onsets(onsets, self._open_rows(onsets.presentation_ids)) for onsets in self._onsets.values()]

    def fresh(self, responses: Responses) -> Responses:
        """Return the part of the responses that was asked for and not yet answered, and strike it off."""
        rows = self._open_rows(responses.presentation_ids)
        for presentation in responses.presentation_ids[rows].tolist():
            trial = self._awaited.pop(presentation)
            if not len(self._open_rows(self._onsets[trial].presentation_ids)):
                del self._onsets[trial]
        return responses if len(rows) == len(responses.presentation_ids) else _rows_of_responses(responses, rows)

    def _open_rows(self, presentation_ids: Ids) -> Ids:
        """Return the rows that are still to be answered; of one that is named twice, the first."""
        first = {p: row for row, p in reversed(list(enumerate(presentation_ids.tolist())))}
        return np.array(sorted(row for p, row in first.items() if p in self._awaited), np.int64)


def _rows_of_onsets(onsets: Onsets, rows: Ids) -> Onsets:
    return Onsets(onsets.trial, onsets.presentation_ids[rows], onsets.stimulus_ids[rows], onsets.onsets_s[rows])


def _rows_of_responses(responses: Responses, rows: Ids) -> Responses:
    """Return some rows of the responses, the spikes that belong to them included."""
    new_row = np.full(len(responses.presentation_ids), -1, np.int32)
    new_row[rows] = np.arange(len(rows), dtype=np.int32)
    spikes = new_row[responses.spike_rows] >= 0
    return Responses(
        responses.presentation_ids[rows],
        responses.measured[rows],
        responses.spike_counts[rows],
        responses.baseline_counts[rows],
        responses.onset_source,
        responses.spike_times_s[spikes],
        new_row[responses.spike_rows[spikes]],
        responses.spike_channels[spikes],
        responses.reason,
        responses.clock_residual_s,
        responses.clock_age_s,
    )
