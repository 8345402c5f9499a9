"""What tests of several files begin with."""

from pathlib import Path

import pytest

from tests.played import play

NEEDS = {"spikeglx": "scipy"}
"""What a recording system's adapter finds spikes with, which an installation without the extra `adapters` lacks."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test of a recording system whose library is missing here."""
    parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    for value in parameters.values():
        if isinstance(value, str) and value in NEEDS:
            pytest.importorskip(NEEDS[value])


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
