"""What a twin is fitted to: a session's showings with what they drew, its trials, and its curve."""

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.config import Config, parse_config
from server.database import SessionFileError, open_database
from server.reading import Curve, Reader

Array = NDArray[np.float64]
_SHOWINGS = """
    SELECT p.generation, p.stimulus_id, s.evolution = 0, r.spike_counts, r.baseline_counts, r.spike_times_s,
        r.spike_channels
    FROM presentations p JOIN responses r USING (presentation_id) JOIN stimuli s USING (stimulus_id)
    WHERE p.evolution = ? AND r.measured AND p.void IS NULL ORDER BY p.generation, p.slot
"""
_CHANNELS = "SELECT channels FROM peers WHERE role = 'acquisition' ORDER BY joined_at DESC LIMIT 1"
_FLASHES = """
    SELECT trial, onset_s, offset_s, generation FROM presentations
    WHERE onset_s IS NOT NULL AND void IS NULL ORDER BY onset_s
"""


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """The showings of one evolution, and the trials of all."""

    name: str
    config: Config
    channels: tuple[str, ...]
    """[n_channels] that are scored."""
    generations: NDArray[np.int64]
    """[n_showings]"""
    stimuli: NDArray[np.int64]
    """[n_showings]"""
    is_reference: NDArray[np.bool_]
    """[n_showings]"""
    response_hz: Array
    """[n_showings, n_channels]"""
    baseline_hz: Array
    """[n_showings, n_channels]"""
    times_s: Array
    """[n_spikes] from the onset, of all showings and these channels; empty where the recording gave none."""
    outcomes: dict[str, int]
    """How trials ended, and how often."""
    flashes: Array
    """[n_flashes, 4] trial, onset, offset, generation, in order of time."""
    curve: Curve


def recorded(path: Path, evolution: int) -> Recorded:
    """Return what a session file holds of an evolution; raise SessionFileError if that is too little."""
    reader = Reader(path)
    try:
        names = reader.evolutions()
        if evolution not in names:
            raise SessionFileError(f"{path} has evolutions {', '.join(map(str, names))}; there is no {evolution}.")
        config, curve = parse_config(reader.facts()["config"], f"the configuration in {path}"), reader.curve(evolution)
    finally:
        reader.close()
    with closing(open_database(path, "ro")) as file:
        rows = file.execute(_SHOWINGS, (evolution,)).fetchall()
        flashes = np.array(file.execute(_FLASHES).fetchall(), np.float64).reshape(-1, 4)
        outcomes = dict(file.execute("SELECT outcome, COUNT(*) FROM trials WHERE outcome IS NOT NULL GROUP BY outcome"))
        columns = _columns(file, evolution, path)
    n_scored = len(curve.generations)
    if n_scored < 2 or not rows:
        raise SessionFileError(f"{path}: a twin needs 2 scored generations or more, this session has {n_scored}.")
    response, baseline = config.acquisition.response_window_s, config.acquisition.baseline_window_s
    return Recorded(
        names[evolution],
        config,
        tuple(columns),
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.bool_),
        _rates(rows, 3, list(columns.values()), response),
        _rates(rows, 4, list(columns.values()), baseline),
        _times(rows, list(columns.values())),
        outcomes,
        flashes,
        curve,
    )


def _columns(file: sqlite3.Connection, evolution: int, path: Path) -> dict[str, int]:
    """Return the places of the scored channels among the recorded ones."""
    row = file.execute(_CHANNELS).fetchone()
    if row is None:
        raise SessionFileError(f"{path}: nothing was recorded in it.")
    there = list(json.loads(row[0]))
    [(facts,)] = file.execute("SELECT facts FROM evolutions WHERE evolution = ?", (evolution,))
    scored = json.loads(facts).get("channels") or there
    return {name: there.index(name) for name in scored}


def _rates(rows: Sequence[Any], field: int, columns: list[int], window_s: tuple[float, float]) -> Array:
    counts = np.stack([np.frombuffer(row[field], "<i4") for row in rows])[:, columns]
    return np.asarray(counts / max(window_s[1] - window_s[0], 1e-9))


def _times(rows: Sequence[Any], columns: list[int]) -> Array:
    pairs = [(np.frombuffer(row[5], "<f4"), np.frombuffer(row[6], "<i4")) for row in rows]
    mine = [times[np.isin(channels, columns)] for times, channels in pairs]
    return np.asarray(np.concatenate(mine), np.float64)
