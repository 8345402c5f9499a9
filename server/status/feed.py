"""What one session has to say to everybody who watches it, read once however many they are.

A cursor says how far a visitor has read: row numbers of the file, so that it outlives this process. What grows is
told from the cursor on; how things stand is told whole.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server.status import log
from server.status.drifting import Drifts
from server.status.generations import generation
from server.status.operator import Heard
from server.status.records import Records, about, open_records
from server.status.shapes import About, Generation
from server.status.standing import Tally, standing

BEGINNING = ""
"""The cursor of who has seen nothing."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a visitor has read."""

    session_id: str
    scores: int
    seen: log.Seen

    def __str__(self) -> str:
        """Return it as the stream's event id."""
        return ":".join(map(str, (self.scores, *self.seen, self.session_id)))

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """Return the cursor that was written so; the beginning, if it is none of ours."""
        if not re.fullmatch(r"(\d{1,15}:){10}[^:]+", text, re.ASCII):
            return cls("", 0, log.Seen())
        scores, *seen, session_id = text.split(":")
        return cls(session_id, int(scores), log.Seen(*map(int, seen)))


@dataclass(frozen=True, slots=True)
class _Scored:
    """A scored generation, ready to be sent."""

    row: int
    text: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the log, ready to be sent."""

    line: log.Line
    text: str


class Feed:
    """One session file. `refresh` reads what is new in any thread but one at a time; `since` is quick."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.version = 0
        """Goes up with every refresh."""
        self.about: About | None = None
        self.tally = Tally()
        self.standing = "{}"
        """How things stand, as JSON."""
        self._clock = clock
        self._drifts = Drifts()
        self._gains = "{}"
        """Of the drift, as JSON."""
        self._scored: list[_Scored] = []
        self._log: dict[str, _Line] = {}
        self._cursor = Cursor("", 0, log.Seen())
        self._told: dict[str, tuple[str, str]] = {}

    def refresh(self, heard: Heard | None) -> None:
        """Read what the file has that was not there before; raise SessionFileError if it cannot be read."""
        changed_at = _changed_at(self.path)
        with open_records(self.path) as records:
            records.rows("BEGIN")  # one moment for all that follows
            session_id = records.value("SELECT value FROM meta WHERE key = 'session_id'")
            if session_id != self._cursor.session_id:
                self._begin(session_id)
            seen = log.latest(records)
            if self.about is None or not self.about.channels or seen.changes != self._cursor.seen.changes:
                self.about = about(records)
            mine = heard if heard and heard.session_id == session_id else None
            last = records.value("SELECT COALESCE(MAX(rowid), 0) FROM scores")
            for each in (fresh := self._new_generations(records, self.about, last)):
                afresh = each.generation in records.changed_channels(each.evolution)
                if afresh:
                    self.tally.begin_afresh(each.evolution)
                self.tally.add(each)
                self._drifts.add(each, afresh)
            if fresh:
                self._gains = json.dumps(self._drifts.gains())
            now = standing(records, self.about, self.tally, mine, self._clock(), changed_at)
            self._add_log(records, seen)
        self.standing, self._cursor, self._told = now.model_dump_json(), Cursor(session_id, last, seen), {}
        self.version += 1

    def since(self, cursor: str) -> tuple[str, str]:
        """Return an event as JSON, of all that came after a cursor, and the cursor after it."""
        if cursor not in self._told:
            self._told[cursor] = (self._event(Cursor.read(cursor)), str(self._cursor))
        return self._told[cursor]

    def _begin(self, session_id: str) -> None:
        self.about, self.tally, self._scored, self._log = None, Tally(), [], {}
        self._drifts, self._gains = Drifts(), "{}"
        self._cursor = Cursor(session_id, 0, log.Seen())

    def _new_generations(self, records: Records, about: About, last: int) -> list[Generation]:
        query = (
            "SELECT evolution, generation, MAX(rowid) AS row FROM scores WHERE rowid > ? AND rowid <= ?"
            " GROUP BY evolution, generation ORDER BY row"
        )
        found = []
        for row in records.rows(query, self._cursor.scores, last):
            repeats = about.evolutions[row["evolution"] - 1].repeats
            each = generation(records, row["evolution"], row["generation"], repeats)
            self._scored.append(_Scored(row["row"], each.model_dump_json()))
            found.append(each)
        return found

    def _add_log(self, records: Records, seen: log.Seen) -> None:
        for line in log.lines(records, self._cursor.seen, seen, self._still()):
            text, known = line.entry.model_dump_json(), self._log.get(line.entry.key)
            if known is None or known.text != text:
                self._log[line.entry.key] = _Line(line, text)

    def _still(self) -> dict[str, int]:
        """Return the first row of each table that was told without its end."""
        first: dict[str, int] = {}
        for each in self._log.values():
            if each.line.table in log.ENDS and each.line.entry.cleared_at is None:
                first[each.line.table] = min(each.line.row, first.get(each.line.table, each.line.row))
        return first

    def _event(self, cursor: Cursor) -> str:
        reset = cursor.session_id != self._cursor.session_id or cursor.scores > self._cursor.scores
        if reset:
            cursor = Cursor("", 0, log.Seen())
        scored = [each.text for each in self._scored if each.row > cursor.scores]
        lines = [each.text for each in self._log.values() if log.unseen(each.line, cursor.seen)]
        parts = {
            "cursor": json.dumps(str(self._cursor)),
            "reset": json.dumps(reset),
            "standing": self.standing,
            "generations": f"[{','.join(scored)}]",
            "gains": self._gains if scored else "{}",
            "log": f"[{','.join(lines)}]",
        }
        return "{" + ",".join(f'"{name}":{value}' for name, value in parts.items()) + "}"


def _changed_at(path: Path) -> float:
    """Return when the session was last written, in its file or in the log beside it."""
    beside = path.with_name(path.name + "-wal")
    return max(each.stat().st_mtime for each in (path, beside) if each.exists())
