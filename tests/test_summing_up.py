"""The last words of a session on the terminal."""

import io
import time
from math import nan
from pathlib import Path

import pytest
from rich.console import Console

from server import build
from server.config import parse_config
from server.reading import Effect
from server.summing_up import in_words, sum_up


@pytest.mark.parametrize(
    ("effect", "unit", "said"),
    [
        (
            Effect(30.0, 20.0, (5.0, 15.0)),
            "response (Hz)",
            "reference image 20.0 Hz: 1.50 times, +10.0 Hz (95 % interval",
        ),
        (Effect(0.0, 0.0, (0.0, 0.0)), "response (Hz)", "reference image 0.0 Hz: +0.0 Hz"),
        (Effect(0.8125, 0.5, (0.25, 0.375)), "score", "reference image 0.5: +0.312 (95 % interval +0.25 to +0.375)"),
        (Effect(nan, nan, (nan, nan)), "score (rank)", "nothing to compare"),
    ],
)
def test_how_a_session_came_out_is_told_in_the_unit_of_its_scores(effect: Effect, unit: str, said: str) -> None:
    assert said in in_words(effect, unit)


@pytest.mark.parametrize(
    ("network", "facts"), [("known", {"rehearsal": "{}"}), ("embedded", {"rehearsal": "{}"}), ("known", {})]
)
def test_only_a_dry_run_with_known_neurons_names_the_command_that_says_how_close_it_came(
    network: str, facts: dict[str, str], tmp_path: Path
) -> None:
    text = f'[session]\nname = "a"\n[evolution]\n[simulator]\nnetwork = "{network}"'
    path = tmp_path / "a.xdream"
    build.begin(parse_config(text, "the test"), build.Changes(), path, time.time, **facts).file.close()
    said = io.StringIO()
    sum_up(path, Console(file=said, soft_wrap=True))
    assert (f"xdream truth {path}" in said.getvalue()) == (network == "known" and bool(facts))
