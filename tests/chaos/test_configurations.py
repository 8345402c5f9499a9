"""Rehearsals drawn at random, everything in them that can be chosen and much of what can go wrong: each ends whole.

Every key here has a value that is allowed, so that none may be refused. The long form draws sixty; a
rehearsal took 9 to 41 s.
"""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.bad_rig import LONG

SEEDS = range(60) if LONG else (2,)
TIMEOUT_S = 240
WIRES = ("", "", "open_ephys", "bridge", "intan_rhx", "blackrock", "plexnet", "trodes", "tdt")
SEARCHES = {"fdgd": "n_samples", "nes": "n_samples"} | dict.fromkeys(
    ("genetic", "cma", "sep_cma", "separable", "sphere", "sphere_mirror", "random"), "population"
)
SCORERS: tuple[dict[str, object], ...] = (
    {"name": "rate", "baseline": "trial", "average": "median"},
    {"name": "rate", "baseline": "generation", "minimise": True},
    {"name": "rate", "baseline": "none", "average": "trimmed", "artefact_sd": 8},
    {"name": "target", "target": [3.0, 1.0, 2.0], "measure": "cosine"},
    {"name": "target", "target": [3.0, 1.0, 2.0], "measure": "mse"},
    {"name": "difference", "squeeze": ["output/40"]},
    {"name": "pareto", "squeeze": ["output/40"]},
)
PICTURES: tuple[dict[str, object], ...] = (
    {"name": "embedded"},
    {"name": "embedded", "grey": True, "aperture": "gaussian"},
    {"name": "embedded", "rms_contrast": 0.2},
    {"name": "raw_pixel", "size": 8},
)
NEURONS = ({}, {"noise": "none"}, *({"preset": each} for each in ("ideal", "poisson", "V1", "V4", "IT")))
FAULTS = (
    "stall",
    "lose",
    "clock",
    "photodiode",
    "channel",
    "storm",
    "crash_simulator",
    "crash_adapter",
    "crash_server",
)
AT_THE_DISPLAY = ("look_away", "slow", "crash_display")


def tables(chance: random.Random, wired: bool) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the tables of a configuration, by their heads."""
    yield "[session]", {"name": "drawn", "seed": chance.randrange(5)}
    yield "[server]", {"address": "tcp://127.0.0.1:*"}
    for number in range(chance.choice((1, 1, 2))):
        search = chance.choice([*SEARCHES])
        yield "[[evolution]]", {
            "name": f"e{number}", "generations": chance.choice((2, 3)), "repeats": chance.choice((1, 2)),
            "share": chance.choice((0.5, 1.0, 3.0)), "max_attempts": chance.choice((2, 10)),
        }  # fmt: skip
        yield "[evolution.optimizer]", {"name": search, SEARCHES[search]: chance.choice((4, 8, 16))}
        yield "[evolution.generator]", chance.choice(PICTURES)
        yield "[evolution.scorer]", chance.choice(SCORERS[:3] if wired else SCORERS)
    yield "[references]", {"count": chance.choice((0, 1, 12))}
    yield "[stopping]", chance.choice(({}, {"presentations": 60, "act": True}, {"curve": "corrected"}))
    yield "[display]", {
        "on_ms": 50, "off_ms": chance.choice((17, 50)), "images_per_trial": chance.choice((1, 5, 40)),
        "inter_trial_ms": 17, "fixation_ms": 0, "trials_ahead": chance.choice((1, 2, 5)),
    }  # fmt: skip
    windows = chance.choice((([50, 200], [0, 50]), ([20, 60], [-50, 0])))
    yield "[acquisition]", dict(zip(("response_window_ms", "baseline_window_ms"), windows, strict=True))
    yield "[simulator]", {
        "units": [3, 17, 40], "zero_at": "worst_reference", "loss_rate": chance.choice((0, 0.2)),
        **chance.choice(NEURONS),
    }  # fmt: skip
    for _ in range(chance.choice((0, 1, 2))):
        what = chance.choice(FAULTS + AT_THE_DISPLAY)
        when = {"trial" if what in AT_THE_DISPLAY else "generation": chance.choice((1, 2))}
        yield "[[simulator.faults]]", {"what": what, "seconds": 1, **when}
    yield "[rehearsal]", {"break_rate": chance.choice((0, 0.35)), "drop_rate": chance.choice((0, 0.1))}


def xdream(*arguments: object) -> str:
    """Return what a command says; it must end well."""
    command = [sys.executable, "-m", "server", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.timeout(TIMEOUT_S)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_rehearsal_drawn_at_random_ends_whole(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    wire = chance.choice(WIRES)
    text = "\n".join(
        "\n".join([head, *(f"{key} = {json.dumps(value)}" for key, value in table.items())])
        for head, table in tables(chance, bool(wire))
    )
    config, session = tmp_path / "drawn.toml", tmp_path / "drawn.xdream"
    config.write_text(text, "utf-8")
    xdream("dry-run", config, "--fast", "--no-page", "--session", session, *(["--as", wire] if wire else []))
    assert f"{session} is intact" in xdream("verify", session)
    xdream("rescore", session)  # ends well only where it finds the live scores, to the bit
