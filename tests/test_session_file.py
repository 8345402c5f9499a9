"""The session file: what is committed is there, what is damaged or foreign is refused and left alone."""

import sqlite3
from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pytest

from protocol.messages import Onsets, Role, Trial
from server import build
from server.actions import Advanced, Joined, Record, Voided
from server.config import parse_config
from server.database import SessionFileError, cannot_be_opened, open_database
from server.reading import Reader
from server.restoring import restore
from server.session_file import SessionFile, fingerprint
from server.snapshots import pack, unpack
from tests.builders import (
    Desk,
    a_desk,
    a_display,
    a_plan,
    a_report,
    a_session,
    an_acquisition,
    an_answer,
    an_evolution,
    recorded,
    sent,
)
from tests.played import CONFIG, built


def a_file(folder: Path) -> SessionFile:
    file = SessionFile.create(folder / "s.xdream", lambda: 1.0, {"session_id": "s1", "config": ""})
    references = a_session().references
    with file.transaction():
        file.add_references(references, (b"png",) * len(references.names))
        file.add_evolution(1, "e1", {})
    return file


def keep(file: SessionFile, actions: list) -> None:
    with file.transaction():
        for action in actions:
            if isinstance(action, Record):
                file.add(action.row)


def played_into(file: SessionFile, n_steps: int) -> Desk:
    """Play a session, all of it on record, until so many reports or answers have been given."""
    desk = a_desk(plans=[a_plan(n_generations=0)], population=7)
    trials = sent(desk.join(), Trial)
    for step in range(n_steps):
        trial = trials.pop(0)
        actions = desk.tell(a_report(trial, {1: "fixation_broken"} if step % 3 == 1 else {}), Role.DISPLAY)
        trials += sent(actions, Trial)
        for onsets in sent(actions, Onsets):
            if step < n_steps - 1:
                trials += sent(desk.tell(an_answer(onsets, unmeasured=[0][: step % 2]), Role.ACQUISITION), Trial)
    keep(file, desk.log)
    return desk


@pytest.mark.parametrize("n_steps", range(9))
def test_a_restored_session_stands_where_the_old_one_stood(tmp_path: Path, n_steps: int) -> None:
    file = a_file(tmp_path)
    old = played_into(file, n_steps).session
    evolution = an_evolution(population=7)
    new = a_session([a_plan(n_generations=0)])
    restore(new, [evolution], file.connection)
    was, now = old.runs[1], new.runs[1]
    assert now.last_generation == was.last_generation
    assert [s.state for s in now.ledger.slots] == [s.state for s in was.ledger.slots]
    assert [s.attempt for s in now.ledger.slots] == [s.attempt for s in was.ledger.slots]
    assert [s.spent for s in now.ledger.slots] == [s.spent for s in was.ledger.slots]
    assert {t: x.presentation_ids.tolist() for t, x in new.traffic.out.items()} == {
        t: x.presentation_ids.tolist() for t, x in old.traffic.out.items()
    }
    assert [o.presentation_ids.tolist() for o in new.traffic.unanswered()] == [
        o.presentation_ids.tolist() for o in old.traffic.unanswered()
    ]
    assert [new.traffic.is_closed(t) for t in range(20)] == [old.traffic.is_closed(t) for t in range(20)]
    assert now.rendered == was.rendered
    np.testing.assert_array_equal(now.proposal.codes, was.proposal.codes)
    file.close()


def test_a_restored_display_that_is_another_one_has_lost_its_trials(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    played_into(file, 2)
    new = a_session([a_plan(n_generations=0)])
    restore(new, [an_evolution(population=7)], file.connection)
    out = list(new.traffic.out)
    new.receive(a_display("another"), Role.DISPLAY)
    assert out and set(out) <= new.traffic.abandoned
    file.close()


def test_a_clock_that_was_set_back_does_not_bring_a_display_of_before_back(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    desk = a_desk(plans=[a_plan(n_generations=0)])
    keep(file, [Record(Joined(a_display("d1")))])
    file._clock = lambda: 0.5
    desk.tell(an_acquisition(), Role.ACQUISITION)
    trials = sent(desk.tell(a_display("d2"), Role.DISPLAY), Trial)
    keep(file, desk.log)
    new = a_session([a_plan(n_generations=0)])
    restore(new, [an_evolution()], file.connection)
    held = [trial.trial for trial in trials]
    assert not recorded(new.receive(a_display("d2", trials=held), Role.DISPLAY), Voided), "it has its trials still"
    file.close()


def test_a_generation_of_which_nothing_was_measured_is_scored_when_the_channels_are_known(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    plan = a_plan(n_generations=2, max_attempts=1, channels=("u1",))
    desk = a_desk(plans=[plan], images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    keep(file, desk.log)
    never_seen = a_report(trial, dict.fromkeys(range(6), "fixation_broken"))
    keep(file, [Record(never_seen)])  # and there the server was killed
    new = Desk(a_session([plan], images_per_trial=6), [an_evolution()])
    restore(new.session, new.evolutions.values(), file.connection)
    new.start()
    actions = new.join()
    [scored] = [row.outcome for row in recorded(new.log, Advanced) if row.outcome]
    assert np.isnan(scored.scores).all()
    assert sent(actions, Trial), "and the next one is shown"
    file.close()


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    with pytest.raises(RuntimeError), file.transaction():
        file.add_evolution(2, "e2", {})
        raise RuntimeError
    assert Reader(file.path).evolutions() == {1: "e1"}
    file.close()


def test_the_time_spent_on_the_disk_is_kept_also_where_a_transaction_has_to_be_tried_again(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    desk = a_desk(plans=[a_plan(n_generations=1)], images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    [onsets] = sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets)
    keep(file, desk.log)
    scored = desk.tell(an_answer(onsets), Role.ACQUISITION)
    spent_s = file._stored_s
    with pytest.raises(sqlite3.OperationalError), file.transaction():
        for action in scored:
            if isinstance(action, Record):
                file.add(action.row)
        raise sqlite3.OperationalError("database or disk is full")
    keep(file, scored)
    assert file.connection.execute("SELECT stored_s FROM generations").fetchall() == [(spent_s,)]
    file.close()


def test_pictures_carry_their_fingerprint(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    images = a_session().references.images
    rows = file.connection.execute("SELECT sha256 FROM stimuli ORDER BY place").fetchall()
    assert [row[0] for row in rows] == [fingerprint(image) for image in images]
    file.close()


def test_a_file_is_one_servers_at_a_time(tmp_path: Path) -> None:
    file = a_file(tmp_path)
    with pytest.raises(SessionFileError, match=r"s\.xdream is in use"):
        SessionFile(file.path, lambda: 1.0)
    file.close()
    SessionFile(file.path, lambda: 1.0).close()


def test_a_new_session_never_writes_over_an_old_one(tmp_path: Path) -> None:
    a_file(tmp_path).close()
    with pytest.raises(SessionFileError, match="xdream resume"):
        a_file(tmp_path)


def test_a_closed_file_is_one_file(tmp_path: Path) -> None:
    a_file(tmp_path).close()
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["s.xdream"]


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:9000]), "damaged"),
        (lambda path: path.write_text("not a database at all, but long enough to look at twice"), "no session file"),
        (lambda path: path.write_bytes(b""), "no session file"),
        (lambda path: path.unlink(), "there is no session file"),
        (lambda path: set_version(path, "99"), "schema version 99"),
    ],
)
def test_what_is_no_session_file_is_refused_in_a_sentence(tmp_path: Path, damage: object, sentence: str) -> None:
    file = a_file(tmp_path)
    file.close()
    damage(file.path)
    before = file.path.read_bytes() if file.path.exists() else None
    with pytest.raises(SessionFileError, match=sentence):
        open_database(file.path, "rw")
    assert (file.path.read_bytes() if file.path.exists() else None) == before, "it was left as it is"


def sqlite_says(what: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(what)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("says", "words"),
    [
        (sqlite_says("attempt to write a readonly database", sqlite3.SQLITE_READONLY_CANTINIT), "where it is"),
        (sqlite_says("unable to open database file", sqlite3.SQLITE_CANTOPEN), "where it is"),
        (sqlite_says("database is locked", sqlite3.SQLITE_BUSY), "where it is"),
        (sqlite_says("no such table: meta", sqlite3.SQLITE_ERROR), "is no session file, or is damaged"),
    ],
)
def test_a_file_that_lies_where_it_cannot_be_read_is_not_called_damaged(says: sqlite3.Error, words: str) -> None:
    assert words in str(cannot_be_opened(Path("s.xdream"), says))


@pytest.mark.parametrize("n_with_room", [0, 1])
def test_a_disk_that_is_full_from_the_start_leaves_no_file_and_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_with_room: int
) -> None:
    """The name can be taken again, and nobody is told to go on with what was never begun."""
    rooms = chain(repeat(10_000, n_with_room), repeat(1))
    real = sqlite3.connect

    def connect(*given: object, **options: object) -> sqlite3.Connection:
        connection = real(*given, **options)
        connection.execute(f"PRAGMA max_page_count = {next(rooms)}")
        return connection

    monkeypatch.setattr(sqlite3, "connect", connect)
    path = tmp_path / "s.xdream"
    with pytest.raises(SessionFileError, match=r"s\.xdream cannot be written .*room on the disk"):
        build.begin(
            parse_config(CONFIG.replace("size = 3", "size = 64"), "two.toml"), build.Changes(), path, lambda: 1.0
        )
    assert not path.exists()


def test_a_session_that_was_never_begun_cannot_go_on(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        facts = made.file.facts()
    (tmp_path / "s.xdream").unlink()
    SessionFile.create(tmp_path / "s.xdream", lambda: 1.0, {k: facts[k] for k in facts if "_at" not in k}).close()
    with pytest.raises(SessionFileError, match=r"s\.xdream was never begun"):
        build.resume(tmp_path / "s.xdream", lambda: 2.0)


def set_version(path: Path, version: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (version,))
    connection.close()


def test_snapshots_come_back_as_they_were() -> None:
    snapshot = {"codes": np.arange(6.0).reshape(2, 3), "state": {"key": str(2**127), "n": [1, None, np.ones(2)]}}
    back = unpack(pack(snapshot))
    np.testing.assert_array_equal(back["codes"], snapshot["codes"])
    np.testing.assert_array_equal(back["state"]["n"][2], np.ones(2))
    assert back["state"]["key"] == str(2**127) and back["state"]["n"][:2] == [1, None]
