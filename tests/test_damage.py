"""A damaged session file is named as such by whatever command stumbles over it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.damage import naming_damage
from server.database import SessionFileError
from server.looking import picture, rescore_file
from server.recommend_command import recommend
from server.report.command import report

COMMANDS: list[tuple[Callable[[Path], None], str]] = [
    (lambda file: report(file, quiet=True), "DELETE FROM meta WHERE key = 'session_id'"),
    (rescore_file, "DELETE FROM meta WHERE key = 'config'"),
    (recommend, "DELETE FROM meta WHERE key = 'config'"),
    (picture, "UPDATE stimuli SET png = x'00'"),
]


@pytest.mark.parametrize(("command", "damage"), COMMANDS, ids=["report", "rescore", "recommend", "picture"])
def test_a_command_names_the_damage_that_it_stumbles_over(
    copied: Path, command: Callable[[Path], None], damage: str
) -> None:
    with closing(sqlite3.connect(copied)) as file, file:
        file.execute(damage)
    with pytest.raises(SessionFileError, match=rf"{copied.name} is damaged: .*xdream verify"):
        command(copied)


def test_what_goes_wrong_with_a_whole_file_is_a_fault_of_ours_and_not_hidden(played: Path) -> None:
    with pytest.raises(KeyError), naming_damage(played):
        raise KeyError("a mistake")


def test_what_says_its_reason_already_is_let_through(tmp_path: Path) -> None:
    with pytest.raises(LookupError), naming_damage(tmp_path / "none", LookupError):
        raise LookupError("no such channel")
    with pytest.raises(PermissionError), naming_damage(tmp_path / "none"):
        raise PermissionError(13, "not yours")
