"""A target in a file is as good as one typed in, and the record has it when the file is gone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server import build
from server.actions import Advanced
from server.config import ConfigError, parse_config
from server.export.snapshot import open_snapshot
from server.rescoring import Wishes, rescore
from server.verifying_search import snapshots
from tests.builders import recorded
from tests.played import CONFIG, built, play

LISTS: dict[str, Any] = {"target": [90.0, 31.4], "mean": [60.0, 20.1], "sd": [12.5, 7.0], "mask": [True, True]}
IN_WORDS = "target = [90.0, 31.4], means = [60.0, 20.1], sds = [12.5, 7.0], mask = [true, true]"


def a_config(lines: str) -> str:
    old = "combine = [3, 1]", 'scorer = { name = "rate", baseline = "trial", average = "median" }'
    return CONFIG.replace(old[0], "").replace(old[1], f'scorer = {{ name = "target", measure = "mse", {lines} }}')


@pytest.fixture
def file(tmp_path: Path) -> Path:
    np.savez(tmp_path / "t.npz", **LISTS)
    return tmp_path / "t.npz"


def made(lines: str) -> None:
    build.build_evolutions(parse_config(a_config(lines), "a.toml"))


def scores_of(path: Path, lines: str) -> np.ndarray:
    outcomes = [row.outcome for row in recorded(play(path, a_config(lines)).log, Advanced) if row.outcome]
    return np.concatenate([each.scores for each in outcomes if each.evolution == 2])


def test_a_target_in_a_file_scores_as_the_same_typed_in(file: Path, tmp_path: Path) -> None:
    from_file = scores_of(tmp_path / "a.xdream", f"file = '{file}'")
    np.testing.assert_array_equal(from_file, scores_of(tmp_path / "b.xdream", IN_WORDS))
    assert np.isfinite(from_file).all() and len(np.unique(from_file)) > 1


@pytest.mark.parametrize("becomes", ["gone", "another"])
def test_what_becomes_of_the_file_later_changes_no_score(file: Path, tmp_path: Path, becomes: str) -> None:
    play(tmp_path / "s.xdream", a_config(f"file = '{file}'"))
    file.unlink()
    if becomes == "another":
        np.savez(file, target=[1.0, 2.0])
    found = rescore(tmp_path / "s.xdream", Wishes())
    assert [each.generation for each in found if each.evolution == 2] == [1, 2, 3]
    assert not any(each.first_difference() for each in found)
    with open_snapshot(tmp_path / "s.xdream") as snapshot:
        assert not list(snapshots(snapshot)), "nor can the search not be begun anew"
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    assert again.evolutions[1].scorer.target == LISTS["target"]  # type: ignore[attr-defined]
    again.file.close()


def test_the_record_says_which_file_it_was(file: Path, tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream", a_config(f"file = '{file}'")) as session:
        said = session.file.evolution_facts(2)["scorer"]
    assert said["file"] == str(file) and said["sds"] == LISTS["sd"] and said["mask"] == LISTS["mask"]
    made(f"file = '{file}', file_sha256 = '{said['file_sha256']}'")
    with pytest.raises(ConfigError, match=r"t\.npz is not what it was: its SHA-256 is [0-9a-f]{64}, and not 00"):
        made(f"file = '{file}', file_sha256 = '00'")


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"mean": [1.0, 2.0]}, r't\.npz has no array "target"; it holds mean'),
        ({"target": [1.0, 2.0], "sds": [1.0, 2.0]}, r't\.npz holds an array "sds"; known are target, mean, sd, mask'),
        ({"target": [[1.0, 2.0]]}, r't\.npz: the array "target" must be a row, one number a channel, not \[1, 2\]'),
        ({"target": [1.0, np.nan]}, r't\.npz: the array "target" must hold finite numbers'),
        ({"target": ["a", "b"]}, r't\.npz: the array "target" must hold finite numbers'),
        ({"target": [1.0, 2.0], "mask": [0, 2]}, r't\.npz: the array "mask" must hold true or false'),
        ({"target": [1.0, 2.0, 3.0]}, r"'population', \[evolution.scorer\]: target must have a rate for each of 2"),
        ({"target": [1.0, 2.0], "sd": [1.0]}, "sds has 1 values, target 2"),
        ({"target": np.array([{}, {}])}, r"t\.npz is no .npz file of numbers: .*allow_pickle"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(file: Path, arrays: dict[str, Any], sentence: str) -> None:
    np.savez(file, **arrays)
    with pytest.raises(ConfigError, match=sentence):
        made(f"file = '{file}'")


def test_a_file_that_is_missing_or_damaged_is_refused(file: Path) -> None:
    for content in (file.read_bytes()[:200], b"", b"nothing of the kind"):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"t\.npz is no .npz file of numbers"):
            made(f"file = '{file}'")
    file.unlink()
    with pytest.raises(ConfigError, match=r"'population', \[evolution.scorer\]: there is no file .*t\.npz"):
        made(f"file = '{file}'")


def test_lists_beside_a_file_are_refused(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"a\.toml.*: file holds all lists, so sds must not be given beside it"):
        made(f"file = '{file}', sds = [1, 1]")
