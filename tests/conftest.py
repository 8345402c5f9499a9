"""What tests of several files begin with."""

from itertools import compress
from pathlib import Path

import pytest

from tests.played import play

NEEDS = {"spikeglx": "scipy"}
"""What a recording system's adapter finds spikes with, which an installation without the extra `adapters` lacks."""


SKIPPED = "xdream/skipped"
"""Where pytest keeps, from one run to the next, which tests and files it skipped."""


class Skipped:
    """Takes note of what is skipped, so that it alone can be run once its library is installed."""

    def __init__(self) -> None:
        self.ids: set[str] = set()

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Take note of a file."""
        if report.skipped:
            self.ids.add(report.nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a test."""
        if report.skipped:
            self.ids.add(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Keep it for the next run."""
        if session.config.cache is not None:
            session.config.cache.set(SKIPPED, sorted(self.ids))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Have an option for what was skipped."""
    parser.addoption("--skipped-before", action="store_true", help="run what the last run skipped, and nothing else")


def pytest_configure(config: pytest.Config) -> None:
    """Take note of what is skipped."""
    config.pluginmanager.register(Skipped())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not skipped before, if that alone is asked for."""
    if config.getoption("--skipped-before") and config.cache is not None:
        before = set(config.cache.get(SKIPPED, []))
        wanted = [bool({each.nodeid, each.nodeid.partition("::")[0]} & before) for each in items]
        config.hook.pytest_deselected(items=[each for each, kept in zip(items, wanted, strict=True) if not kept])
        items[:] = compress(items, wanted)


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
