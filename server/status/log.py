"""The log of a session: what went wrong and what it meant, what was asked for, who came and how it stood.

Every line has a key and can be told again; a cursor of row numbers says which of them somebody has seen.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from server.standing import consequence_of
from server.status.records import Records
from server.status.shapes import LogEntry

WORDS = {
    "pause": "pause at the end of the trial",
    "pause_now": "pause now",
    "resume": "resume",
    "stop": "stop after this generation",
    "end": "end now",
}


class Seen(NamedTuple):
    """How far somebody has read: the last row of each table, and how many alarms were over."""

    states: int = 0
    troubles: int = 0
    cleared: int = 0
    controls: int = 0
    peers: int = 0
    late: int = 0
    changes: int = 0
    alarms: int = 0
    over: int = 0


ENDS = {"troubles": "cleared", "alarms": "over"}
"""Tables of what has a beginning and an end, and the field that counts the ends."""


def latest(records: Records) -> Seen:
    """Return how far one can read now."""
    names = ("states", "troubles", "controls", "peers", "changes", "alarms")
    tables = {"late": "late_reports"} | {name: name for name in names}
    last = {name: records.value(f"SELECT COALESCE(MAX(rowid), 0) FROM {table}") for name, table in tables.items()}
    over = "SELECT COUNT(*) FROM {} WHERE cleared_at IS NOT NULL"
    return Seen(**last, **{count: records.value(over.format(table)) for table, count in ENDS.items()})


class Line(NamedTuple):
    """A line of the log, and where it stands in the file."""

    table: str
    """A field of `Seen`."""
    row: int
    entry: LogEntry
    over: int = 0
    """How many of its table were over when it was seen to be; 0 = it is not, or has no end."""


def lines(records: Records, seen: Seen, now: Seen, still: Mapping[str, int] = {}) -> list[Line]:
    """Return the lines that were added or may have changed since.

    `still` has the first row of a table that was told without its end.
    """
    return [
        *_lines("states", _state, _after(records, "states", seen.states, now.states)),
        *_ending(
            "troubles", _trouble, _after(records, "troubles", _first("troubles", seen, now, still), now.troubles), now
        ),
        *_ending("alarms", _alarm, _after(records, "alarms", _first("alarms", seen, now, still), now.alarms), now),
        *_lines("controls", _control, _after(records, "controls", seen.controls, now.controls)),
        *_lines("peers", _peer, _after(records, "peers", seen.peers, now.peers)),
        *_lines("changes", _changed, _after(records, "changes", seen.changes, now.changes)),
        *_lines("late", _late, _after(records, "late_reports", seen.late, now.late)),
    ]


def unseen(line: Line, seen: Seen) -> bool:
    """Return whether somebody who has read so far has yet to be told of a line, or of its end."""
    return line.row > getattr(seen, line.table) or (line.over > 0 and line.over > getattr(seen, ENDS[line.table]))


def open_troubles(records: Records) -> list[LogEntry]:
    """Return what keeps the session from going on, as the file says."""
    rows = records.rows("SELECT rowid, * FROM troubles WHERE cleared_at IS NULL ORDER BY rowid")
    newest = {row["source"]: row for row in rows}
    return [_trouble(row) for row in newest.values()]


def open_alarms(records: Records) -> list[LogEntry]:
    """Return what is wrong without stopping the session, as the file says."""
    return [_alarm(row) for row in records.rows("SELECT rowid, * FROM alarms WHERE cleared_at IS NULL ORDER BY rowid")]


def alarm(key: str, at: float, what: str, consequence: str, do: str) -> LogEntry:
    """Return an alarm that stands in no file."""
    return LogEntry(key=key, at=at, kind="alarm", what=what, consequence=consequence, do=do)


def _has_ended(table: str, seen: Seen, now: Seen) -> bool:
    return bool(getattr(seen, ENDS[table]) != getattr(now, ENDS[table]))


def _first(table: str, seen: Seen, now: Seen, still: Mapping[str, int]) -> int:
    """Return after which row to read: what has been told and was not over may be so since."""
    told: int = getattr(seen, table)
    return min(told, still.get(table, told + 1) - 1) if _has_ended(table, seen, now) else told


def _lines(table: str, read: Callable[[sqlite3.Row], LogEntry], rows: Iterable[sqlite3.Row]) -> list[Line]:
    return [Line(table, row["rowid"], read(row)) for row in rows]


def _ending(table: str, read: Callable[[sqlite3.Row], LogEntry], rows: Iterable[sqlite3.Row], now: Seen) -> list[Line]:
    over: int = getattr(now, ENDS[table])
    return [each._replace(over=over if each.entry.cleared_at is not None else 0) for each in _lines(table, read, rows)]


def _after(records: Records, table: str, first: int, last: int) -> Iterator[sqlite3.Row]:
    if first < last:
        query = f"SELECT rowid, * FROM {table} WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
        yield from records.rows(query, first, last)


def _state(row: sqlite3.Row) -> LogEntry:
    what = row["state"] + (f": {row['why']}" if row["why"] else "")
    return LogEntry(key=f"state-{row['rowid']}", at=row["at"], kind="state", what=what)


def _alarm(row: sqlite3.Row) -> LogEntry:
    return LogEntry(
        key=f"warning-{row['rowid']}",
        at=row["began_at"],
        kind="alarm",
        stops=False,
        what=row["what"],
        consequence=row["consequence"],
        do=row["remedy"],
        cleared_at=row["cleared_at"],
    )


def _trouble(row: sqlite3.Row) -> LogEntry:
    return LogEntry(
        key=f"alarm-{row['rowid']}",
        at=row["began_at"],
        kind="alarm",
        what=row["what"],
        consequence=consequence_of(row["source"]),
        do=row["remedy"],
        cleared_at=row["cleared_at"],
    )


def _control(row: sqlite3.Row) -> LogEntry:
    arguments: dict[str, Any] = json.loads(row["arguments"])
    kind = row["action"] if row["action"] in ("note", "mark", "change") else "control"
    what = {
        "note": str(arguments.get("text", "")),
        "mark": f"marked: {arguments.get('text') or 'worth a look'}",
        "change": _change(arguments),
        "drill": f"drill: {arguments.get('what')}, {arguments.get('seconds', 5):g} s",
    }.get(row["action"], WORDS.get(row["action"], row["action"]))
    key, stimulus = f"control-{row['control_id']}", arguments.get("stimulus_id")
    return LogEntry(key=key, at=row["asked_at"], kind=kind, what=what, author=row["author"], stimulus_id=stimulus)


def _change(arguments: dict[str, Any]) -> str:
    parts = [f"{name} = {value}" for name, value in arguments.get("parameters", {}).items()]
    if arguments.get("channels"):
        parts.append(f"scored channels {', '.join(arguments['channels'])}")
    return f"evolution {arguments.get('evolution')}, from the next generation on: {'; '.join(parts)}"


def _changed(row: sqlite3.Row) -> LogEntry:
    evolution, generation = row["evolution"], row["generation"]
    what = f"the change holds: evolution {evolution}, from generation {generation} on"
    if row["refused"]:
        what = f"the change was refused, nothing is different: {row['refused']}"
    return LogEntry(key=f"changed-{row['control_id']}", at=row["at"], kind="change", what=what)


def _peer(row: sqlite3.Row) -> LogEntry:
    what = f"the {row['role']} has joined: {row['name']}" + (f" ({row['software']})" if row["software"] else "")
    return LogEntry(key=f"peer-{row['rowid']}", at=row["joined_at"], kind="peer", what=what)


def _late(row: sqlite3.Row) -> LogEntry:
    what = f"the report of trial {row['trial']} came late: kept, not counted"
    return LogEntry(key=f"late-{row['rowid']}", at=row["at"], kind="late", what=what)
