"""What tests of several files begin with."""

from pathlib import Path

import pytest

from tests.played import play


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished session of two evolutions; to be read, not to be changed."""
    path = tmp_path_factory.mktemp("played") / "two.xdream"
    play(path)
    return path


@pytest.fixture
def copied(played: Path, tmp_path: Path) -> Path:
    """A copy of that session, to be changed."""
    copy = tmp_path / "copy.xdream"
    copy.write_bytes(played.read_bytes())
    return copy
