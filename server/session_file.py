"""The session file: one SQLite database that a row is committed to before anybody acts on it.

schema.sql is its description. One server writes it at a time; any number of readers may have it open meanwhile.
"""

import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from protocol.arrays import Ids, Images
from protocol.ids import presentation_key, stimulus_key
from protocol.messages import Control, Responses, Trial, TrialReport
from server.actions import (
    Advanced,
    Alarm,
    AlarmOver,
    Cleared,
    Joined,
    Late,
    Rendered,
    Row,
    StateChanged,
    Trouble,
    Voided,
)
from server.changes import Changed
from server.database import SCHEMA, SCHEMA_VERSION, SessionFileError, cannot_be_written, open_database
from server.evolution import Outcome, Proposal, References
from server.pictures import from_png
from server.seals import seal


class SessionFile:
    """The record of one session, open for writing. `clock` returns seconds since 1970."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Open a session file that exists; raise SessionFileError if it is in use or is none."""
        self.path = path
        self._clock = clock
        self.commit_s = 0.0
        """How long the last transaction took to be on disk."""
        self._stored_s = 0.0
        self._lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise SessionFileError(f"{path} is in use by another server. Stop that one first.") from None
        except OSError as error:
            raise cannot_be_written(path, error) from error
        try:
            self.connection = open_database(path, "rw")
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def create(cls, path: Path, clock: Callable[[], float], facts: dict[str, str]) -> "SessionFile":
        """Make a new session file that holds these facts; raise SessionFileError if there is one, or no room."""
        if path.exists():
            raise SessionFileError(f"{path} exists. Take another name, or go on with it: xdream resume {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as fresh, fresh:
                fresh.executescript("BEGIN;" + SCHEMA.read_text())
                facts = {"schema_version": str(SCHEMA_VERSION), "created_at": str(clock()), **facts}
                fresh.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        except sqlite3.OperationalError as error:
            path.unlink(missing_ok=True)  # nothing is in it
            raise cannot_be_written(path, error) from error
        return cls(path, clock)

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        with suppress(sqlite3.OperationalError):  # a reader holds it open: the log stays, and is read with it
            self.connection.execute("PRAGMA journal_mode = DELETE")
        self.connection.close()
        self._lock.release()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is added inside is on disk when this ends, or none of it is."""
        began_s, stored_s = time.monotonic(), self._stored_s
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.connection.execute("COMMIT")
            self.commit_s = time.monotonic() - began_s
            self._stored_s += self.commit_s
        except BaseException:
            self._stored_s = stored_s
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def facts(self) -> dict[str, str]:
        """Return what the session was begun with."""
        return dict(self.connection.execute("SELECT key, value FROM meta").fetchall())

    def set_fact(self, key: str, value: str) -> None:
        """Replace one of them."""
        self.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def evolution_facts(self, evolution: int) -> dict[str, Any]:
        """Return what an evolution is made of."""
        row = self.connection.execute("SELECT facts FROM evolutions WHERE evolution = ?", (evolution,)).fetchone()
        if row is None:
            raise SessionFileError(f"{self.path} was never begun: it holds no evolution. Begin another: xdream run")
        return dict(json.loads(row[0]))

    def references(self) -> References:
        """Return the reference images, pixel for pixel."""
        query = "SELECT stimulus_id, png, name FROM stimuli WHERE evolution = 0 ORDER BY place"
        rows = self.connection.execute(query).fetchall()
        images = [from_png(png) for _, png, _ in rows]
        stacked = np.stack(images) if images else np.zeros((0, 1, 1, 3), np.uint8)
        return References(np.array([row[0] for row in rows], np.int64), stacked, tuple(row[2] for row in rows))

    def add(self, row: Row) -> None:
        """Add one row, inside a transaction."""
        match row:
            case Advanced():
                self._add_advanced(row)
            case Rendered():
                self.add_pictures(row.batch.stimulus_ids, row.batch.images, row.pngs)
            case Trial():
                self._add_trial(row)
            case TrialReport():
                self._add_report(row)
            case Responses():
                self._add_responses(row)
            case Voided():
                marks = [(str(row.cause), p) for p in row.presentation_ids.tolist()]
                self._all("UPDATE presentations SET void = ? WHERE presentation_id = ?", marks)
            case Late():
                onsets = row.report.onsets_s.tobytes()
                self._insert("late_reports", self._clock(), row.report.trial, row.report.outcome, onsets)
                self._add_rewards(row.report)
            case Joined():
                hello = row.hello
                channels = json.dumps(hello.channels)
                self._insert("peers", self._clock(), hello.role, hello.name, hello.instance, hello.software, channels)
            case Control():
                arguments = json.dumps(row.arguments)
                self._insert("controls", row.control_id, self._clock(), row.action, row.author, arguments)
            case Changed():
                self._add_changed(row)
            case StateChanged():
                self._insert("states", self._clock(), row.state.value, row.why)
            case Trouble():
                self._insert("troubles", self._clock(), row.source, row.what, row.do, None)
            case Cleared():
                open_ones = "UPDATE troubles SET cleared_at = ? WHERE source = ? AND cleared_at IS NULL"
                self.connection.execute(open_ones, (self._clock(), row.source))
            case Alarm():
                self._add_alarm(row)
            case AlarmOver():
                open_ones = (
                    "UPDATE alarms SET cleared_at = ? WHERE source = ? AND ? IN (key, '') AND cleared_at IS NULL"
                )
                self.connection.execute(open_ones, (self._clock(), row.source, row.key))

    def add_evolution(self, evolution: int, name: str, facts: dict[str, Any]) -> None:
        """Add an evolution and what it is made of."""
        self._insert("evolutions", evolution, name, json.dumps(facts, default=str))

    def add_references(self, references: References, pngs: tuple[bytes, ...]) -> None:
        """Add the reference images."""
        for stimulus, name in zip(references.stimulus_ids.tolist(), references.names, strict=True):
            key = stimulus_key(stimulus)
            values = (stimulus, key.evolution, key.generation, key.place, name)
            self._insert("stimuli", *values, None, None, None, None, None)
        self.add_pictures(references.stimulus_ids, references.images, pngs)

    def add_pictures(self, stimulus_ids: Ids, images: Images, pngs: tuple[bytes, ...]) -> None:
        """Add the pictures of stimuli that are there already, with a fingerprint of their pixels."""
        pictures = zip(stimulus_ids.tolist(), images, pngs, strict=True)
        rows = [(fingerprint(image), rms_contrast(image), png, stimulus) for stimulus, image, png in pictures]
        self._all("UPDATE stimuli SET sha256 = ?, rms_contrast = ?, png = ? WHERE stimulus_id = ?", rows)

    def _add_alarm(self, alarm: Alarm) -> None:
        """Begin an alarm; one that is open already goes on, in these words."""
        words = (alarm.what, alarm.consequence, alarm.do)
        open_one = "source = ? AND key = ? AND cleared_at IS NULL"
        again = f"UPDATE alarms SET what = ?, consequence = ?, remedy = ? WHERE {open_one}"
        if not self.connection.execute(again, (*words, alarm.source, alarm.key)).rowcount:
            self._insert("alarms", self._clock(), alarm.source, alarm.key, *words, None)

    def _add_changed(self, row: Changed) -> None:
        self._insert("changes", row.control_id, row.evolution, row.generation, self._clock(), row.refused)

    def _add_advanced(self, row: Advanced) -> None:
        for changed in row.changed:
            self._add_changed(changed)
        if row.outcome is not None:
            self._add_outcome(row.outcome)
        if row.proposal is not None:
            self._add_proposal(row.proposal)
            self._insert("snapshots", row.evolution, row.proposal.generation, "asked", row.snapshot)
        elif row.outcome is not None:
            self._insert("snapshots", row.evolution, row.outcome.generation, "told", row.snapshot)

    def _add_outcome(self, outcome: Outcome) -> None:
        which = (outcome.evolution, outcome.generation)
        scored = "UPDATE generations SET scored_at = ?, stored_s = ? WHERE evolution = ? AND generation = ?"
        self.connection.execute(scored, (self._clock(), self._stored_s, *which))
        self._stored_s = 0.0
        ids = [*outcome.stimulus_ids.tolist(), *outcome.reference_ids.tolist()]
        scores = [*outcome.scores.tolist(), *outcome.reference_scores.tolist()]
        rows = [(*which, stimulus, score) for stimulus, score in zip(ids, scores, strict=True)]
        self._all("INSERT INTO scores VALUES (?, ?, ?, ?)", rows)  # SQLite keeps NaN as NULL
        self._insert("seals", *which, seal(self.connection, *which))

    def _add_proposal(self, proposal: Proposal) -> None:
        which = (proposal.evolution, proposal.generation)
        self._insert("generations", *which, self._clock(), None, None)
        rows = []
        for place, (stimulus, code) in enumerate(zip(proposal.stimulus_ids.tolist(), proposal.codes, strict=True)):
            blob, norm = wire(code, "<f4"), float(np.linalg.norm(code))
            rows.append((stimulus, *which, place, None, blob, norm, None, None, None))
        self._all(f"INSERT INTO stimuli VALUES ({', '.join('?' * 10)})", rows)

    def _add_trial(self, trial: Trial) -> None:
        self._insert("trials", trial.trial, self._clock(), None, None)
        pairs = zip(trial.presentation_ids.tolist(), trial.stimulus_ids.tolist(), strict=True)
        rows = [(p, trial.trial, place, s, *presentation_key(p)) for place, (p, s) in enumerate(pairs)]
        columns = "presentation_id, trial, place, stimulus_id, evolution, generation, slot, attempt"
        self._all(f"INSERT INTO presentations ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _add_report(self, report: TrialReport) -> None:
        told = "UPDATE trials SET reported_at = ?, outcome = ? WHERE trial = ?"
        self.connection.execute(told, (self._clock(), report.outcome, report.trial))
        self._insert("frames", report.trial, report.n_frames, report.n_long_frames, report.longest_frame_s)
        self._add_rewards(report)
        rows = zip(
            (void or None for void in report.voids),
            report.onsets_s.tolist(),
            report.offsets_s.tolist(),
            report.frames_expected.tolist(),
            report.frames_shown.tolist(),
            report.presentation_ids.tolist(),
            strict=True,
        )
        columns = "void = ?, onset_s = ?, offset_s = ?, frames_expected = ?, frames_shown = ?"
        self._all(f"UPDATE presentations SET {columns} WHERE presentation_id = ?", rows)

    def _add_rewards(self, report: TrialReport) -> None:
        pulses = zip(report.reward_onsets_s.tolist(), report.reward_durations_s.tolist(), strict=True)
        self._all("INSERT INTO rewards VALUES (?, ?, ?)", [(report.trial, *pulse) for pulse in pulses])

    def _add_responses(self, responses: Responses) -> None:
        for row, presentation in enumerate(responses.presentation_ids.tolist()):
            mine = responses.spike_rows == row
            self._insert(
                "responses",
                presentation,
                self._clock(),
                int(responses.measured[row]),
                wire(responses.spike_counts[row], "<i4"),
                wire(responses.baseline_counts[row], "<i4"),
                responses.onset_source,
                responses.reason,
                wire(responses.spike_times_s[mine], "<f4"),
                wire(responses.spike_channels[mine], "<i4"),
            )
        if not isnan(responses.clock_age_s):
            facts = (responses.clock_residual_s, responses.clock_age_s)
            self._all("INSERT INTO clocks VALUES (?, ?, ?)", [(p, *facts) for p in responses.presentation_ids.tolist()])

    def _insert(self, table: str, *values: Any) -> None:
        self.connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)

    def _all(self, statement: str, rows: Any) -> None:
        self.connection.executemany(statement, rows)


def fingerprint(image: Images) -> str:
    """Return the SHA-256 of [height, width, 3] pixels."""
    return hashlib.sha256(np.ascontiguousarray(image).tobytes()).hexdigest()


def rms_contrast(image: Images) -> float:
    """Return the standard deviation of an image's grey values, as a share of white."""
    grey = image.sum(axis=2, dtype=np.uint16)
    return float(grey.std() / (3 * 255))


def wire(array: NDArray[Any], dtype: str) -> bytes:
    """Return the bytes of an array as the file keeps them."""
    return np.ascontiguousarray(array, dtype).tobytes()
