"""The counts that a session file holds, generation by generation, as the scorer was given them, or in other windows."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.database import SessionFileError
from server.ledger import Measurements

_COUNTED = """
    SELECT p.stimulus_id, r.spike_counts, r.baseline_counts, r.spike_times_s, r.spike_channels
    FROM presentations p JOIN responses r USING (presentation_id)
    WHERE p.evolution = ? AND p.generation = ? AND r.measured AND p.void IS NULL ORDER BY p.slot
"""
_MICROSECONDS = 1_000_000
"""Spikes are compared with windows in whole ones, as adapters do: 0.07 s means 70 ms and not the nearest float."""
SLACK_S = 0.02
"""A window may reach so far beyond every recorded spike: the neurons may have been silent there."""

Window = tuple[float, float]
"""Start and end in seconds after the onset, the end not included."""


@dataclass(frozen=True, slots=True)
class Windows:
    """Where to count; None = as the adapter counted."""

    response_s: Window | None = None
    baseline_s: Window | None = None

    @classmethod
    def of_ms(cls, response_ms: Window | None, baseline_ms: Window | None) -> "Windows":
        """Return these windows in seconds; raise SessionFileError for one that ends before it starts."""
        for window_ms in (response_ms, baseline_ms):
            if window_ms is not None and not window_ms[0] < window_ms[1]:
                raise SessionFileError(
                    f"a window must start before it ends, got {window_ms[0]:g} to {window_ms[1]:g} ms"
                )
        response_s, baseline_s = (
            None if window_ms is None else (window_ms[0] / 1000, window_ms[1] / 1000)
            for window_ms in (response_ms, baseline_ms)
        )
        return cls(response_s, baseline_s)


def recorded_channels(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the names of the counts' columns."""
    last = "SELECT channels FROM peers WHERE role = 'acquisition' ORDER BY rowid DESC LIMIT 1"
    row = connection.execute(last).fetchone()
    return tuple(json.loads(row[0])) if row else ()


def changed_channels(connection: sqlite3.Connection, evolution: int) -> dict[int, tuple[str, ...]]:
    """Return the channels that an operator had scored from a generation on, by that generation."""
    query = (
        "SELECT h.generation, c.arguments FROM changes h JOIN controls c USING (control_id)"
        " WHERE h.refused = '' AND h.evolution = ? ORDER BY h.rowid"
    )
    rows = connection.execute(query, (evolution,)).fetchall()
    named = [(generation, tuple(json.loads(arguments).get("channels", ()))) for generation, arguments in rows]
    return {generation: channels for generation, channels in named if channels}


def scored_generations(connection: sqlite3.Connection, evolution: int) -> Iterator[tuple[int, dict[int, float]]]:
    """Yield (generation, {stimulus id: score}) of each generation that was scored; NaN = not measured."""
    which = "SELECT generation FROM generations WHERE evolution = ? AND scored_at IS NOT NULL ORDER BY generation"
    live = "SELECT stimulus_id, score FROM scores WHERE evolution = ? AND generation = ? ORDER BY stimulus_id"
    for (generation,) in connection.execute(which, (evolution,)).fetchall():
        rows = connection.execute(live, (evolution, generation)).fetchall()
        yield generation, {stimulus: np.nan if score is None else score for stimulus, score in rows}


def recount(
    connection: sqlite3.Connection, channels: tuple[str, ...], evolution: int, generation: int, windows: Windows
) -> Measurements:
    """Return what was measured in a generation, in the order of the schedule; raise SessionFileError if it cannot be.

    A showing counts as it did in the session: it was measured, and neither its report nor anything later made it void.
    """
    rows = connection.execute(_COUNTED, (evolution, generation)).fetchall()
    nothing = np.zeros((0, len(channels)), np.int32)
    spikes = [_counts(row, row[1], windows.response_s, len(channels)) for row in rows]
    baseline = [_counts(row, row[2], windows.baseline_s, len(channels)) for row in rows]
    return Measurements(
        channels,
        np.array([row[0] for row in rows], np.int64),
        np.stack(spikes) if rows else nothing,
        np.stack(baseline) if rows else nothing,
    )


def check_spike_times(connection: sqlite3.Connection, windows: Windows, recorded: Sequence[Window]) -> None:
    """Raise SessionFileError unless the spike times on record reach over these windows.

    `recorded` are those that the session counted in: spikes were looked for over all of them, also where none came.
    """
    asked = [window for window in (windows.response_s, windows.baseline_s) if window is not None]
    if not asked:
        return
    query = "SELECT spike_counts, spike_times_s FROM responses WHERE measured"
    rows = connection.execute(query).fetchall()
    lost = sum(not len(times) and bool(np.frombuffer(counts, "<i4").any()) for counts, times in rows)
    times = np.concatenate([np.zeros(0, "<f4"), *(np.frombuffer(row[1], "<f4") for row in rows)])
    if lost or not len(times):
        raise SessionFileError(
            f"{lost} of {len(rows)} measured presentations hold spike counts and no spike times, so they cannot be "
            "counted in another window. Leave out --window and --baseline-window; adapters that send times allow it."
        )
    start, end = min(window[0] for window in asked), max(window[1] for window in asked)
    first, last = min(window[0] for window in recorded), max(window[1] for window in recorded)
    if start < min(first, times.min() - SLACK_S) or end > max(last, times.max() + SLACK_S):
        raise SessionFileError(
            f"spikes were counted from {1000 * first:g} to {1000 * last:g} ms, and those on record lie "
            f"between {1000 * times.min():.0f} and {1000 * times.max():.0f} ms; a window "
            f"from {1000 * start:g} to {1000 * end:g} ms would take what was never recorded for silence. "
            "Ask for a narrower one."
        )


def _counts(row: Any, recorded: bytes, window: Window | None, n_channels: int) -> NDArray[np.int32]:
    """Return [n_channels] counts of one presentation."""
    if window is None:
        return np.frombuffer(recorded, "<i4").astype(np.int32)
    times = np.round(np.frombuffer(row[3], "<f4").astype(np.float64) * _MICROSECONDS)
    start, end = (round(edge_s * _MICROSECONDS) for edge_s in window)
    inside = np.frombuffer(row[4], "<i4")[(times >= start) & (times < end)]
    return np.bincount(inside, minlength=n_channels).astype(np.int32)
