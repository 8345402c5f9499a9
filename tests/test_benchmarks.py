"""The benchmarks run and say something; how fast anything is, no test can know."""

import io
from pathlib import Path

from pytest import MonkeyPatch
from rich.console import Console

from benchmarks import dead_time, dry_run, loop, render
from server.cli import DRY_RUN
from server.config import load_config
from tests.small_networks import thin_all

LINES = 'name = "raw_pixel", size = 4'


def a_console() -> Console:
    return Console(file=io.StringIO(), width=160)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_dead_times_are_taken_with_streaming_and_without(tmp_path: Path) -> None:
    row = dead_time.compare_dead_times(dead_time.Case("tiny", LINES, population=8), tmp_path, seconds=0)

    assert row.what == "tiny"
    assert row.ratio > 0


def test_round_trips_stand_beside_pickle_and_bare_bytes() -> None:
    console = a_console()

    loop.main(["wire", "--trips", "1"], console)

    assert "40 x 256 x 256 RGB, 7.9 MB" in printed(console)
    assert "bare bytes" in printed(console)


def test_the_bare_loop_searches_as_the_dry_run_does() -> None:
    config = load_config(DRY_RUN)
    bare = dry_run.BareLoop(config)
    shown = config.evolutions[0].optimizer.parameters["population"] + config.references.count

    assert bare.turn() == bare.turn() == shown


def test_a_batch_stands_beside_single_images() -> None:
    console = a_console()

    render.main(["--generator", "raw_pixel", "--codes", "2", "--seconds", "0"], console)

    assert "one image at a time" in printed(console) and "the network alone" not in printed(console)


def test_a_batch_stands_beside_the_network_alone_also_without_published_weights(monkeypatch: MonkeyPatch) -> None:
    thin_all(monkeypatch)
    console = a_console()
    wish = ["--generator", "deepsim-fc6", "--device", "cpu", "--dtype", "bfloat16", "--codes", "2", "--seconds", "0"]

    render.main(wish, console)

    said = printed(console)
    assert said.count("deepsim-fc6 (random weights), cpu bfloat16, 2 in one batch") == 2
    assert "one image at a time" in said and "the network alone" in said
