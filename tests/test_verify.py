"""Damage of every kind, planted one at a time in a session file that was whole, and each time it is named."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from protocol.messages import Control, Role, Trial
from server.database import SessionFileError
from server.pictures import from_png, to_png
from server.seals import seal
from server.verify_command import verify as command
from server.verifying import verify
from tests.builders import Desk, a_display, an_acquisition, sent
from tests.played import CHANNELS, built, keep, show

Plant = Callable[[sqlite3.Connection], object]
LAST = "(SELECT MAX(presentation_id) FROM presentations WHERE evolution = 1 AND generation = 2)"
EVOLVED = "(SELECT MIN(stimulus_id) FROM stimuli WHERE evolution = 1 AND generation = 2)"


def asked(path: Path, *options: str) -> Result:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(path), *options])


def statement(text: str, *values: object) -> Plant:
    return lambda file: file.execute(text, values)


def another_picture(file: sqlite3.Connection) -> None:
    [(png,)] = file.execute(f"SELECT png FROM stimuli WHERE stimulus_id = {EVOLVED}").fetchall()
    image = from_png(png)
    image[0, 0, 0] ^= 1
    file.execute(f"UPDATE stimuli SET png = ? WHERE stimulus_id = {EVOLVED}", (to_png(image),))


def another_code(file: sqlite3.Connection) -> None:
    [(code,)] = file.execute(f"SELECT code FROM stimuli WHERE stimulus_id = {EVOLVED}").fetchall()
    values = np.frombuffer(code, "<f4")[::-1].copy()  # as long as before, so its norm does not tell
    file.execute(f"UPDATE stimuli SET code = ? WHERE stimulus_id = {EVOLVED}", (values.tobytes(),))


DAMAGE: dict[str, tuple[Plant, str, str]] = {
    "a response without a presentation": (
        statement("UPDATE responses SET presentation_id = 99 WHERE presentation_id = " + LAST),
        "database",
        "points at a row of presentations that is not there",
    ),
    "an index that lost a row": (
        lambda file: (
            file.execute("PRAGMA writable_schema = ON"),
            file.execute("UPDATE sqlite_master SET rootpage = 3 WHERE name = 'presentations_by_generation'"),
        ),
        "database",
        "",
    ),
    "a table that is gone": (statement("DROP TABLE rewards"), "schema", "there is no table rewards"),
    "a column more": (statement("ALTER TABLE trials ADD COLUMN more TEXT"), "schema", "table trials has the columns"),
    "a fact that is gone": (statement("DELETE FROM meta WHERE key = 'software'"), "schema", "'software' is missing"),
    "a configuration that is none": (
        statement("UPDATE meta SET value = '[session' WHERE key = 'config'"), "schema", "configuration"),
    "an id that says something else": (
        statement("UPDATE presentations SET attempt = 1 WHERE presentation_id = " + LAST), "ids", "attempt 1"),
    "an image that is another generation's": (
        statement(f"UPDATE stimuli SET generation = 3, place = 90 WHERE stimulus_id = {EVOLVED}"),
        "ids", "generation 3"),
    "a trial with a hole": (
        statement("UPDATE presentations SET place = 40 WHERE presentation_id = " + LAST), "ids", "do not fill"),
    "an image shown in another's slot": (
        statement(f"UPDATE presentations SET stimulus_id = {EVOLVED} WHERE evolution = 1 AND generation = 2"),
        "links", "the schedule has image"),
    "measured, and never on screen": (
        statement(f"UPDATE presentations SET onset_s = NULL WHERE presentation_id = {LAST}"),
        "links", "never was on screen"),
    "off before it was on": (
        statement(f"UPDATE presentations SET offset_s = onset_s - 1 WHERE presentation_id = {LAST}"),
        "links", "went off before it came on"),
    "answered, and never reported": (
        statement("UPDATE trials SET reported_at = NULL WHERE trial = 2"), "links", "trial 2 was never reported"),
    "counts of too few channels": (
        statement(f"UPDATE responses SET spike_counts = x'00000000' WHERE presentation_id = {LAST}"),
        "links", "counts of 1 channels"),
    "spikes without a channel": (
        statement(f"UPDATE responses SET spike_channels = x'00000000' WHERE presentation_id = {LAST}"),
        "links", "spike times for 1 channels"),
    "a spike on no channel": (
        statement(
            f"UPDATE responses SET spike_channels = x'07000000', spike_times_s = x'00000000'"
            f" WHERE presentation_id = {LAST}"),
        "links", "a spike on a channel that there is none of"),
    "a score that is gone": (
        statement(f"DELETE FROM scores WHERE stimulus_id = {EVOLVED}"), "links", "scores for"),
    "a generation that is gone": (
        statement("DELETE FROM generations WHERE evolution = 1 AND generation = 2"), "links", "without a gap"),
    "a pixel": (another_picture, "images", "its pixels have the SHA-256"),
    "a picture that is none": (
        statement(f"UPDATE stimuli SET png = x'00' WHERE stimulus_id = {EVOLVED}"), "images", "cannot be read"),
    "a picture that is gone, and its hash is wrong": (
        statement(f"UPDATE stimuli SET png = NULL, sha256 = 'abc' WHERE stimulus_id = {EVOLVED}"),
        "images", "drawn from its code it has other pixels"),
    "a reference image that is gone": (
        statement("UPDATE stimuli SET png = NULL WHERE evolution = 0"), "images", "no code to draw it from"),
    "a code that is gone": (
        statement(f"UPDATE stimuli SET code = NULL WHERE stimulus_id = {EVOLVED}"), "codes", "it has no code"),
    "a code cut short": (
        statement(f"UPDATE stimuli SET code = x'00000000' WHERE stimulus_id = {EVOLVED}"), "codes", "others have"),
    "a code of another length": (
        statement(f"UPDATE stimuli SET code_norm = 2 * code_norm WHERE stimulus_id = {EVOLVED}"), "codes", "length"),
    "a code that was not asked for": (another_code, "snapshots", "not those that the optimizer asked for"),
    "a snapshot that is none": (
        statement("UPDATE snapshots SET snapshot = x'00' WHERE evolution = 2 AND generation = 2"),
        "snapshots", "generation 2: the snapshot 'asked' cannot be restored"),
    "a snapshot that is gone": (
        statement("DELETE FROM snapshots WHERE evolution = 1 AND generation = 3"), "snapshots", "no snapshot"),
    "scores that the search did not go by": (
        statement("UPDATE scores SET score = -score WHERE evolution = 2 AND generation = 1"),
        "snapshots", "generation 2: its codes do not follow from the scores"),
    "a score": (
        statement(f"UPDATE scores SET score = score + 0.001 WHERE stimulus_id = {EVOLVED}"),
        "scores", "generation 2, stimulus"),
    "a count": (
        statement(f"UPDATE responses SET spike_counts = x'5a0000005a0000005a000000' WHERE presentation_id = {LAST}"),
        "scores", "the live score is"),
    "an onset": (
        statement(f"UPDATE presentations SET onset_s = onset_s - 0.001 WHERE presentation_id = {LAST}"),
        "seals", "evolution 1, generation 2 was changed after it was scored"),
    "a seal that is gone": (
        statement("DELETE FROM seals WHERE evolution = 2 AND generation = 3"), "seals", "generation 3 has no seal"),
}  # fmt: skip


def test_a_session_that_nobody_touched_is_intact(played: Path) -> None:
    done = asked(played)
    assert done.exit_code == 0 and done.output.rstrip().endswith("two.xdream is intact."), done.output
    assert "DAMAGED" not in done.output and done.output.count("intact   ") == 9


def test_its_images_drawn_anew_are_the_same(played: Path) -> None:
    done = asked(played, "--draw")
    assert done.exit_code == 0 and "intact   drawing" in done.output


def test_a_session_that_never_began_is_intact(tmp_path: Path) -> None:
    with built(tmp_path / "begun.xdream"):
        assert asked(tmp_path / "begun.xdream").exit_code == 0


def test_what_an_operator_changed_on_the_way_is_no_damage(tmp_path: Path) -> None:
    with built(tmp_path / "changed.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        desk.start()
        desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
        trials = sent(desk.tell(a_display(), Role.DISPLAY), Trial, Role.DISPLAY)
        wish = {"evolution": 1, "channels": ["noise"], "parameters": {"mutation_rate": 0.9}}
        desk.tell(Control("c1", "change", "R. C.", wish), Role.OPERATOR)
        show(desk, trials)
        keep(made.file, desk.log)
        assert made.file.connection.execute("SELECT generation FROM changes").fetchall() == [(2,)]
    assert asked(tmp_path / "changed.xdream").exit_code == 0
    assert asked(tmp_path / "changed.xdream").output.count("intact   ") == 9


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_named_where_it_is(what: str, copied: Path) -> None:
    plant, check, words = DAMAGE[what]
    with closing(sqlite3.connect(copied)) as file, file:
        plant(file)
    before = copied.read_bytes()
    try:
        found = {result.name: result.problems for result in verify(copied)}
    except SessionFileError as error:
        assert check == "database" and "damaged" in str(error), "so broken that it cannot be opened: that is said too"
        return
    assert any(words in problem for problem in found[check]), found
    assert copied.read_bytes() == before


def test_damage_ends_with_status_1_line_by_line(copied: Path) -> None:
    with closing(sqlite3.connect(copied)) as file, file:
        another_picture(file)
        file.execute("UPDATE stimuli SET code_norm = 0 WHERE evolution > 0")
    done = asked(copied)
    assert done.exit_code == 1 and done.output.rstrip().endswith("copy.xdream is not intact.")
    assert done.output.count("DAMAGED  images: ") == 1 and "intact   links" in done.output
    assert done.output.count("DAMAGED  codes: ") == 21 and "DAMAGED  codes: and more" in done.output


def test_a_seal_holds_until_anything_under_it_is_changed(copied: Path) -> None:
    with closing(sqlite3.connect(copied)) as file:
        before = seal(file, 1, 2)
        assert before == seal(file, 1, 2) != seal(file, 1, 3)
        for change in (
            f"UPDATE presentations SET onset_s = onset_s + 0.0001 WHERE presentation_id = {LAST}",
            f"UPDATE responses SET spike_times_s = zeroblob(length(spike_times_s)) WHERE presentation_id = {LAST}",
            f"UPDATE stimuli SET sha256 = 'x' WHERE stimulus_id = {EVOLVED}",
            f"UPDATE scores SET score = 0 WHERE stimulus_id = {EVOLVED}",
        ):
            file.execute("BEGIN")
            file.execute(change)
            assert seal(file, 1, 2) != before, change
            file.execute("ROLLBACK")
        assert seal(file, 1, 2) == before
