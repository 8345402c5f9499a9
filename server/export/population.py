"""What the search saw and learned: every code with its score, the reference images' scores, the log of the session."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.common import DynamicTable, VectorData
from pynwb import NWBFile
from pynwb.event import DurationVectorData, EventsTable, TimestampVectorData

from server.export.clock import Clock
from server.export.snapshot import Snapshot
from server.export.tables import Row, a_table
from server.status.log import Seen, latest, lines

_CODES = """
    SELECT s.stimulus_id, s.generation, s.place, s.code_norm, s.rms_contrast, s.sha256, c.score,
        (SELECT COUNT(*) FROM presentations p JOIN responses r USING (presentation_id)
         WHERE p.stimulus_id = s.stimulus_id AND r.measured AND p.void IS NULL) AS n_counted
    FROM stimuli s LEFT JOIN scores c USING (stimulus_id) WHERE s.evolution = ? ORDER BY s.stimulus_id
"""
CODES = {
    "stimulus_id": "Names the image made of this code.",
    "generation": "The generation it was asked for in.",
    "place": "Its place there.",
    "score": "What the optimizer was told, larger is better; NaN = not measured, or not scored yet.",
    "n_counted": "Showings that went into the score.",
    "code_norm": "Euclidean length of the code.",
    "rms_contrast": "Standard deviation of the image's grey values as a share of white; NaN = not rendered.",
    "sha256": "Of the image's pixels; empty = not rendered.",
}
REFERENCES = {
    "evolution": "Number of the evolution that showed it.",
    "generation": "Its generation.",
    "stimulus_id": "Names the reference image.",
    "image_name": "Its file.",
    "score": "By the formula of the evolution, larger is better; NaN = not measured.",
}
LOG = {
    "timestamp": "When, in seconds since the session began.",
    "duration": "Of an alarm, until it was over; NaN = no alarm, or not over.",
    "annotation": "What happened, was asked for or noted.",
    "kind": "state, alarm, control, note, mark, change, peer or late.",
    "author": "Who asked for it; none = nobody.",
    "consequence": "Of an alarm: what it meant for the session; none = nothing.",
    "remedy": "Of an alarm: what was to be done; none = nothing.",
}
REWARDS = {
    "timestamp": "When the valve opened, in seconds since the session began.",
    "duration": "How long it stayed open.",
    "trial": "The trial that told of it.",
}


def add_populations(nwb: NWBFile, snapshot: Snapshot) -> None:
    """Add a table of codes and scores an evolution, and one of the reference images' scores."""
    for evolution, name in snapshot.reader.evolutions().items():
        rows = list(map(dict, snapshot.records.rows(_CODES, evolution)))
        if not rows:
            continue
        facts = snapshot.records.value("SELECT facts FROM evolutions WHERE evolution = ?", evolution)
        said = f"Evolution {evolution} ({name}): the codes its optimizer asked for, and their scores. {_parts(facts)}"
        table = a_table(DynamicTable, f"evolution_{evolution}_population", said, rows, CODES)
        codes = H5DataIO(_codes(snapshot, evolution), compression="gzip", compression_opts=1)
        table.add_column(name="code", description="The point in latent space, row by row, float32.", data=codes)
        nwb.add_analysis(table)
    query = (
        "SELECT c.evolution, c.generation, c.stimulus_id, s.name AS image_name, c.score FROM scores c JOIN stimuli s"
        " USING (stimulus_id) WHERE s.evolution = 0 ORDER BY 1, 2, 3"
    )
    rows = list(map(dict, snapshot.records.rows(query)))
    if rows:
        said = (
            "Scores of the reference images, generation by generation: drift, and what evolved ones are held against."
        )
        nwb.add_analysis(a_table(DynamicTable, "reference_scores", said, rows, REFERENCES))


def add_events(nwb: NWBFile, snapshot: Snapshot, clock: Clock) -> None:
    """Add the log (states, alarms, notes, what was asked for) and the rewards."""
    said = lines(snapshot.records, Seen(), latest(snapshot.records))
    entries = sorted((line.entry for line in said), key=lambda entry: entry.at)
    if entries:
        rows = [_entry(entry, clock) for entry in entries]
        timed = any(not math.isnan(row["duration"]) for row in rows)
        columns = LOG if timed else {key: what for key, what in LOG.items() if key != "duration"}
        said_by = "All that was said, asked and wrong, by the server's clock."
        nwb.add_events_table(_events("session_log", said_by, rows, columns))
    rewards = snapshot.records.rows("SELECT trial, at_s, duration_s FROM rewards ORDER BY at_s")
    rows = [
        {"timestamp": clock.on_screen(row["trial"], row["at_s"]), "duration": row["duration_s"], "trial": row["trial"]}
        for row in rewards
    ]
    rows = sorted((row for row in rows if not math.isnan(row["timestamp"])), key=lambda row: row["timestamp"])
    if rows:
        nwb.add_events_table(_events("rewards", "Reward pulses, as the display told them.", rows, REWARDS))


def _entry(entry: Any, clock: Clock) -> dict[str, Any]:
    return {
        "timestamp": clock.at(entry.at),
        "duration": np.nan if entry.cleared_at is None else entry.cleared_at - entry.at,
        "annotation": entry.what + (f" (stimulus {entry.stimulus_id})" if entry.stimulus_id is not None else ""),
        "kind": entry.kind,
        "author": entry.author or "none",
        "consequence": entry.consequence or "none",
        "remedy": entry.do or "none",
    }


def _events(name: str, description: str, rows: Sequence[Row], columns: Mapping[str, str]) -> EventsTable:
    kinds: dict[str, type[VectorData]] = {"timestamp": TimestampVectorData, "duration": DurationVectorData}
    special = {
        key: kind(name=key, description=columns[key], data=np.array([row[key] for row in rows], np.float64))
        for key, kind in kinds.items()
        if key in columns
    }
    return a_table(EventsTable, name, description, rows, columns, **special)


def _codes(snapshot: Snapshot, evolution: int) -> Any:
    query = "SELECT code FROM stimuli WHERE evolution = ? ORDER BY stimulus_id"
    return np.stack([np.frombuffer(row[0], "<f4") for row in snapshot.records.rows(query, evolution)])


def _parts(facts: str) -> str:
    parts = json.loads(facts)
    named = [f"{part} {parts[part]['name']}" for part in ("optimizer", "generator", "scorer") if part in parts]
    weights = parts.get("generator", {}).get("weights_sha256", "")
    return f"{', '.join(named)}{f'; weights {weights}' if weights else ''}."
