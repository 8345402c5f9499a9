"""The NWB file of a session: everything that was shown, measured and said, in words that NWB's own tools accept."""

import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from protocol.messages import Control, Role, Trial
from server import build
from server.cli import app
from server.config import ConfigError, parse_config
from server.database import SessionFileError
from server.export.clock import Clock
from server.export.command import export as command
from server.export.snapshot import open_snapshot
from server.export.wanted import wanted, with_facts
from server.session_file import SessionFile, fingerprint
from tests.builders import Desk, a_display, a_report, an_acquisition, sent
from tests.played import CHANNELS, CONFIG, keep, play

pynwb = pytest.importorskip("pynwb", reason="the NWB export needs pip install 'xdream[nwb]'")
pytest.importorskip("nwbinspector")

from server.export import nwb as nwb_module  # noqa: E402
from server.export.inspection import Finding, inspect  # noqa: E402
from server.export.nwb import export  # noqa: E402

BEGAN_AT = 1_700_000_000.0
WHO = """
[subject]
species = "Macaca mulatta"
sex = "M"
age = "P8Y"
[lab]
lab = "Vision"
institution = "University"
area = "IT, left hemisphere"
"""
LAB = CONFIG.replace('name = "two"', 'name = "two"\nsubject = "A"\nexperimenter = "Last, First"') + WHO


def spread(path: Path) -> None:
    """Give a session that was played in no time the times of a real one: a trial takes three seconds."""
    moment = f"{BEGAN_AT} + 3 * trial"
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE presentations SET onset_s = onset_s + 3 * trial, offset_s = offset_s + 3 * trial")
        file.execute(f"UPDATE trials SET sent_at = {moment}, reported_at = reported_at - reported_at + {moment} + 2.5")
        file.execute(f"UPDATE responses SET received_at = {BEGAN_AT + 100}")
        file.execute(f"UPDATE meta SET value = '{BEGAN_AT}' WHERE key = 'created_at'")
        for table, column in (("states", "at"), ("peers", "joined_at"), ("controls", "asked_at")):
            file.execute(f"UPDATE {table} SET {column} = {BEGAN_AT + 1}")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("played") / "two.xdream"
    play(path, LAB)
    spread(path)
    return path


@contextmanager
def a_session_cut_short(path: Path, n_trials: int) -> Iterator[SessionFile]:
    """A session file, still open, whose display reported so many trials and whose acquisition side never answered."""
    made = build.begin(parse_config(LAB, "two.toml"), build.Changes(), path, lambda: BEGAN_AT)
    desk = Desk(made.session, made.evolutions)
    desk.start()
    desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    trials = sent(desk.tell(a_display(), Role.DISPLAY), Trial, Role.DISPLAY)
    for trial in trials[:n_trials]:
        desk.tell(a_report(trial, {1: "fixation_broken"}, "fixation broken"), Role.DISPLAY)
    desk.tell(Control("c1", "note", "R. C.", {"text": "drowsy <b>"}), Role.OPERATOR)
    keep(made.file, desk.log)
    try:
        yield made.file
    finally:
        made.file.close()


def grave(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings if finding.level in ("error", "critical")]


@contextmanager
def read(path: Path) -> Iterator[Any]:
    with pynwb.NWBHDF5IO(path, "r") as file:
        yield file.read()


def rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as file:
        return file.execute(query).fetchall()


@pytest.fixture(scope="module")
def exported(finished: Path) -> Path:
    out = finished.with_suffix(".nwb")
    findings, missing = export(finished, out)
    assert not grave(findings) and not missing, findings
    return out


def test_a_finished_session_has_nothing_that_an_inspector_would_mind(exported: Path) -> None:
    levels = {finding.level for finding in inspect(exported)}
    assert levels <= {"suggestion"}, levels
    assert not pynwb.validate(path=str(exported))


def test_all_images_are_there_to_the_pixel(finished: Path, exported: Path) -> None:
    with open_snapshot(finished) as snapshot, read(exported) as nwb:
        images = nwb.stimulus_template["stimuli"]
        stored = snapshot.records.rows("SELECT stimulus_id, sha256 FROM stimuli")
        assert len(images.images) == len(stored) == len(images.order_of_images.data)
        for stimulus, sha256 in map(tuple, stored):
            image = images[f"stimulus_{stimulus}"]
            assert sha256 in image.description
            assert fingerprint(image.data[:]) == sha256


def test_every_showing_has_its_row_with_its_counts(finished: Path, exported: Path) -> None:
    query = (
        "SELECT presentation_id, stimulus_id, spike_counts FROM presentations JOIN responses USING (presentation_id)"
    )
    with read(exported) as nwb:
        shown = nwb.intervals["stimulus_presentations"].to_dataframe().set_index("presentation_id")
        assert len(shown) == len(rows(finished, query))
        names = [image.name for image in nwb.stimulus_template["stimuli"].order_of_images.data[:]]
        for presentation, stimulus, counts in rows(finished, query):
            row = shown.loc[presentation]
            assert row.spike_counts.tolist() == np.frombuffer(counts, "<i4").tolist() and row.counted
            assert names[row.image_index] == f"stimulus_{stimulus}" == f"stimulus_{row.stimulus_id}"
        onsets = nwb.stimulus["stimulus_onsets"]
        assert np.all(np.diff(onsets.timestamps[:]) > 0)
        assert onsets.timestamps[:].tolist() == sorted(shown.start_time)


def test_codes_and_scores_are_those_of_the_file(finished: Path, exported: Path) -> None:
    query = (
        "SELECT code, score FROM stimuli JOIN scores USING (stimulus_id) WHERE stimuli.evolution = 2"
        " ORDER BY stimulus_id"
    )
    with read(exported) as nwb:
        table = nwb.analysis["evolution_2_population"].to_dataframe()
        assert [(code.tobytes(), score) for code, score in zip(table.code, table.score, strict=True)] == rows(
            finished, query
        )
        assert len(nwb.analysis["reference_scores"]) == 3 * (4 + 3)


def test_spikes_lie_where_they_were_recorded_and_none_is_told_twice(finished: Path, exported: Path) -> None:
    query = (
        "SELECT onset_s, spike_times_s, spike_channels FROM presentations JOIN responses USING (presentation_id)"
        " ORDER BY onset_s"
    )
    with read(exported) as nwb:
        units = nwb.units.to_dataframe()
        first_s = nwb.stimulus["stimulus_onsets"].timestamps[0]
        kept = rows(finished, query)
        at_s = [first_s + onset_s - kept[0][0] for onset_s, _, _ in kept]
        for channel, train in enumerate(units.spike_times):
            alone = [  # within 0.1 s after the onset no image that follows has spikes of its own
                at + t
                for at, (_, times, channels) in zip(at_s, kept, strict=True)
                for t, c in zip(np.frombuffer(times, "<f4"), np.frombuffer(channels, "<i4"), strict=True)
                if c == channel and -0.0999 < t < 0.0999
            ]
            there = np.asarray(train)
            assert np.all(np.diff(there) >= 0)
            assert all(np.abs(there - t).min() < 1e-6 for t in alone)
            inside = [np.any((i[:, 0] <= t) & (t <= i[:, 1])) for i in [units.obs_intervals[channel]] for t in there]
            assert all(inside)


def test_the_head_says_who_and_where_and_the_record_what(finished: Path, exported: Path) -> None:
    with read(exported) as nwb:
        assert nwb.subject.species == "Macaca mulatta" and nwb.subject.age == "P8Y" and nwb.subject.subject_id == "A"
        assert (nwb.lab, nwb.institution, nwb.experimenter) == ("Vision", "University", ("Last, First",))
        assert nwb.session_start_time.timestamp() == BEGAN_AT
        assert nwb.get_scratch("config") == dict(rows(finished, "SELECT key, value FROM meta"))["config"]
        assert "numpy = " in str(nwb.get_scratch("versions"))
        assert nwb.electrodes["channel_name"][:].tolist() == list(CHANNELS)
        assert {"state", "peer"} <= set(nwb.events["session_log"]["kind"][:])


def test_the_same_file_gives_the_same_bytes(finished: Path, exported: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.nwb"
    export(finished, again)
    assert again.read_bytes() == exported.read_bytes()


def test_a_session_stopped_before_its_first_trial_is_a_valid_file(tmp_path: Path) -> None:
    with a_session_cut_short(tmp_path / "begun.xdream", n_trials=0) as file:
        findings, _ = export(file.path, tmp_path / "begun.nwb")
    assert not grave(findings)


def test_a_crashed_session_has_what_was_on_disk_and_why_the_rest_is_void(tmp_path: Path) -> None:
    fallen = tmp_path / "fallen"
    fallen.mkdir()
    with a_session_cut_short(tmp_path / "cut.xdream", n_trials=1):  # as a kill leaves it: with its log beside
        for part in tmp_path.glob("cut.xdream*"):
            shutil.copy(part, fallen)
    assert (fallen / "cut.xdream-wal").exists()
    findings, _ = export(fallen / "cut.xdream", fallen / "cut.nwb")
    assert not grave(findings)
    with read(fallen / "cut.nwb") as nwb:
        shown = nwb.intervals["stimulus_presentations"].to_dataframe()
        missed = nwb.analysis["presentations_not_shown"].to_dataframe()
        assert not shown.counted.any() and np.isnan(np.stack(list(shown.spike_counts))).all()
        assert set(missed.void) == {"fixation_broken", "not_reported"}


def test_a_trial_of_which_nothing_was_shown_lasts_from_its_sending_to_its_report(tmp_path: Path) -> None:
    seconds = count(BEGAN_AT)
    made = build.begin(parse_config(LAB, "two.toml"), build.Changes(), tmp_path / "s.xdream", lambda: next(seconds))
    desk = Desk(made.session, made.evolutions)
    desk.start()
    desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    [trial, *_] = sent(desk.tell(a_display(), Role.DISPLAY), Trial, Role.DISPLAY)
    desk.tell(a_report(trial, dict.fromkeys(range(len(trial.presentation_ids)), "not_shown")), Role.DISPLAY)
    keep(made.file, desk.log)
    made.file.close()
    findings, _ = export(tmp_path / "s.xdream", tmp_path / "s.nwb")
    assert not [str(each) for each in findings if "stop_times" in str(each)]
    with read(tmp_path / "s.nwb") as nwb:
        assert nwb.trials.stop_time[0] > nwb.trials.start_time[0]


def test_a_running_session_is_read_as_it_stands_and_its_server_is_not_held_up(tmp_path: Path) -> None:
    with a_session_cut_short(tmp_path / "cut.xdream", n_trials=1) as file, open_snapshot(file.path) as snapshot:
        before = snapshot.records.value("SELECT COUNT(*) FROM controls")
        with file.transaction():
            file.add(Control("c2", "note", "", {"text": "later"}))
        assert snapshot.records.value("SELECT COUNT(*) FROM controls") == before == 1
        with file.transaction():
            file.add(Control("c3", "note", "", {"text": "in a transaction that is not over"}))
            export(file.path, tmp_path / "running.nwb")
        assert len(rows(file.path, "SELECT 1 FROM controls")) == 3
    with read(tmp_path / "running.nwb") as nwb:
        said = list(nwb.events["session_log"]["annotation"][:])
        assert "later" in said and not any("not over" in each for each in said)


@pytest.mark.timeout(400)  # NWB's tools take some 15 ms an image, on a machine with nothing else to do
def test_a_thousand_images_are_no_other_matter(tmp_path: Path) -> None:
    many = LAB.replace("population = 8", "population = 250").replace("repeats = 2", "repeats = 1")
    play(tmp_path / "many.xdream", many)
    spread(tmp_path / "many.xdream")
    findings, _ = export(tmp_path / "many.xdream", tmp_path / "many.nwb")
    assert not grave(findings)
    with read(tmp_path / "many.nwb") as nwb:
        assert len(nwb.stimulus_template["stimuli"].images) == 4 * 250 + 3 * 4 + 3


def test_what_would_not_be_valid_is_not_kept(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out.nwb"
    out.write_text("the one of yesterday")
    monkeypatch.setattr(nwb_module, "inspect", lambda path: [Finding("error", "/units", "wrong shape")])
    with pytest.raises(SessionFileError, match="wrong shape"):
        export(finished, out)
    assert [each.name for each in tmp_path.iterdir()] == ["out.nwb"] and out.read_text() == "the one of yesterday"


def test_what_an_archive_misses_is_named_and_can_be_added_later(tmp_path: Path) -> None:
    config = parse_config(CONFIG, "two.toml")
    assert any("[subject] species" in each for each in wanted(config)) and len(wanted(config)) == 8
    assert not wanted(parse_config(LAB, "two.toml"))
    facts = tmp_path / "facts.toml"
    facts.write_text('[session]\nsubject = "B"\nexperimenter = "Last, First"\nseed = 99\n' + WHO)
    added = with_facts(config, facts)
    assert not wanted(added) and added.session.subject == "B" and added.session.seed == 4
    facts.write_text('[subject]\ndate_of_birth = "31.5.2018"\n')
    with pytest.raises(ConfigError, match=r"facts\.toml, \[subject\]: date_of_birth must be a day"):
        with_facts(config, facts)
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        with_facts(config, tmp_path / "none.toml")


def test_a_rehearsal_has_nobody_to_ask_about(tmp_path: Path) -> None:
    with a_session_cut_short(tmp_path / "dry.xdream", n_trials=0) as file, file.transaction():
        file.connection.execute("INSERT INTO meta VALUES ('rehearsal', '{}')")
    done = CliRunner().invoke(command, ["nwb", str(tmp_path / "dry.xdream")])
    assert done.exit_code == 0, done.output
    assert "A rehearsal has no subject" in done.output and "The file is valid" in done.output
    assert "critical" not in done.output and "[subject]" not in done.output

    (tmp_path / "dry.toml").write_text(CONFIG + "[simulator]\nunits = [0]\n")
    assert "right for a rehearsal" in looked_over(tmp_path / "dry.toml")
    (tmp_path / "real.toml").write_text(CONFIG + '[simulator]\nunits = [0]\n[subject]\nsex = "M"\n')
    assert "[subject] species" in looked_over(tmp_path / "real.toml")


def looked_over(config: Path) -> str:
    done = CliRunner().invoke(app, ["check", str(config)])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_example_of_the_page_leaves_nothing_to_ask() -> None:
    page = (Path(__file__).parent.parent / "docs" / "nwb.md").read_text("utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert not wanted(parse_config(example, "docs/nwb.md"))


def test_without_its_packages_the_command_says_what_to_install(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "pynwb" or name.startswith("server.export")]:
        if name not in ("server.export", "server.export.command"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pynwb", None)
    done = CliRunner().invoke(command, ["nwb", str(finished)])
    assert isinstance(done.exception, SessionFileError) and "pip install 'xdream[nwb]'" in str(done.exception)


def test_the_command_says_what_it_wrote(finished: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["nwb", str(finished), "--out", str(tmp_path / "o.nwb")])
    assert done.exit_code == 0 and "o.nwb" in done.output and "DANDI" not in done.output
    assert (tmp_path / "o.nwb").stat().st_mode & 0o444 == 0o444


def test_the_clocks_are_matched_between_what_was_sent_and_what_was_reported(finished: Path) -> None:
    with open_snapshot(finished) as snapshot:
        clock = Clock(snapshot)
        [shift] = clock.shifts.values()
        sent_at, onset_s = snapshot.connection.execute(
            "SELECT sent_at, MIN(onset_s) FROM trials JOIN presentations USING (trial) WHERE trial = 1"
        ).fetchone()
        on_screen = clock.on_screen(1, onset_s)
        assert clock.at(sent_at) <= on_screen <= clock.at(sent_at) + 2.5
        assert 0 < shift.doubt_s < 2.5 and "ms late" in clock.said()
        assert np.isnan(clock.on_screen(999, 1.0)), "of a trial that was never reported nothing is known"
