"""What is on record of a session, for answering again: its channels, its windows, and a row for each presentation."""

import json
import sqlite3
import tomllib
from pathlib import Path
from typing import NamedTuple, Protocol

from adapters.source import SourceError

WINDOWS = {"response_window": (50.0, 200.0), "baseline_window": (0.0, 50.0)}
"""Milliseconds, where the session's configuration says nothing."""


class Row(NamedTuple):
    """What is on record of a presentation."""

    measured: bool
    spike_counts: bytes
    baseline_counts: bytes
    onset_source: str
    reason: str
    spike_times_s: bytes
    spike_channels: bytes


class Recorded(Protocol):
    """A session that has been."""

    channels: tuple[str, ...]
    windows_s: dict[str, tuple[float, float]]
    """By the names in WINDOWS."""

    def row(self, presentation: int) -> Row | None:
        """Return what is on record of a presentation, None if nothing is."""

    def count(self) -> tuple[int, int]:
        """Return how many presentations are on record, and how many of them were measured."""

    def close(self) -> None:
        """Let the file go."""


class SessionFile:
    """The server's own file, which is never written to."""

    def __init__(self, path: Path) -> None:
        try:
            self._database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
            [damage] = self._database.execute("PRAGMA quick_check(1)").fetchone()
            if damage != "ok":
                raise ValueError(f"it is damaged ({damage})")
            self.channels = self._channels()
            self.windows_s = self._windows()
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            raise SourceError(f"{path} is no session file of XDream's, and no tap: {error}.") from error

    def row(self, presentation: int) -> Row | None:
        """Return what is on record of a presentation."""
        found = self._database.execute(
            "SELECT measured, spike_counts, baseline_counts, onset_source, reason, spike_times_s, spike_channels "
            "FROM responses WHERE presentation_id = ?",
            (presentation,),
        ).fetchone()
        return Row(bool(found[0]), *found[1:]) if found is not None else None

    def count(self) -> tuple[int, int]:
        """Return how many presentations are on record, and how many of them were measured."""
        query = "SELECT COUNT(*), COUNT(*) FILTER (WHERE measured) FROM responses"
        n, n_measured = self._database.execute(query).fetchone()
        return n, n_measured

    def close(self) -> None:
        """Close the file."""
        self._database.close()

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
