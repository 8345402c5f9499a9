"""Images of a session and what became of each: the picture, its scores, its showings."""

import json
import sqlite3
from pathlib import Path

import numpy as np

from server.status.details import Image, Presentation, Stimulus
from server.status.records import Records, ids_of
from server.status.shapes import About

LAST = 200
"""Presentations of one image that are listed; a reference image has thousands."""


def picture(records: Records, stimulus_id: int) -> bytes | None:
    """Return the picture of a stimulus as PNG; None if there is none, or none yet."""
    found: bytes | None = records.value("SELECT png FROM stimuli WHERE stimulus_id = ?", stimulus_id)
    return found


def images(records: Records, evolution: int, generation: int) -> list[Image]:
    """Return the images of a generation, in their order."""
    query = (
        "SELECT s.stimulus_id, s.place, c.score, s.sha256 IS NOT NULL FROM stimuli s"
        " LEFT JOIN scores c ON c.evolution = s.evolution AND c.generation = s.generation"
        " AND c.stimulus_id = s.stimulus_id WHERE s.stimulus_id BETWEEN ? AND ? ORDER BY s.place"
    )
    rows = records.rows(query, *ids_of(evolution, generation))
    return [Image(stimulus_id=row[0], place=row[1], score=row[2], rendered=bool(row[3])) for row in rows]


def stimulus(records: Records, about: About, stimulus_id: int) -> Stimulus | None:
    """Return all that is known of an image; None if there is no such image."""
    rows = records.rows("SELECT * FROM stimuli WHERE stimulus_id = ?", stimulus_id)
    if not rows:
        return None
    [row] = rows
    shown, scored = _count(records, row)
    return Stimulus(
        stimulus_id=stimulus_id,
        evolution=row["evolution"],
        generation=row["generation"],
        place=row["place"],
        name=Path(row["name"] or "").stem,
        sha256=row["sha256"] or "",
        code_norm=row["code_norm"],
        rms_contrast=row["rms_contrast"],
        scores=_scores(records, about, stimulus_id, row["evolution"], row["generation"]),
        shown=shown,
        scored=scored,
        presentations=_presentations(records, about, row),
        marks=_marks(records, stimulus_id),
    )


def _scores(
    records: Records, about: About, stimulus_id: int, evolution: int, generation: int
) -> list[tuple[int, int, float | None]]:
    if evolution:
        query = (
            "SELECT evolution, generation, score FROM scores WHERE evolution = ? AND generation = ? AND stimulus_id = ?"
        )
        return [tuple(row) for row in records.rows(query, evolution, generation, stimulus_id)]
    found: list[tuple[int, int, float | None]] = []
    for each in about.evolutions:
        query = (
            "SELECT s.evolution, s.generation, s.score FROM generations g JOIN scores s USING (evolution, generation)"
            " WHERE g.evolution = ? AND s.stimulus_id = ? ORDER BY g.generation DESC LIMIT ?"
        )
        found += [tuple(row) for row in records.rows(query, each.number, stimulus_id, LAST)]
    return found


def _count(records: Records, row: sqlite3.Row) -> tuple[int, int]:
    """Return how often an image was on screen, and how often it was measured."""
    where, values = _showings_of(row)
    query = (
        "SELECT COUNT(p.onset_s), COALESCE(SUM(r.measured), 0) FROM presentations p"
        f" LEFT JOIN responses r USING (presentation_id) WHERE {where}"
    )
    [(shown, scored)] = records.rows(query, *values)
    return shown, scored


def _presentations(records: Records, about: About, row: sqlite3.Row) -> list[Presentation]:
    where, values = _showings_of(row)
    query = (
        "SELECT p.*, r.measured, r.spike_counts, r.baseline_counts, r.onset_source FROM presentations p"
        f" LEFT JOIN responses r USING (presentation_id) WHERE {where} ORDER BY p.trial DESC, p.place DESC LIMIT ?"
    )
    return [_presentation(each, about) for each in records.rows(query, *values, LAST)]


def _showings_of(row: sqlite3.Row) -> tuple[str, tuple[int, ...]]:
    """Return the condition under which a presentation showed this image; an index helps with an evolved one."""
    if not row["evolution"]:
        return "p.stimulus_id = ?", (row["stimulus_id"],)
    of_generation = "p.evolution = ? AND p.generation = ? AND p.stimulus_id = ?"
    return of_generation, (row["evolution"], row["generation"], row["stimulus_id"])


def _presentation(row: sqlite3.Row, about: About) -> Presentation:
    measured = bool(row["measured"])
    return Presentation(
        presentation_id=row["presentation_id"],
        trial=row["trial"],
        generation=row["generation"],
        onset_s=row["onset_s"],
        void=row["void"] or ("not_measured" if row["measured"] == 0 else ""),
        measured=measured,
        frames_expected=row["frames_expected"],
        frames_shown=row["frames_shown"],
        rates_hz=_rates(row["spike_counts"], about.response_window_s) if measured else [],
        baseline_hz=_rates(row["baseline_counts"], about.baseline_window_s) if measured else [],
        onset_source=row["onset_source"] or "",
    )


def _rates(counts: bytes, window_s: tuple[float, float]) -> list[float]:
    rates: list[float] = (np.frombuffer(counts, "<i4") / (window_s[1] - window_s[0])).tolist()
    return rates


def _marks(records: Records, stimulus_id: int) -> list[str]:
    rows = records.rows("SELECT arguments, author FROM controls WHERE action = 'mark'")
    marks = [(json.loads(row["arguments"]), row["author"]) for row in rows]
    mine = [(said, author) for said, author in marks if said.get("stimulus_id") == stimulus_id]
    return [": ".join(filter(None, (author, said.get("text") or "worth a look"))) for said, author in mine]
