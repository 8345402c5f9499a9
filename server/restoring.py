"""A session as its file remembers it: what was measured stays measured, what was on its way is still on its way."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from protocol.messages import Control, Onsets, Role, StimulusBatch, Trial, Void
from server.changes import read_change
from server.evolution import Evolution, Outcome
from server.pictures import from_png
from server.recounting import changed_channels
from server.runs import Run
from server.session import Session
from server.snapshots import unpack

LATEST = """
    SELECT generation, scored_at, snapshot FROM generations JOIN snapshots USING (evolution, generation)
    WHERE evolution = ? ORDER BY generation DESC, moment = 'told' DESC LIMIT 1
"""
"""What the search of an evolution was when it was last put to sleep."""
_TRIALS = "SELECT trial, reported_at IS NOT NULL OR trial IN (SELECT trial FROM late_reports) FROM trials"
_N_TAKEN = "SELECT COUNT(*) FROM presentations WHERE evolution = ?"
_PRESENTATIONS = """
    SELECT p.*, t.reported_at, r.measured, r.spike_counts, r.baseline_counts
    FROM presentations p JOIN trials t USING (trial) LEFT JOIN responses r USING (presentation_id)
    WHERE p.evolution = ? AND p.generation = ? ORDER BY presentation_id
"""


def restore(session: Session, evolutions: Iterable[Evolution], connection: sqlite3.Connection) -> None:
    """Bring a session that has just been built to where its file says it was, inside the generation."""
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    _restore_peers(session, cursor)
    for trial, reported in cursor.execute(_TRIALS).fetchall():
        session.traffic.remember(trial, reported=bool(reported))
    session.exchange.n_measured = cursor.execute("SELECT COUNT(*) FROM responses WHERE measured").fetchone()[0]
    evolutions, on_their_way = list(evolutions), []
    _restore_changes(session, evolutions, cursor)
    _restore_pause(session, cursor)
    for evolution in evolutions:
        _restore_advice(session, evolution, cursor)
        on_their_way += _restore_run(session, session.runs[evolution.number], evolution, cursor)
    for presentations in _by_trial(on_their_way):  # a trial may hold presentations of several evolutions
        _restore_trial(session, presentations)


def _restore_peers(session: Session, cursor: sqlite3.Cursor) -> None:
    last = "SELECT instance, channels FROM peers WHERE role = ? ORDER BY rowid DESC LIMIT 1"
    display = cursor.execute(last, (Role.DISPLAY.value,)).fetchone()
    acquisition = cursor.execute(last, (Role.ACQUISITION.value,)).fetchone()
    measured = cursor.execute("SELECT EXISTS (SELECT 1 FROM responses)").fetchone()[0]
    if display:
        session.display_instance = display["instance"]
    if acquisition and measured:
        session.channels = tuple(json.loads(acquisition["channels"]))
    session.exchange.n_rewards = cursor.execute("SELECT COUNT(*) FROM rewards").fetchone()[0]
    session.control_ids.update(row[0] for row in cursor.execute("SELECT control_id FROM controls"))


def _restore_pause(session: Session, cursor: sqlite3.Cursor) -> None:
    """Show nothing yet if somebody had paused, and nobody has said since that it may go on."""
    wishes = "SELECT action, author FROM controls WHERE action IN ('pause', 'pause_now', 'resume', 'stop', 'end')"
    last = cursor.execute(f"{wishes} ORDER BY rowid DESC LIMIT 1").fetchone()
    if last and last["action"] in ("pause", "pause_now"):
        session.standing.obey(last["action"], last["author"])


def _restore_advice(session: Session, evolution: Evolution, cursor: sqlite3.Cursor) -> None:
    """Feed the stopping rules all outcomes of before, and the signs those of the channels that are scored now."""
    query = "SELECT generation, stimulus_id, score FROM scores WHERE evolution = ? ORDER BY generation, stimulus_id"
    scored = [tuple(row) for row in cursor.execute(query, (evolution.number,)).fetchall()]
    rows = np.array(scored, np.float64).reshape(-1, 3)
    fixed = np.isin(rows[:, 1], session.references.stimulus_ids)
    changed = changed_channels(cursor.connection, evolution.number)
    for generation in np.unique(rows[:, 0]):
        evolved, references = (rows[(rows[:, 0] == generation) & which] for which in (~fixed, fixed))
        ids = [part[:, 1].astype(np.int64) for part in (evolved, references)]
        outcome = Outcome(evolution.number, int(generation), ids[0], evolved[:, 2], ids[1], references[:, 2])
        session.stopping.remember(outcome)
        if generation >= max(changed, default=1):
            session.signs.remember(outcome)
        if generation + 1 in changed:
            session.stopping.begin_afresh(evolution.number)


def _restore_changes(session: Session, evolutions: list[Evolution], cursor: sqlite3.Cursor) -> None:
    """Score the channels that are scored since they were changed; the optimizers remember their own parameters."""
    query = (
        "SELECT c.control_id, c.action, c.author, c.arguments, h.generation FROM controls c"
        " LEFT JOIN changes h USING (control_id)"
        " WHERE c.action = 'change' AND COALESCE(h.refused, '') = '' ORDER BY c.rowid"
    )
    by_number = {evolution.number: evolution for evolution in evolutions}
    for control_id, action, author, arguments, generation in cursor.execute(query).fetchall():
        change = read_change(Control(control_id, action, author, json.loads(arguments)), by_number, session.channels)
        run = session.runs[change.evolution]
        if generation is None:
            run.changes.append(change)
        elif change.channels:
            by_number[change.evolution].change({}, change.channels)
            run.plan = replace(run.plan, channels=change.channels)


def _restore_run(session: Session, run: Run, evolution: Evolution, cursor: sqlite3.Cursor) -> list[Any]:
    """Bring an evolution back to its open generation; return the rows of that generation's presentations."""
    row = cursor.execute(LATEST, (evolution.number,)).fetchone()
    if row is None:
        return []
    run.last_generation = row["generation"]
    run.taken = cursor.execute(_N_TAKEN, (evolution.number,)).fetchone()[0]
    evolution.optimizer.restore(unpack(row["snapshot"]))
    if row["scored_at"] is not None:
        return []
    which = (evolution.number, run.last_generation)
    stimuli = cursor.execute("SELECT * FROM stimuli WHERE evolution = ? AND generation = ? ORDER BY place", which)
    rows = stimuli.fetchall()
    shape = evolution.generator.code_shape
    codes = np.stack([np.frombuffer(stimulus["code"], "<f4").reshape(shape) for stimulus in rows])
    run.open(evolution.recall(run.last_generation, codes), session.references.stimulus_ids)
    for stimulus in rows:
        if stimulus["png"] is not None:
            ids = np.array([stimulus["stimulus_id"]], np.int64)
            run.add(StimulusBatch(ids, from_png(stimulus["png"])[None]))
    return cursor.execute(_PRESENTATIONS, which).fetchall()


def _by_trial(rows: list[Any]) -> Iterable[list[Any]]:
    """Return the presentations of each trial in the order of showing; trials in the order of sending."""
    trials: dict[int, list[Any]] = {}
    for row in sorted(rows, key=lambda row: (row["trial"], row["place"])):
        trials.setdefault(row["trial"], []).append(row)
    return trials.values()


def _restore_trial(session: Session, rows: list[Any]) -> None:
    """Enter the presentations of one trial in the books as they were entered then."""
    awaited = [row for row in rows if _enter(session.runs[row["evolution"]], row)]
    trial = _trial(rows)
    if rows[0]["reported_at"] is None and rows[0]["void"] is None:
        session.traffic.take_up(trial)
    elif awaited:
        shown = _trial(awaited)
        onsets_s = np.array([row["onset_s"] for row in awaited], np.float64)
        session.traffic.await_responses(Onsets(trial.trial, shown.presentation_ids, shown.stimulus_ids, onsets_s))


def _enter(run: Run, row: Any) -> bool:
    """Enter one presentation; return whether its response is still to come."""
    ledger, presentation = run.ledger, row["presentation_id"]
    if ledger is None:
        return False
    ledger.retake(presentation)
    if row["void"] is not None:
        ledger.void(presentation, row["void"])
    elif row["reported_at"] is not None and row["onset_s"] is None:
        ledger.void(presentation, Void.NOT_SHOWN)
    elif row["reported_at"] is not None:
        ledger.shown(presentation)
        if row["measured"] is None:
            return True
        if row["measured"]:
            counts = (np.frombuffer(row[name], "<i4") for name in ("spike_counts", "baseline_counts"))
            ledger.measured(presentation, *counts)
        else:
            ledger.void(presentation, Void.NOT_MEASURED)
    return False


def _trial(rows: list[Any]) -> Trial:
    presentations = np.array([row["presentation_id"] for row in rows], np.int64)
    return Trial(rows[0]["trial"], presentations, np.array([row["stimulus_id"] for row in rows], np.int64))
