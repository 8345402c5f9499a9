"""From a showing to its spikes: reports in, onsets out, responses in; each entered in the books of its generation."""

from math import isnan

import numpy as np

from protocol.arrays import Ids
from protocol.messages import Acknowledge, Onsets, Responses, Role, Trial, TrialReport, Void
from server.actions import Action, Late, Record, Send, Voided
from server.runs import Runs
from server.traffic import Traffic


class ProtocolError(ValueError):
    """A peer said something that makes no sense; it is dropped and counted."""


class Exchange:
    """What comes back of the trials that went out. Twice, late or in part is no error and counts once."""

    def __init__(self, runs: Runs, traffic: Traffic) -> None:
        self._runs = runs
        self._traffic = traffic
        self.n_measured = 0
        """Presentations of this session that were measured."""
        self.n_rewards = 0
        """Reward pulses that were given."""

    def reported(self, report: TrialReport, repair: list[Send]) -> list[Action]:
        """Enter what was shown, and ask for the spikes; `repair` is for a display that lacks images."""
        acknowledge = Send(Role.DISPLAY, Acknowledge(trials=np.array([report.trial], np.int64)))
        if self._traffic.is_closed(report.trial):
            return [acknowledge]
        if self._traffic.comes_late(report.trial):
            self.n_rewards += len(report.reward_onsets_s)
            return [Record(Late(report)), acknowledge]
        trial = self._traffic.close(report)
        if trial is None:
            raise ProtocolError(f"the report of trial {report.trial} does not match any trial that is out")
        self.n_rewards += len(report.reward_onsets_s)
        good = self._judge(report)
        missing = repair if Void.IMAGE_MISSING in report.voids else []
        return [Record(report), acknowledge, *missing, *self._ask_for_spikes(trial, report, good)]

    def responded(self, responses: Responses, n_channels: int) -> list[Action]:
        """Enter the spikes that were counted."""
        given = responses.spike_counts.shape[1]
        if given != n_channels:
            raise ProtocolError(f"responses of {given} channels from a peer that offered {n_channels}")
        acknowledge = Send(Role.ACQUISITION, Acknowledge(presentation_ids=responses.presentation_ids))
        fresh = self._traffic.fresh(responses)
        for row, presentation in enumerate(fresh.presentation_ids.tolist()):
            ledger = self._runs.ledger(presentation)
            if fresh.measured[row]:
                counts = fresh.spike_counts[row], fresh.baseline_counts[row]
                self.n_measured += ledger.measured(presentation, *counts)
            else:
                ledger.void(presentation, Void.NOT_MEASURED)
        return [Record(fresh), acknowledge] if len(fresh.presentation_ids) else [acknowledge]

    def abandon(self, trial: Trial, why: Void) -> list[Action]:
        """Give a trial up that the display cannot report any more, or never had: all of it is shown again."""
        self._traffic.abandon(trial)
        for presentation in trial.presentation_ids.tolist():
            self._runs.ledger(presentation).void(presentation, why)
        return [Record(Voided(trial.presentation_ids, why))]

    def _judge(self, report: TrialReport) -> Ids:
        """Enter each showing as shown or void, and return the rows of those that were shown well."""
        good = []
        for row, (presentation, void) in enumerate(zip(report.presentation_ids.tolist(), report.voids, strict=True)):
            ledger = self._runs.ledger(presentation)
            if void or isnan(report.onsets_s[row]):
                ledger.void(presentation, void or Void.NOT_SHOWN)
            elif ledger.shown(presentation):
                good.append(row)
        return np.array(good, np.int64)

    def _ask_for_spikes(self, trial: Trial, report: TrialReport, rows: Ids) -> list[Action]:
        if not len(rows):
            return []
        onsets = Onsets(trial.trial, trial.presentation_ids[rows], trial.stimulus_ids[rows], report.onsets_s[rows])
        self._traffic.await_responses(onsets)
        return [Send(Role.ACQUISITION, onsets)]
