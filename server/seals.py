"""A seal a generation: one hash over all that its scores rest on, and over the seal before, so none can be exchanged.

It finds what no other relation in the file would: a flipped bit in an onset, in a spike time, in a channel that is not
scored. It holds no secret: who rewrites the whole chain is not found out, unless the last seal is known elsewhere too.
"""

import hashlib
import json
from collections.abc import Iterator
from sqlite3 import Connection

SEALED = (
    "SELECT stimulus_id, place, code, sha256 FROM stimuli WHERE evolution = ? AND generation = ? ORDER BY stimulus_id",
    "SELECT p.presentation_id, p.trial, p.place, p.stimulus_id, p.slot, p.onset_s, p.offset_s, p.frames_expected,"
    " p.frames_shown, r.spike_counts, r.baseline_counts, r.onset_source, r.spike_times_s, r.spike_channels"
    " FROM presentations p JOIN responses r USING (presentation_id)"
    " WHERE p.evolution = ? AND p.generation = ? AND r.measured AND p.void IS NULL ORDER BY p.presentation_id",
    "SELECT stimulus_id, score FROM scores WHERE evolution = ? AND generation = ? ORDER BY stimulus_id",
)
"""Rows that nothing changes once their generation is scored."""
BEFORE = "SELECT seal FROM seals WHERE evolution = ? AND generation < ? ORDER BY generation DESC LIMIT 1"


def seal(connection: Connection, evolution: int, generation: int) -> str:
    """Return the SHA-256 of a scored generation and of its evolution's seal before."""
    before = connection.execute(BEFORE, (evolution, generation)).fetchone()
    digest = hashlib.sha256((before[0] if before else "").encode())
    for query in SEALED:
        for row in connection.execute(query, (evolution, generation)):
            digest.update(_row(row))
        digest.update(b"\n")
    return digest.hexdigest()


def differing(connection: Connection) -> Iterator[tuple[int, int, str]]:
    """Yield evolution, generation and what is wrong for each scored generation whose seal does not hold."""
    query = (
        "SELECT g.evolution, g.generation, s.seal FROM generations g LEFT JOIN seals s USING (evolution, generation)"
        " WHERE g.scored_at IS NOT NULL ORDER BY 1, 2"
    )
    for evolution, generation, kept in connection.execute(query).fetchall():
        if kept is None:
            yield evolution, generation, "has no seal"
        elif kept != seal(connection, evolution, generation):
            yield evolution, generation, "was changed after it was scored: its seal does not hold"


def _row(row: tuple[object, ...]) -> bytes:
    """Return a row's bytes; floats as Python writes them, which is exact, blobs by their own hash."""
    values = [hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value for value in tuple(row)]
    return json.dumps(values).encode()
