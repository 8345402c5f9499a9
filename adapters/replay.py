"""A finished session answers again: each presentation with what was recorded for it, by its id."""

import json
import sqlite3
import tomllib
from collections.abc import Iterable
from itertools import groupby
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from adapters.source import SourceError
from protocol.messages import Onsets, Responses, StimulusBatch

WINDOWS = {"response_window": (50.0, 200.0), "baseline_window": (0.0, 50.0)}
"""Milliseconds, where the session's configuration says nothing."""


class Row(NamedTuple):
    """What the file holds for a presentation."""

    measured: bool
    spike_counts: bytes
    baseline_counts: bytes
    onset_source: str
    reason: str
    spike_times_s: bytes
    spike_channels: bytes


class Replay:
    """Reads a session's file, and never writes to it. What it does not hold, or other windows, is not measured."""

    name = "replay"
    wants_images = False

    def __init__(self, file: str) -> None:
        self._path = Path(file)
        if not self._path.is_file():
            raise SourceError(f"no session file {file}.")
        try:
            self._database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)
            self.channels = self._channels()
            self._recorded_s = self._windows()
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{file} is no session file of XDream's: {error}.") from error
        self._answers: list[Responses] = []
        self._other_windows = ""

    def begin(self, settings: dict[str, Any]) -> None:
        """Start afresh; the windows must be those that were recorded with."""
        self._answers.clear()
        wanted_s = {name: tuple(settings.get(f"{name}_s", self._recorded_s[name])) for name in WINDOWS}
        self._other_windows = "" if wanted_s == self._recorded_s else "was counted in other windows than are asked for"

    def see(self, batch: StimulusBatch) -> None:
        """Do nothing."""

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Do nothing."""

    def request(self, onsets: Onsets) -> None:
        """Look these presentations up, for the next `poll`."""
        rows = [
            (presentation, self._row(presentation, onset_s))
            for presentation, onset_s in zip(onsets.presentation_ids.tolist(), onsets.onsets_s.tolist(), strict=True)
        ]
        by_source = sorted(rows, key=lambda each: each[1].onset_source)
        for source, group in groupby(by_source, key=lambda each: each[1].onset_source):
            self._answers.append(_responses(source, dict(group)))

    def poll(self) -> list[Responses]:
        """Return the answers since the last call."""
        answers, self._answers = self._answers, []
        return answers

    def data_age_s(self) -> float:
        """Return 0: a file never falls behind."""
        return 0.0

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _row(self, presentation: int, onset_s: float) -> Row:
        found = self._database.execute(
            "SELECT measured, spike_counts, baseline_counts, onset_source, reason, spike_times_s, spike_channels "
            "FROM responses WHERE presentation_id = ?",
            (presentation,),
        ).fetchone()
        reason = "has no onset" if isnan(onset_s) else self._other_windows
        if found is not None and not reason:
            return Row(bool(found[0]), *found[1:])
        nothing = bytes(4 * len(self.channels))
        source = found[3] if found else "none"
        return Row(False, nothing, nothing, source, reason or f"is not in {self._path.name}", b"", b"")

    def _channels(self) -> tuple[str, ...]:
        found = self._database.execute(
            "SELECT channels FROM peers WHERE role = 'acquisition' ORDER BY joined_at DESC LIMIT 1"
        ).fetchone()
        if found is None:
            raise ValueError("nothing was recorded in it")
        return tuple(str(name) for name in json.loads(found[0]))

    def _windows(self) -> dict[str, tuple[float, float]]:
        [text] = self._database.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        table = tomllib.loads(text).get("acquisition", {})
        milliseconds = {name: table.get(f"{name}_ms", default) for name, default in WINDOWS.items()}
        return {name: (start / 1000, end / 1000) for name, (start, end) in milliseconds.items()}


def _responses(source: str, rows: dict[int, Row]) -> Responses:
    times_s = [np.frombuffer(row.spike_times_s, "<f4") for row in rows.values()]
    reasons = dict.fromkeys(row.reason for row in rows.values() if row.reason)
    return Responses(
        np.array(list(rows), np.int64),
        np.array([row.measured for row in rows.values()], np.bool_),
        np.stack([np.frombuffer(row.spike_counts, "<i4") for row in rows.values()]).astype(np.int32),
        np.stack([np.frombuffer(row.baseline_counts, "<i4") for row in rows.values()]).astype(np.int32),
        source,
        np.concatenate(times_s).astype(np.float32),
        np.repeat(np.arange(len(rows), dtype=np.int32), [len(each) for each in times_s]),
        np.concatenate([np.frombuffer(row.spike_channels, "<i4") for row in rows.values()]).astype(np.int32),
        "; ".join(reasons),
    )
