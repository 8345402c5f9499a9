"""The command line as a newcomer meets it: a dry run to its end, and one clear sentence for every mistake."""

import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zmq
from PIL import Image

from protocol.messages import Control, Hello, Welcome
from protocol.peer import Peer
from tests.rig import ROOT, a_rig

DEADLINE_S = 100


def xdream(*arguments: object, folder: Path | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder or ROOT, capture_output=True, text=True, timeout=DEADLINE_S, env=None, check=False
    )


@pytest.fixture(scope="module")
def dry_run(tmp_path_factory: pytest.TempPathFactory) -> tuple["subprocess.CompletedProcess[str]", Path]:
    file = tmp_path_factory.mktemp("dry") / "d.xdream"
    return xdream("dry-run", "--generations", 4, "--seed", 5, "--session", file, "--fast"), file


def rows(file: Path, query: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def test_a_dry_run_goes_to_its_end_and_leaves_a_session_and_a_picture(dry_run: Any) -> None:
    done, file = dry_run
    assert done.returncode == 0, done.stderr
    assert "generation 4/4" in done.stdout and "best reference image" in done.stdout
    assert f"xdream recommend {file}" in done.stdout and file.exists()
    with Image.open(file.with_suffix(".png")) as picture:
        assert picture.width > 800


def test_a_dry_run_records_everything(dry_run: Any) -> None:
    _, file = dry_run
    counted = "SELECT COUNT(*) FROM stimuli WHERE png IS NOT NULL AND sha256 IS NOT NULL AND evolution"
    [(n_codes,)], [(n_references,)] = rows(file, f"{counted} = 1"), rows(file, f"{counted} = 0")
    [(n_measured,)] = rows(file, "SELECT COUNT(*) FROM responses WHERE measured")
    assert n_codes == 4 * 20 and n_measured == n_codes + 4 * n_references
    assert rows(file, "SELECT COUNT(*) FROM scores WHERE score IS NOT NULL") == [(n_measured,)]
    assert rows(file, "SELECT state FROM states")[-1] == ("ended",)
    assert rows(file, "SELECT COUNT(*) FROM generations WHERE scored_at IS NULL") == [(0,)]


def test_the_same_seed_gives_the_same_session(dry_run: Any, tmp_path: Path) -> None:
    _, first = dry_run
    second = tmp_path / "again.xdream"
    xdream("dry-run", "--generations", 2, "--seed", 5, "--session", second, "--fast", "--quiet")
    scores = "SELECT stimulus_id, score FROM scores WHERE generation <= 2 ORDER BY generation, stimulus_id"
    assert rows(first, scores) == rows(second, scores)


def test_a_finished_session_goes_on_when_more_generations_are_asked_for(dry_run: Any, tmp_path: Path) -> None:
    file = tmp_path / "more.xdream"
    xdream("dry-run", "--generations", 1, "--seed", 5, "--session", file, "--fast", "--quiet")
    done = xdream("resume", file, "--generations", 2, "--quiet")
    assert done.returncode == 0 and done.stdout == ""
    scores = "SELECT generation, stimulus_id, score FROM scores WHERE generation <= 2 ORDER BY 1, 2"
    assert rows(file, scores) == rows(dry_run[1], scores)


def test_the_first_ctrl_c_stops_after_the_generation_and_the_session_resumes(tmp_path: Path) -> None:
    with a_rig(tmp_path, generations=3000) as rig:
        server = rig.server()
        rig.client()
        rig.adapter()
        rig.wait(server, lambda: rig.n_measured() > 20)
        server.send_signal(signal.SIGINT)
        rig.finish(server)
        assert "xdream resume" in rig.log.read_text()
        assert not rig.query("SELECT 1 FROM generations g WHERE scored_at IS NULL AND EXISTS "
                             "(SELECT 1 FROM presentations p WHERE p.generation = g.generation)")  # fmt: skip
        before = rig.n_measured()
        server = rig.server()
        rig.client()
        rig.adapter()
        rig.wait(server, lambda: rig.n_measured() > before + 20)
        for _ in range(2):
            server.send_signal(signal.SIGINT)
        rig.finish(server)


MISTAKES = {
    "a key that is none": ("[display]\non_mss = 100\n", "on_ms"),
    "an optimizer that is none": ('[evolution.optimizer]\nname = "genetics"\n', "genetic"),
    "a parameter that is none": ('[evolution.optimizer]\nname = "genetic"\npopulatoin = 3\n', "population"),
    "weights that are not there": ('[evolution.generator]\nname = "embedded"\nweights = "no.pt"\n', "weights"),
    "a folder that is not there": ('[references]\nfolder = "nowhere"\n', "nowhere"),
    "a layer that is none": ('[simulator]\nlayer = "conv99"\n', "conv99"),
    "a unit that is none": ('[simulator]\nlayer = "output"\nunits = "9999"\n', "9999"),
    "channels that are not offered": ('[evolution]\nchannels = ["IT-14"]\n', "IT-14"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_gets_a_sentence_and_no_traceback(mistake: str, tmp_path: Path) -> None:
    text, word = MISTAKES[mistake]
    head = "" if "[evolution]" in text else "[evolution]\ngenerations = 1\n"
    config = tmp_path / "c.toml"
    config.write_text(f'[session]\nname = "c"\n[server]\naddress = "tcp://127.0.0.1:*"\n{head}{text}')
    done = xdream("dry-run", config, "--session", tmp_path / "c.xdream", "--fast")
    assert done.returncode == 1
    assert word in done.stderr and "Traceback" not in done.stderr, done.stderr


def test_a_session_file_that_is_none_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.xdream").write_text("nonsense, long enough to be read as a header of something")
    for file in ("x.xdream", "missing.xdream"):
        done = xdream("resume", tmp_path / file)
        assert done.returncode == 1 and file in done.stderr and "Traceback" not in done.stderr


def test_check_says_what_a_configuration_comes_to() -> None:
    done = xdream("check", ROOT / "server" / "dry_run.toml")
    assert done.returncode == 0 and "presentations a generation" in done.stdout


def test_layers_lists_what_a_unit_can_be_taken_from() -> None:
    done = xdream("layers")
    assert done.returncode == 0 and "conv1" in done.stdout and "output" in done.stdout, done.stderr


def test_it_says_its_version() -> None:
    done = xdream("--version")
    assert done.returncode == 0 and done.stdout.startswith("xdream ")


def test_help_teaches() -> None:
    done = xdream("--help")
    assert "dry-run" in done.stdout and "Ctrl-C" in done.stdout


def test_a_session_resumed_with_other_weights_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.xdream"
    xdream("dry-run", "--generations", 1, "--session", file, "--fast", "--quiet")
    connection = sqlite3.connect(file)
    with connection:
        was, now = '"weights_sha256": "', '"weights_sha256": "0'
        connection.execute("UPDATE evolutions SET facts = replace(facts, ?, ?)", (was, now))
    connection.close()
    done = xdream("resume", file, "--generations", 2)
    assert done.returncode == 1 and "weights" in done.stderr and "Traceback" not in done.stderr


def test_a_search_begins_where_the_configuration_says(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        '[session]\nname = "c"\n[evolution]\ninitial = { name = "normal", n = 20, sd = 0.5 }\ngenerations = 1\n'
    )
    assert xdream("check", config).returncode == 0
    config.write_text(config.read_text().replace('"normal"', '"norman"'))
    done = xdream("check", config)
    assert done.returncode == 1 and "'normal'" in done.stderr


def test_a_session_whose_port_is_taken_says_so_before_a_file_is_made(tmp_path: Path) -> None:
    config, file = tmp_path / "c.toml", tmp_path / "s.xdream"
    with zmq.Context() as context, context.socket(zmq.ROUTER) as other:
        port = other.bind_to_random_port("tcp://127.0.0.1")
        config.write_text(f'[session]\nname = "c"\n[server]\naddress = "tcp://127.0.0.1:{port}"\n[evolution]\n')
        done = xdream("run", config, "--session", file)
    assert done.returncode == 1 and f"cannot listen at tcp://127.0.0.1:{port}" in done.stderr
    assert not file.exists()


def test_a_held_session_shows_nothing_before_somebody_starts_it(tmp_path: Path) -> None:
    with a_rig(tmp_path, generations=2) as rig:
        options = ["--session", str(rig.file), "--no-page", "--hold"]
        server = rig.start("server", "run", str(rig.config), *options)
        rig.client()
        rig.adapter()
        rig.wait(server, lambda: rig.file.exists() and rig.states()[-1:] == ["paused"])
        assert not rig.query("SELECT 1 FROM trials")
        with closing(Peer(rig.address, lambda: Hello("operator", "test", "o1"), time.monotonic)) as operator:
            resume = Control("c1", "resume", "test")
            rig.wait(server, lambda: any(isinstance(m, Welcome) for m in operator.receive(0.05)))
            operator.send(resume)
            rig.finish(server)
        assert rig.query("SELECT author, action FROM controls") == [("--hold", "pause"), ("test", "resume")]


def test_an_installation_without_the_servers_libraries_says_what_to_install() -> None:
    lacking = "import sys; sys.modules['filelock'] = None; from server.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", lacking], cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "filelock is not installed here" in done.stderr and "pip install 'xdream[server]'" in done.stderr


def test_a_rehearsal_as_an_unknown_system_says_so_before_a_file_is_made(tmp_path: Path) -> None:
    done = xdream("dry-run", "--as", "plexus", "--session", str(tmp_path / "a.xdream"))
    assert done.returncode == 1 and "'plexnet'" in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
