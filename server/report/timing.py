"""How the session kept time: frames, onsets, the gaps between trials and between generations, the answers."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from server.export.snapshot import Snapshot
from server.status.standing import frames

_ONSETS = """
    SELECT p.trial, p.place, p.onset_s, COALESCE(p.offset_s, p.onset_s) AS offset_s, p.evolution, p.generation
    FROM presentations p JOIN trials t USING (trial)
    WHERE p.onset_s IS NOT NULL ORDER BY t.trial, p.place
"""
_ANSWERS = """
    SELECT MIN(r.received_at) - t.reported_at FROM responses r JOIN presentations USING (presentation_id)
    JOIN trials t USING (trial) WHERE t.reported_at IS NOT NULL GROUP BY t.trial
"""
_TURNS = """
    SELECT p.evolution, p.generation, MIN(t.sent_at) AS first_sent_at, MAX(r.received_at) AS last_received_at
    FROM presentations p JOIN trials t USING (trial) LEFT JOIN responses r USING (presentation_id)
    GROUP BY p.evolution, p.generation ORDER BY p.evolution, p.generation
"""
Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """One measure: how often it was taken, and how it came out."""

    what: str
    n: int
    middle: str
    worst: str
    meaning: str


def intervals_ms(snapshot: Snapshot) -> Times:
    """Return the times from one onset to the next image's within a trial."""
    rows = _onsets(snapshot)
    same = (rows[1:, 0] == rows[:-1, 0]) & (rows[1:, 1] == rows[:-1, 1] + 1)
    return np.asarray(1000 * (rows[1:, 2] - rows[:-1, 2])[same])


def lines(snapshot: Snapshot) -> list[Line]:
    """Return all measures that this record allows."""
    within, between = _gaps_ms(_onsets(snapshot))
    answers = np.array([1000 * row[0] for row in snapshot.records.rows(_ANSWERS) if row[0] is not None])
    measures = [
        _of(intervals_ms(snapshot), "onset to onset", "of images that follow each other in a trial, by the display"),
        _of(within, "trial to trial", "last image off to the next trial's first on, within a generation"),
        _of(between, "generation to generation", "the same where a generation begins: what the subject waits"),
        _of(_dead_ms(snapshot), "server's dead time", "last answer of a generation on disk to the next trial sent"),
        _of(answers, "answer", "a trial's report on disk to its first spike counts on disk"),
    ]
    return [*_frames(snapshot), *(line for line in measures if line is not None)]


def _frames(snapshot: Snapshot) -> list[Line]:
    found = frames(snapshot.records)
    odd = "SELECT COUNT(*), SUM(frames_shown <> frames_expected) FROM presentations WHERE frames_shown IS NOT NULL"
    [(n_images, n_odd)] = snapshot.records.rows(odd + " AND onset_s IS NOT NULL")
    made = []
    if found.n:
        longest = "-" if found.longest_s is None else f"{1000 * found.longest_s:.1f} ms"
        meaning = "frames that took more than one refresh, from fixation to the empty screen; the longest of all"
        made.append(Line("frames", found.n, f"{found.n_long} long", longest, meaning))
    if n_images:
        meaning = "images that were on screen for more or fewer frames than they should"
        made.append(Line("images", n_images, f"{n_odd or 0} odd", f"{100 * (n_odd or 0) / n_images:.2f} %", meaning))
    return made


def _onsets(snapshot: Snapshot) -> Times:
    """Return [n, 6] trial, place, onset, offset, evolution, generation."""
    return np.array([tuple(row) for row in snapshot.records.rows(_ONSETS)], np.float64).reshape(-1, 6)


def _gaps_ms(rows: Times) -> tuple[Times, Times]:
    """Return the empty screens between trials: within a generation, and where one begins.

    A display that was started anew has another clock: a gap that is negative or beyond an hour is none.
    """
    edges = np.flatnonzero(rows[1:, 0] != rows[:-1, 0])
    gaps = 1000 * (rows[edges + 1, 2] - rows[edges, 3])
    began, seen = [], set[tuple[float, float]]()
    for edge in edges:
        seen.add((rows[edge, 4], rows[edge, 5]))
        began.append((rows[edge + 1, 4], rows[edge + 1, 5]) not in seen)
    new, sane = np.array(began, np.bool_), (gaps >= 0) & (gaps < 3.6e6)
    return gaps[sane & ~new], gaps[sane & new]


def _dead_ms(snapshot: Snapshot) -> Times:
    """Return the time from each generation's last answer to the next one's first trial; 0 where they overlap."""
    rows = [tuple(row) for row in snapshot.records.rows(_TURNS)]
    dead = [
        1000 * max(0.0, following[2] - row[3])
        for row, following in pairwise(rows)
        if row[0] == following[0] and following[1] == row[1] + 1 and row[3] is not None
    ]
    return np.array(dead, np.float64)


def _of(times_ms: Times, what: str, meaning: str) -> Line | None:
    if not len(times_ms):
        return None
    middle = f"{np.median(times_ms):.1f} ms"
    if what == "onset to onset":
        middle += f", SD {times_ms.std():.2f}"
    worst = f"{times_ms.min():.1f} to {times_ms.max():.1f} ms"
    return Line(what, len(times_ms), middle, worst, meaning)
