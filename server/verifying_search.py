"""The search itself: optimizers that wake up, codes that follow from scores, scores that follow from counts, seals."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from server.build import build_evolutions
from server.evolution import Evolution, References
from server.export.snapshot import Snapshot
from server.optimizers import Optimizer
from server.rescoring import Wishes, rescore
from server.seals import differing
from server.snapshots import unpack

CLOSE = 1e-4
"""Codes may differ so much, as a share of their length, from those asked anew: other processors round otherwise."""
Codes = NDArray[np.float32]


def snapshots(snapshot: Snapshot) -> Iterator[str]:
    """Yield snapshots that cannot be restored, or from which the search does not go on as it did."""
    query = "SELECT stimulus_id FROM stimuli WHERE evolution = 0 ORDER BY place"
    fixed = np.array([row[0] for row in snapshot.records.rows(query)], np.int64)
    blank = np.zeros((len(fixed), 1, 1, 3), np.uint8)
    made = build_evolutions(snapshot.records.config(), References(fixed, blank, ("",) * len(fixed)))
    for evolution in made:
        yield from _search(snapshot, evolution)


def scores(snapshot: Snapshot) -> Iterator[str]:
    """Yield the first score of each generation that its counts do not give."""
    for found in rescore(snapshot.path, Wishes()):
        if found.first_difference():
            more = len(found.different) - 1
            yield found.first_difference() + (f", and {more} more of this generation" if more else "")


def seals(snapshot: Snapshot) -> Iterator[str]:
    """Yield generations that are not as they were when they were scored."""
    if not snapshot.records.value("SELECT 1 FROM sqlite_master WHERE name = 'seals'"):
        return
    for evolution, generation, what in differing(snapshot.connection):
        yield f"evolution {evolution}, generation {generation} {what}"


def _search(snapshot: Snapshot, evolution: Evolution) -> Iterator[str]:
    """Yield what is wrong with one evolution's snapshots, generation by generation."""
    query = "SELECT generation, moment, snapshot FROM snapshots WHERE evolution = ? ORDER BY generation, moment"
    rows = snapshot.records.rows(query, evolution.number)
    asked = {row["generation"]: row["snapshot"] for row in rows if row["moment"] == "asked"}
    for row in rows:
        try:
            evolution.optimizer.restore(unpack(row["snapshot"]))
        except Exception as error:  # a damaged one makes the optimizer, a lab's own perhaps, raise whatever it likes
            yield f"{_where(evolution, row['generation'])}: the snapshot {row['moment']!r} cannot be restored ({error})"
            asked.pop(row["generation"], None)
    known = "SELECT generation, scored_at FROM generations WHERE evolution = ? ORDER BY generation"
    for generation, scored_at in map(tuple, snapshot.records.rows(known, evolution.number)):
        if generation not in {row["generation"] for row in rows if row["moment"] == "asked"}:
            yield f"{_where(evolution, generation)}: there is no snapshot of its ask"
        elif generation in asked:
            yield from _follows(snapshot, evolution, generation, asked[generation], scored_at is not None)


def _follows(snapshot: Snapshot, evolution: Evolution, generation: int, packed: bytes, scored: bool) -> Iterator[str]:
    """Yield whether a generation's codes are those that were asked, and the next ones follow from its scores."""
    optimizer, shape = evolution.optimizer, evolution.generator.code_shape
    optimizer.restore(unpack(packed))
    if not _same(optimizer.ask(), _codes(snapshot, evolution.number, generation, shape)):
        yield f"{_where(evolution, generation)}: its codes are not those that the optimizer asked for"
        return
    following = _codes(snapshot, evolution.number, generation + 1, shape)
    if not scored or not len(following):
        return
    optimizer.tell(_scores(snapshot, evolution.number, generation))
    _change(snapshot, evolution.number, generation + 1, optimizer)
    if not _same(optimizer.ask(), following):
        yield f"{_where(evolution, generation + 1)}: its codes do not follow from the scores of the generation before"


def _codes(snapshot: Snapshot, evolution: int, generation: int, shape: tuple[int, ...]) -> Codes:
    query = "SELECT code FROM stimuli WHERE evolution = ? AND generation = ? ORDER BY place"
    rows = snapshot.records.rows(query, evolution, generation)
    return np.array([np.frombuffer(row[0], "<f4").reshape(shape) for row in rows], np.float32)


def _scores(snapshot: Snapshot, evolution: int, generation: int) -> NDArray[np.float64]:
    query = (
        "SELECT c.score FROM stimuli s LEFT JOIN scores c USING (stimulus_id)"
        " WHERE s.evolution = ? AND s.generation = ? ORDER BY s.place"
    )
    return np.array([row[0] for row in snapshot.records.rows(query, evolution, generation)], np.float64)


def _change(snapshot: Snapshot, evolution: int, generation: int, optimizer: Optimizer) -> None:
    """Change the parameters that an operator had changed from this generation on."""
    query = (
        "SELECT c.arguments FROM changes h JOIN controls c USING (control_id)"
        " WHERE h.refused = '' AND h.evolution = ? AND h.generation = ? ORDER BY h.rowid"
    )
    for row in snapshot.records.rows(query, evolution, generation):
        parameters: dict[str, Any] = json.loads(row["arguments"]).get("parameters", {})
        if parameters:
            optimizer.change(**parameters)


def _same(some: Any, others: Codes) -> bool:
    asked = np.asarray(some, np.float32)
    if asked.shape != others.shape:
        return False
    scale = float(np.abs(others).max(initial=0)) or 1.0
    return bool(np.allclose(asked, others, rtol=0, atol=CLOSE * scale))


def _where(evolution: Evolution, generation: int) -> str:
    return f"evolution {evolution.number} ({evolution.name}), generation {generation}"
