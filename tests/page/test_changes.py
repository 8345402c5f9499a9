"""Marks and changes: asked for by an operator, on record, in force from the next generation on, also after a resume."""

import json
from pathlib import Path

import numpy as np
import pytest

from protocol.messages import Control
from server.build import resume
from server.changes import read_change
from server.reading import Reader
from server.status.feed import Feed
from tests.page.made import MadeSession


def test_a_change_holds_from_the_next_generation_on(running: MadeSession) -> None:
    running.go_on(2)
    running.ask("change", evolution=1, parameters={"mutation_rate": 0.9}, channels=["pixel/3"])
    assert running.session.runs[1].plan.channels == ("pixel/0",), "not yet"
    running.go_on(4)
    assert running.session.runs[1].plan.channels == ("pixel/3",)
    assert running.session.runs[2].plan.channels == ("pixel/1", "pixel/2")
    [(evolution, generation, refused)] = changes(running)
    assert (evolution, generation, refused) == (1, 2, "")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"evolution": 7, "parameters": {"mutation_rate": 0.5}}, "no evolution 7"),
        ({"evolution": 1}, "needs parameters, channels, or both"),
        ({"evolution": 1, "channels": ["pixel/99"]}, "no channel 'pixel/99'"),
        ({"evolution": 1, "parameters": {"mutaton_rate": 0.5}}, "Did you mean 'mutation_rate'"),
        ({"evolution": 1, "parameters": {"mutation_rate": 7}}, "mutation_rate"),
    ],
)
def test_a_change_that_cannot_be_is_on_record_as_refused(running: MadeSession, arguments: dict, why: str) -> None:
    running.ask("change", **arguments)
    running.go_on(6)
    [(_, generation, refused)] = changes(running)
    assert generation == 0
    assert why in refused
    assert running.session.runs[1].plan.channels == ("pixel/0",)


def test_changes_survive_a_resume_those_in_force_and_those_that_wait(tmp_path: Path) -> None:
    made = MadeSession(tmp_path / "s.xdream").begin()
    made.ask("change", "the-first-wish", evolution=1, channels=["pixel/3"])
    made.go_on(6)
    made.ask("change", "the-second-wish", evolution=2, channels=["pixel/4"])
    made.close()
    built = resume(tmp_path / "s.xdream", lambda: 1.0)
    built.file.close()
    assert built.session.runs[1].plan.channels == ("pixel/3",)
    assert built.evolutions[0].scorer.channels == ("pixel/3",)
    [waiting] = built.session.runs[2].changes
    assert waiting.channels == ("pixel/4",)


def test_evolved_images_are_compared_with_what_references_draw_from_the_same_channels(tmp_path: Path) -> None:
    made = MadeSession(tmp_path / "s.xdream", generations=3).begin()
    made.ask("change", evolution=1, channels=["pixel/3"])
    made.to_the_end()
    reader, feed = Reader(made.file.path), Feed(made.file.path)
    since = np.stack(reader.curve(1).references)[1:]
    expected = since.mean(axis=0).max()
    assert np.stack(reader.curve(1).references).mean(axis=0).max() != expected
    assert reader.effect(1).reference_hz == pytest.approx(expected)
    feed.refresh(None)
    [shown] = [each for each in json.loads(feed.standing)["effects"] if each["evolution"] == 1]
    assert shown["reference_hz"] == pytest.approx(expected, abs=0.001)
    reader.close()
    made.close()


@pytest.mark.parametrize(
    ("wishes", "shows"), [(["pause"], False), (["pause", "resume"], True), (["pause", "end"], True)]
)
def test_who_has_paused_is_not_overruled_by_a_resumed_server(tmp_path: Path, wishes: list[str], shows: bool) -> None:
    made = MadeSession(tmp_path / "s.xdream").begin().go_on(2)
    for wish in wishes:
        made.ask(wish, f"a-wish-to-{wish}")
    made.close()
    built = resume(tmp_path / "s.xdream", lambda: 1.0)
    built.file.close()
    assert built.session.standing.paused is not shows


def test_a_mark_goes_on_record_once_however_often_it_is_said(running: MadeSession) -> None:
    for _ in range(3):
        running.ask("mark", stimulus_id=2, text="striking")
    rows = running.file.connection.execute("SELECT action, author FROM controls").fetchall()
    assert rows == [("mark", "JD")]


def test_channels_that_are_not_known_yet_are_taken_on_trust() -> None:
    change = read_change(Control("c1", "change", "", {"evolution": 1, "channels": ["7"]}), [1], ())
    assert change.channels == ("7",)


def changes(made: MadeSession) -> list[tuple[int, int, str]]:
    return made.file.connection.execute("SELECT evolution, generation, refused FROM changes").fetchall()
