"""Rows and what ties them: SQLite's own checks, the schema, ids, and the chain from schedule to score."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from protocol.ids import presentation_id, stimulus_id
from server.database import SCHEMA
from server.export.snapshot import Snapshot
from server.scheduler import Schedule

FACTS = ("schema_version", "created_at", "session_id", "config", "changes", "software")
_LINKS = {
    "SELECT presentation_id, trial FROM presentations p JOIN responses USING (presentation_id) JOIN trials t"
    " USING (trial) WHERE t.reported_at IS NULL AND p.void IS NULL": "has a response, but trial {1} was never reported",
    "SELECT presentation_id, trial FROM presentations JOIN responses USING (presentation_id)"
    " WHERE measured AND onset_s IS NULL": "of trial {1} was measured, but never was on screen",
    "SELECT MAX(presentation_id), slot FROM presentations JOIN responses USING (presentation_id)"
    " WHERE measured AND void IS NULL GROUP BY evolution, generation, slot HAVING COUNT(*) > 1":
        "counts beside another one: slot {1} is measured twice",
    "SELECT presentation_id, offset_s - onset_s FROM presentations WHERE offset_s < onset_s":
        "went off before it came on ({1} s)",
    "SELECT presentation_id, s.stimulus_id FROM presentations p JOIN stimuli s USING (stimulus_id)"
    " WHERE onset_s IS NOT NULL AND s.sha256 IS NULL": "was on screen, but its image {1} was never rendered",
}  # fmt: skip


def database(snapshot: Snapshot) -> Iterator[str]:
    """Yield what SQLite finds in its pages, indices and types, and rows that point at nothing."""
    for (damage,) in map(tuple, snapshot.records.rows("PRAGMA integrity_check")):
        if damage != "ok":
            yield str(damage)
    for table, row, parent, _ in map(tuple, snapshot.records.rows("PRAGMA foreign_key_check")):
        yield f"{table}, row {row}: points at a row of {parent} that is not there"


def schema(snapshot: Snapshot) -> Iterator[str]:
    """Yield tables and columns that are missing or other than they should be, and facts that are not there."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(SCHEMA.read_text("utf-8"))
        wanted = _tables(fresh)
    found = _tables(snapshot.connection)
    for table in wanted:
        if table not in found:
            yield f"there is no table {table}"
        elif wanted[table] != found[table]:
            yield f"table {table} has the columns {', '.join(found[table])}, not {', '.join(wanted[table])}"
    facts = snapshot.records.facts()
    for fact in FACTS:
        if fact not in facts:
            yield f"the fact {fact!r} is missing from meta"
    named = [table.name for table in snapshot.records.config().evolutions]
    kept = list(snapshot.reader.evolutions().values())
    if named != kept:
        yield f"the configuration has the evolutions {', '.join(named)}; on record are {', '.join(kept) or 'none'}"
    for row in snapshot.records.rows("SELECT evolution, facts FROM evolutions"):
        json.loads(row["facts"])


def ids(snapshot: Snapshot) -> Iterator[str]:
    """Yield rows whose id says something else than their columns."""
    for row in snapshot.records.rows("SELECT stimulus_id, evolution, generation, place FROM stimuli ORDER BY 1"):
        if row["stimulus_id"] != stimulus_id(row["evolution"], row["generation"], row["place"]):
            yield f"stimulus {row[0]}: its row says evolution {row[1]}, generation {row[2]}, place {row[3]}"
    query = "SELECT presentation_id, evolution, generation, slot, attempt FROM presentations ORDER BY 1"
    for row in snapshot.records.rows(query):
        if row[0] != presentation_id(*tuple(row)[1:]):
            said = f"evolution {row[1]}, generation {row[2]}, slot {row[3]}, attempt {row[4]}"
            yield f"presentation {row[0]}: its row says {said}"
    places = "SELECT trial FROM presentations GROUP BY trial HAVING MAX(place) + 1 <> COUNT(*) OR MIN(place) <> 0"
    for row in snapshot.records.rows(places):
        yield f"trial {row[0]}: its presentations do not fill its places from 0 on"


def links(snapshot: Snapshot) -> Iterator[str]:
    """Yield where the chain from the schedule to the scores is broken."""
    for query, sentence in _LINKS.items():
        for row in snapshot.records.rows(query):
            yield f"presentation {row[0]} {sentence.format(*row)}"
    yield from _blobs(snapshot)
    for evolution in snapshot.reader.evolutions():
        yield from _generations(snapshot, evolution)
        yield from _scheduled(snapshot, evolution)


def _tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
    tables = [row[0] for row in connection.execute(names).fetchall()]
    return {table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in tables}


def _blobs(snapshot: Snapshot) -> Iterator[str]:
    """Yield responses whose counts do not fit the channels, or whose spikes have no time or no channel."""
    n_bytes = 4 * len(snapshot.records.channels())
    query = "SELECT presentation_id, spike_counts, baseline_counts, spike_times_s, spike_channels FROM responses"
    for presentation, counts, baseline, times, channels in map(tuple, snapshot.connection.execute(query)):
        if not len(counts) == len(baseline) == n_bytes:
            yield f"presentation {presentation}: counts of {len(counts) // 4} channels, recorded are {n_bytes // 4}"
        elif len(times) != len(channels):
            yield f"presentation {presentation}: {len(times) // 4} spike times for {len(channels) // 4} channels"
        elif np.frombuffer(channels, "<u4").max(initial=0) >= max(1, n_bytes // 4):
            yield f"presentation {presentation}: a spike on a channel that there is none of"
        elif min(np.frombuffer(counts, "<i4").min(initial=0), np.frombuffer(baseline, "<i4").min(initial=0)) < 0:
            yield f"presentation {presentation}: a negative count"


def _generations(snapshot: Snapshot, evolution: int) -> Iterator[str]:
    """Yield gaps in the generations, and generations that are not scored image by image."""
    query = "SELECT generation, scored_at FROM generations WHERE evolution = ? ORDER BY generation"
    rows = snapshot.records.rows(query, evolution)
    if [row["generation"] for row in rows] != list(range(1, len(rows) + 1)):
        yield f"evolution {evolution}: its generations do not count from 1 on without a gap"
    images = (
        "SELECT stimulus_id FROM stimuli WHERE (evolution = ? AND generation = ?) OR evolution = 0 ORDER BY stimulus_id"
    )
    kept = "SELECT stimulus_id FROM scores WHERE evolution = ? AND generation = ? ORDER BY stimulus_id"
    for row in rows:
        which = (evolution, row["generation"])
        scored = [each[0] for each in snapshot.records.rows(kept, *which)]
        wanted = [each[0] for each in snapshot.records.rows(images, *which)] if row["scored_at"] is not None else []
        if scored != wanted:
            differ = sorted({*scored} ^ {*wanted})
            yield (
                f"evolution {evolution}, generation {row['generation']}: {len(scored)} scores for {len(wanted)} scored "
                f"images; the first that has no match is stimulus {differ[0] if differ else '-'}"
            )


def _scheduled(snapshot: Snapshot, evolution: int) -> Iterator[str]:
    """Yield presentations of an image that the schedule, which follows from the seed, had for another slot."""
    config = snapshot.records.config()
    schedule = Schedule(config.session.seed, evolution, config.evolutions[evolution - 1].repeats)
    fixed = [row[0] for row in snapshot.records.rows("SELECT stimulus_id FROM stimuli WHERE evolution = 0 ORDER BY 1")]
    shown = "SELECT presentation_id, slot, stimulus_id FROM presentations WHERE evolution = ? AND generation = ?"
    own = "SELECT stimulus_id FROM stimuli WHERE evolution = ? AND generation = ? ORDER BY place"
    for row in snapshot.records.rows("SELECT generation FROM generations WHERE evolution = ?", evolution):
        which = (evolution, row["generation"])
        images = np.array([each[0] for each in snapshot.records.rows(own, *which)] + fixed, np.int64)
        slots = images[schedule.slots(which[1], len(images))]
        for presentation, slot, stimulus in map(tuple, snapshot.records.rows(shown, *which)):
            if not slot < len(slots) or slots[slot] != stimulus:
                planned = f"image {slots[slot]}" if slot < len(slots) else "no image"
                yield f"presentation {presentation} showed image {stimulus}; the schedule has {planned} for slot {slot}"
