"""One generation as the page shows it: its scores, its accounting and where its time went."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from server.status.records import FIRST_EVOLVED, Records, ids_of
from server.status.shapes import Generation, Interval

_TIMES = """
    SELECT MIN(t.sent_at), MAX(t.reported_at), MAX(r.received_at), COALESCE(SUM(p.onset_s IS NOT NULL), 0),
        COALESCE(SUM(r.measured), 0), COUNT(DISTINCT CASE WHEN r.measured THEN p.slot END)
    FROM presentations p JOIN trials t USING (trial) LEFT JOIN responses r USING (presentation_id)
    WHERE p.evolution = ? AND p.generation = ?
"""
_VOIDS = """
    SELECT COALESCE(p.void, 'not_measured'), COUNT(*)
    FROM presentations p LEFT JOIN responses r USING (presentation_id)
    WHERE p.evolution = ? AND p.generation = ? AND (p.void IS NOT NULL OR r.measured = 0) GROUP BY 1
"""
_SLOTS = "SELECT COUNT(*) FROM stimuli WHERE stimulus_id BETWEEN ? AND ? OR stimulus_id < ?"
_SCORES = """
    SELECT stimulus_id, score FROM scores WHERE evolution = ? AND generation = ? ORDER BY stimulus_id
"""
_FIGURES = "SELECT rms_contrast, code_norm FROM stimuli WHERE evolution = ? AND generation = ?"
"""The index stimuli_by_generation holds all of this: pictures and codes need not be read."""


def generation(records: Records, evolution: int, number: int, repeats: int) -> Generation:
    """Return one generation of one evolution."""
    which = (evolution, number)
    began = "SELECT proposed_at, scored_at, stored_s FROM generations WHERE evolution = ? AND generation = ?"
    [proposed_at, scored_at, stored_s] = records.rows(began, *which)[0]
    [sent, reported, received, shown, measured, settled] = records.rows(_TIMES, *which)[0]
    slots = repeats * int(records.value(_SLOTS, *ids_of(*which), FIRST_EVOLVED))
    scores = records.rows(_SCORES, *which)
    figures = records.rows(_FIGURES, *which)
    own = [row for row in scores if row["stimulus_id"] >= FIRST_EVOLVED]
    fixed = [row["score"] for row in scores if row["stimulus_id"] < FIRST_EVOLVED]
    best = max(own, key=lambda row: -math.inf if row["score"] is None else row["score"], default=None)
    return Generation(
        evolution=evolution,
        generation=number,
        proposed_at=proposed_at,
        first_sent_at=sent,
        last_reported_at=reported,
        last_received_at=received,
        scored_at=scored_at,
        stored_s=stored_s,
        shown=shown,
        measured=measured,
        voids=dict(map(tuple, records.rows(_VOIDS, *which))),
        debt=0 if scored_at is not None else slots - settled,
        scores=[_short(row["score"]) for row in own],
        references=[_short(score) for score in fixed],
        best=best["stimulus_id"] if best is not None and best["score"] is not None else None,
        contrast=_short_interval([row["rms_contrast"] for row in figures]),
        code_norm=_short_interval([row["code_norm"] for row in figures]),
        evolved=interval([row["score"] for row in own]),
        reference=interval(fixed),
    )


def _short(score: float | None) -> float | None:
    """Return a score with the digits that a page can show: thousands of them are sent."""
    return None if score is None else round(score, 3)


def _short_interval(values: Sequence[float | None]) -> Interval:
    mean, low, high = (None if each is None else round(each, 4) for each in interval(values))
    return mean, low, high


def interval(scores: Sequence[float | None]) -> Interval:
    """Return the mean of the scores and the ends of its 95 % interval; None where nothing was measured."""
    found: NDArray[np.float64] = np.array([score for score in scores if score is not None], np.float64)
    if not len(found):
        return (None, None, None)
    mean = float(found.mean())
    if len(found) < 2:
        return (mean, None, None)
    margin = 1.96 * float(found.std(ddof=1)) / math.sqrt(len(found))
    return (mean, mean - margin, mean + margin)
