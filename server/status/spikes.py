"""Spikes around the onset: a histogram (PSTH) beside that of the reference images, and a raster."""

import sqlite3

import numpy as np
from numpy.typing import NDArray

from server.status.details import Spikes
from server.status.records import FIRST_EVOLVED, Records
from server.status.shapes import About

BIN_S = 0.010
BEFORE_S = 0.1
"""So much is shown before the onset, and after the response window."""
RASTER = 40
"""Presentations in the raster."""
REFERENCES = 400
"""Reference presentations in the histogram they are compared with."""
EVOLVED, FIXED, ONE = f"p.stimulus_id >= {FIRST_EVOLVED}", f"p.stimulus_id < {FIRST_EVOLVED}", "p.stimulus_id = ?"
"""Which images: all evolved ones, all reference images, one of either."""


def spikes(
    records: Records, about: About, evolution: int, generation: int, channel: int, stimulus_id: int | None
) -> Spikes:
    """Return the spikes of a channel in a generation, or those of one image of it."""
    mine = _times(records, evolution, generation, channel, *((EVOLVED,) if stimulus_id is None else (ONE, stimulus_id)))
    fixed = _times(records, evolution, generation, channel, FIXED)
    start_s = min(0.0, about.baseline_window_s[0]) - BEFORE_S
    edges = np.arange(start_s, about.response_window_s[1] + BEFORE_S + BIN_S, BIN_S).astype(np.float64)
    return Spikes(
        channel=channel,
        n=len(mine),
        with_times=any(len(each) for each in (*mine, *fixed)),
        bin_s=BIN_S,
        start_s=float(start_s),
        rates_hz=_histogram(mine, edges),
        reference_hz=_histogram(fixed, edges),
        raster=[[round(float(t), 4) for t in each] for each in mine[-RASTER:]],
    )


def _times(
    records: Records, evolution: int, generation: int, channel: int, which: str, *stimulus_id: int
) -> list[NDArray[np.float32]]:
    """Return the spike times of each presentation of these images, in the order of showing."""
    query = (
        "SELECT r.spike_times_s, r.spike_channels FROM presentations p JOIN responses r USING (presentation_id)"
        f" WHERE p.evolution = ? AND p.generation = ? AND r.measured AND {which}"
        f" ORDER BY p.trial, p.place LIMIT {REFERENCES}"
    )
    return [_of_channel(row, channel) for row in records.rows(query, evolution, generation, *stimulus_id)]


def _of_channel(row: sqlite3.Row, channel: int) -> NDArray[np.float32]:
    times, places = np.frombuffer(row["spike_times_s"], "<f4"), np.frombuffer(row["spike_channels"], "<i4")
    return np.sort(times[places == channel])


def _histogram(times: list[NDArray[np.float32]], edges: NDArray[np.float64]) -> list[float]:
    if not times:
        return []
    counts, _ = np.histogram(np.concatenate(times), edges)
    rates: list[float] = (counts / (len(times) * BIN_S)).round(2).tolist()
    return rates
