"""What a session file says, for those who only read: picture, page, export."""

import json
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Images, Scores
from server.database import open_database
from server.drift import drift_of_parts
from server.pictures import from_png
from server.recounting import changed_channels

UNITS = {"rate": "Hz", "difference": "Hz", "pareto": "rank"}
"""Of the scorers whose scores have one; a rank is one within its generation, and means nothing beside another's."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The scores of one evolution, a row a generation that has been scored."""

    name: str
    generations: NDArray[np.int64]
    """[n_generations]"""
    evolved: list[Scores]
    """[n_generations] arrays of [n_codes] scores."""
    references: list[Scores]
    """[n_generations] arrays of [n_references] scores, in the order of their ids."""
    changed: tuple[int, ...] = ()
    """Generations from which on an operator had other channels scored."""

    def corrected(self) -> "Curve":
        """Return the same with the drift of the reference images taken off."""
        drifted = drift_of_parts(self.generations, self.references, self.changed)
        return replace(self, evolved=drifted.corrected(self.evolved), references=drifted.corrected(self.references))


@dataclass(frozen=True, slots=True, eq=False)
class Best:
    """The best-scored image of a generation, or a reference image with its mean score."""

    label: str
    score: float
    image: Images


@dataclass(frozen=True, slots=True)
class Effect:
    """How much more the evolved images drive the units than the best reference image does."""

    evolved_hz: float
    """Mean of the last generations' images."""
    reference_hz: float
    """Mean of the best reference image over the whole session, or since other channels are scored."""
    interval_hz: tuple[float, float]
    """95 % interval of the difference, by the normal approximation."""

    @property
    def ratio(self) -> float:
        """Evolved over reference; NaN when the reference is silent."""
        return self.evolved_hz / self.reference_hz if self.reference_hz > 0 else float("nan")


class Reader:
    """A session file, open for reading; it may be written meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = open_database(path, "ro")

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def facts(self) -> dict[str, str]:
        """Return what the session was begun with."""
        return dict(self._query("SELECT key, value FROM meta"))

    def evolutions(self) -> dict[int, str]:
        """Return the name of each evolution by its number."""
        return dict(self._query("SELECT evolution, name FROM evolutions ORDER BY evolution"))

    def unit(self, evolution: int) -> str:
        """Return what the scores of an evolution are, and in what unit."""
        [(facts,)] = self._query("SELECT facts FROM evolutions WHERE evolution = ?", evolution)
        scorer = json.loads(facts).get("scorer", {}).get("name", "")
        unit = f" ({UNITS[scorer]})" if scorer in UNITS else ""
        return ("response" if scorer == "rate" else "score") + unit

    def curve(self, evolution: int) -> Curve:
        """Return the scores of an evolution, generation by generation."""
        query = (
            "SELECT c.generation, s.evolution = 0, c.score FROM scores c JOIN stimuli s USING (stimulus_id)"
            " WHERE c.evolution = ? ORDER BY c.generation, stimulus_id"
        )
        rows = np.array(self._query(query, evolution), np.float64).reshape(-1, 3)
        generations = np.unique(rows[:, 0]).astype(np.int64)
        parts = [rows[rows[:, 0] == g] for g in generations]
        evolved = [part[part[:, 1] == 0, 2] for part in parts]
        references = [part[part[:, 1] == 1, 2] for part in parts]
        changed = tuple(changed_channels(self._connection, evolution))
        return Curve(self.evolutions()[evolution], generations, evolved, references, changed)

    def best_evolved(self, evolution: int) -> list[Best]:
        """Return the best-scored image of each generation."""
        query = (
            "SELECT c.generation, MAX(c.score), s.png FROM scores c JOIN stimuli s USING (stimulus_id)"
            " WHERE c.evolution = ? AND s.evolution > 0 AND c.score IS NOT NULL GROUP BY c.generation"
        )
        return [Best(f"gen {g}", score, from_png(png)) for g, score, png in self._query(query, evolution)]

    def best_references(self, evolution: int) -> list[Best]:
        """Return the reference images by their mean score, the best first."""
        query = (
            "SELECT s.name, AVG(c.score) AS mean, s.png FROM scores c JOIN stimuli s USING (stimulus_id)"
            " WHERE c.evolution = ? AND s.evolution = 0 AND c.score IS NOT NULL GROUP BY stimulus_id ORDER BY mean DESC"
        )
        return [Best(Path(name).stem, mean, from_png(png)) for name, mean, png in self._query(query, evolution)]

    def effect(self, evolution: int) -> Effect | None:
        """Return how the last generation compares with the best reference image; None before both were measured.

        Where an operator had other channels scored, with what it drew since then: the rest is of other neurons.
        """
        curve = self.curve(evolution)
        if not curve.evolved or not curve.references[-1].size:
            return None
        changed = [g for g in changed_channels(self._connection, evolution) if g <= curve.generations[-1]]
        references = np.stack(curve.references)[curve.generations >= max(changed, default=0)]
        seen = references[:, ~np.isnan(references).all(axis=0)]
        if not seen.size:
            return None
        return compare(curve.evolved[-1], seen[:, np.nanmean(seen, axis=0).argmax()])

    def count(self, what: str) -> int:
        """Return how many presentations there are: "shown", "measured" or "void"."""
        queries = {
            "shown": "SELECT COUNT(*) FROM presentations WHERE onset_s IS NOT NULL",
            "measured": "SELECT COUNT(*) FROM responses WHERE measured",
            "void": "SELECT COUNT(*) FROM presentations WHERE void IS NOT NULL",
        }
        return int(self._query(queries[what])[0][0])

    def _query(self, query: str, *values: object) -> list[Any]:
        cursor: sqlite3.Cursor = self._connection.execute(query, values)
        return cursor.fetchall()


def compare(evolved: Scores, reference: Scores) -> Effect | None:
    """Return how a generation's scores compare with those of a reference image; None where one was not measured."""
    evolved, reference = _measured(evolved), _measured(reference)
    if not evolved.size or not reference.size:
        return None
    margin = 1.96 * float(np.hypot(_standard_error(evolved), _standard_error(reference)))
    difference = float(evolved.mean() - reference.mean())
    interval_hz = (difference - margin, difference + margin)
    return Effect(float(evolved.mean()), float(reference.mean()), interval_hz)


def _measured(scores: Scores) -> Scores:
    measured: Scores = scores[~np.isnan(scores)]
    return measured


def _standard_error(scores: Scores) -> float:
    return float(scores.std(ddof=1) / np.sqrt(len(scores))) if len(scores) > 1 else float("inf")
