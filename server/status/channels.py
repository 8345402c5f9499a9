"""How each channel does: its rate, how that has changed, and whether it says the same twice."""

import numpy as np
from numpy.typing import NDArray

from server.status.details import Channel
from server.status.records import FIRST_EVOLVED, Records
from server.status.shapes import About

HISTORY = 20
"""Generations in the little curve of each channel."""
RELIABILITY = 60
"""Generations whose reference presentations tell how reliable a channel is."""
Rates = NDArray[np.float64]


def channels(records: Records, about: About, evolution: int) -> list[Channel]:
    """Return how every channel did in the last generations of an evolution."""
    last = records.value("SELECT MAX(generation) FROM scores WHERE evolution = ?", evolution) or 0
    history = [_rates(records, about, evolution, g, "spike") for g in range(max(1, last - HISTORY + 1), last + 1)]
    first = _rates(records, about, evolution, 1, "spike")
    baseline = _rates(records, about, evolution, last, "baseline")
    reliable = _reliability(records, about, evolution, last)
    silent = np.full(len(about.channels), np.nan)
    now = history[-1] if history else silent
    return [
        Channel(
            channel=place,
            name=name,
            scored=[each.number for each in about.evolutions if not each.channels or name in each.channels],
            rate_hz=_known(now[place]),
            baseline_hz=_known(baseline[place]),
            change_hz=_known(now[place] - first[place]),
            reliability=_known(reliable[place]),
            history_hz=[_known(rates[place]) for rates in history],
        )
        for place, name in enumerate(about.channels)
    ]


def _rates(records: Records, about: About, evolution: int, generation: int, what: str) -> Rates:
    """Return [n_channels] mean rates over the evolved images of a generation; NaN = not measured."""
    query = (
        f"SELECT r.{what}_counts FROM presentations p JOIN responses r USING (presentation_id)"
        " WHERE p.evolution = ? AND p.generation = ? AND r.measured AND p.stimulus_id >= ?"
    )
    rows = records.rows(query, evolution, generation, FIRST_EVOLVED)
    if not rows:
        return np.full(len(about.channels), np.nan)
    start_s, end_s = about.response_window_s if what == "spike" else about.baseline_window_s
    counts = np.stack([np.frombuffer(row[0], "<i4") for row in rows])
    return np.asarray(counts.mean(axis=0) / (end_s - start_s))


def _reliability(records: Records, about: About, evolution: int, last: int) -> Rates:
    """Return [n_channels] correlations of the reference images' mean counts, odd against even showings of each."""
    query = (
        "SELECT p.stimulus_id, r.spike_counts FROM presentations p JOIN responses r USING (presentation_id)"
        " WHERE p.evolution = ? AND p.generation BETWEEN ? AND ? AND r.measured AND p.stimulus_id < ?"
        " ORDER BY p.presentation_id"
    )
    rows = records.rows(query, evolution, max(1, last - RELIABILITY + 1), last, FIRST_EVOLVED)
    showings: dict[int, list[Rates]] = {}
    for stimulus, counts in rows:
        showings.setdefault(stimulus, []).append(np.frombuffer(counts, "<i4").astype(np.float64))
    often = [each for each in showings.values() if len(each) > 1]
    if len(often) < 3:
        return np.full(len(about.channels), np.nan)
    odd, even = (np.stack([np.mean(each[half::2], axis=0) for each in often]) for half in (0, 1))
    odd, even = odd - odd.mean(axis=0), even - even.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((odd * even).sum(axis=0) / np.sqrt((odd**2).sum(axis=0) * (even**2).sum(axis=0)))


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
