"""A session that has been answers again: each presentation with what was recorded for it, by its id."""

from collections.abc import Iterable
from itertools import groupby
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np

from adapters.recorded import WINDOWS, Recorded, Row, SessionFile
from adapters.source import SourceError
from adapters.tap import is_tap
from adapters.tap_replay import TapRecord
from protocol.messages import Onsets, Responses, StimulusBatch


class Replay:
    """Reads a session's file, or a raw tap. What it does not hold, or other windows, is not measured."""

    name = "replay"
    wants_images = False

    def __init__(self, file: str) -> None:
        self._path = Path(file)
        if not self._path.is_file():
            raise SourceError(f"no session file and no tap {file}.")
        self._recorded: Recorded = TapRecord(self._path) if is_tap(self._path) else SessionFile(self._path)
        self.channels = self._recorded.channels
        self._answers: list[Responses] = []
        self._other_windows = ""

    def begin(self, settings: dict[str, Any]) -> None:
        """Start afresh; the windows must be those that were recorded with."""
        self._answers.clear()
        recorded_s = self._recorded.windows_s
        wanted_s = {name: tuple(settings.get(f"{name}_s", recorded_s[name])) for name in WINDOWS}
        self._other_windows = "" if wanted_s == recorded_s else "was counted in other windows than are asked for"

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
        self._recorded.close()

    def look(self) -> list[tuple[bool, str, str]]:
        """Return what the file holds."""
        n, n_measured = self._recorded.count()
        windows = ", ".join(
            f"{name.replace('_', ' ')} {1000 * start:g} to {1000 * end:g} ms"
            for name, (start, end) in self._recorded.windows_s.items()
        )
        found = f"{self._path}: {n} presentations, {n_measured} of them measured; {windows}"
        return [(n_measured > 0, "file", found), (True, "channels", ", ".join(self.channels))]

    def _row(self, presentation: int, onset_s: float) -> Row:
        found = self._recorded.row(presentation)
        reason = "has no onset" if isnan(onset_s) else self._other_windows
        if found is not None and not reason:
            return found
        nothing = bytes(4 * len(self.channels))
        source = found.onset_source if found else "none"
        return Row(False, nothing, nothing, source, reason or f"is not in {self._path.name}", b"", b"")


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
