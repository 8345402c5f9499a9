"""A twin of simulated neurons gives their parameters back, and a forecast's intervals hold the truth."""

import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from protocol.ids import presentation_id, stimulus_id
from server.config import parse_config
from server.reading import Curve
from simulator.options import Options
from simulator.presets import create_preset
from simulator.spiking import Spiking
from simulator.twin import as_toml, in_words
from simulator.twin_fit import FEWEST_GENERATIONS, fit
from simulator.twin_forecast import forecast, quantiles
from simulator.twin_session import Recorded
from tests.played import play
from tests.rig import ROOT

N_REFERENCES, N_EVOLVED, N_GENERATIONS, N_CHANNELS = 10, 20, 30, 6
KNOWN = {
    "drift": "-0.3", "drift_sd": "0", "adaptation": "0", "gain_sd": "0.25", "gain_shared": "0.5", "artefacts": "0",
    "half": "inf", "spread": "0",
}  # fmt: skip
RESPONSE_S, BASELINE_S = (0.05, 0.2), (0.0, 0.05)


def a_session(preset: str, seed: int) -> Recorded:
    """Record neurons of a preset, the weakest and the strongest reference image of each channel being its 0 and 1."""
    names = tuple(f"c{n}" for n in range(N_CHANNELS))
    spiking, random = Spiking(create_preset(preset, KNOWN), names, seed, (0.0, 0.2)), np.random.default_rng(seed)
    strength = random.random((N_REFERENCES, N_CHANNELS))
    strength = (strength - strength.min(axis=0)) / np.ptp(strength, axis=0)
    slots = [(g, k) for g in range(1, N_GENERATIONS + 1) for k in range(N_REFERENCES + N_EVOLVED)]
    ids = [presentation_id(1, g, k, 0) for g, k in slots]
    is_reference = np.array([k < N_REFERENCES for _, k in slots])
    stimuli = [stimulus_id(0, 0, k) if k < N_REFERENCES else stimulus_id(1, g, k) for g, k in slots]
    drives = [strength[k] if k < N_REFERENCES else random.random(N_CHANNELS) * (1 + g / 20) for g, k in slots]
    trains = spiking.fire(*spiking.rates(spiking.drive(np.array(drives)), ids, stimuli), ids)
    rates = []
    for start_s, end_s in (RESPONSE_S, BASELINE_S):
        inside = (trains.times_s >= start_s) & (trains.times_s < end_s)
        hz = np.zeros((len(slots), N_CHANNELS))
        np.add.at(hz, (trains.rows[inside], trains.channels[inside]), 1 / (end_s - start_s))
        rates.append(hz)
    return Recorded(
        "stars",
        parse_config('[session]\nname = "a"\n[evolution]\n', "the test"),
        names,
        np.array([g for g, _ in slots]),
        np.array(stimuli),
        is_reference,
        *rates,
        trains.times_s.astype(np.float64),
        {"complete": 90, "fixation broken": 10},
        np.array([_flash(place, generation) for place, (generation, _) in enumerate(slots)]),
        Curve("stars", np.arange(1, N_GENERATIONS + 1), [], []),
    )


def _flash(place: int, generation: int) -> tuple[float, ...]:
    """Return trial, onset, offset and generation, five images to a trial."""
    onset_s = 0.2 * place + 0.7 * (place // 5)
    return place // 5, onset_s, onset_s + 0.1, generation


@pytest.mark.parametrize("preset", ["V4", "IT", "poisson"])
def test_a_twin_gives_the_parameters_back(preset: str) -> None:
    true, twin = create_preset(preset, KNOWN), fit(a_session(preset, 7))
    assert twin.baseline_hz == pytest.approx(true.baseline_hz, rel=0.15, abs=1.5)
    assert twin.untuned_hz == pytest.approx(true.untuned_hz, rel=0.2, abs=4)
    assert twin.tuned_hz == pytest.approx(true.tuned_hz, rel=0.3)
    assert twin.drift == pytest.approx(true.drift, abs=0.08)
    assert twin.gain_sd == pytest.approx(true.gain_sd, rel=0.5)
    assert 0.2 <= twin.gain_shared <= 1
    assert twin.regularity == pytest.approx(true.regularity, rel=0.4)
    assert twin.timing.break_share == 0.1
    assert (twin.timing.on_s, twin.timing.off_s) == (pytest.approx(0.1), pytest.approx(0.1))


def test_steady_neurons_have_steady_twins() -> None:
    session = a_session("poisson", 3)
    counts = np.random.default_rng(1).poisson(6, session.response_hz.shape)
    twin = fit(replace(session, response_hz=counts / 0.15))
    assert twin.fano == pytest.approx(1, abs=0.15)
    assert abs(twin.drift) < 0.1 and twin.gain_sd < 0.1


def test_a_time_course_is_known_by_its_kind() -> None:
    assert {preset: fit(a_session(preset, 2)).preset for preset in ("V4", "IT")} == {"V4": "V4", "IT": "IT"}
    silent = fit(replace(a_session("IT", 2), times_s=np.zeros(0)))
    assert silent.preset == "" and np.isnan(silent.latency_s)


def test_a_short_session_does_not_say_what_changes_over_a_run() -> None:
    session = a_session("V4", 7)
    few = session.generations <= FEWEST_GENERATIONS - 1
    short = replace(
        session,
        **{name: getattr(session, name)[few] for name in ("generations", "stimuli", "is_reference")},
        response_hz=session.response_hz[few],
        baseline_hz=session.baseline_hz[few],
        flashes=session.flashes[few],
    )
    twin = fit(short)
    assert twin.is_short and (twin.drift, twin.baseline_drift) == (0, 0)
    assert twin.baseline_hz == pytest.approx(create_preset("V4", KNOWN).baseline_hz, rel=0.15)
    written = as_toml(twin, "monkey.xdream")
    assert "cannot be told from fewer than 8 generations" in written
    assert tomllib.loads(written)["simulator"]["drift"] == 0
    assert "cannot be told" not in as_toml(fit(session), "monkey.xdream")


def test_a_twin_is_written_as_a_dry_run_reads_it() -> None:
    tables = tomllib.loads(as_toml(fit(a_session("IT", 2)), "monkey.xdream"))
    assert Options(**{key: str(value) for key, value in tables["simulator"].items()}).preset == "IT"
    config = '[session]\nname = "a"\n[evolution]\n' + as_toml(fit(a_session("IT", 2)), "monkey.xdream")
    assert parse_config(config, "the twin").rehearsal.break_rate == 0.1


# -- forecasts


def a_curve(random: np.random.Generator, n: int, tau: float, gain: float) -> tuple[Any, list[Any]]:
    generations = np.arange(1, n + 1)
    course = 5 + gain * -np.expm1(-(generations - 1) / tau)
    return generations, [mean + random.normal(0, 0.05) + random.normal(0, 1, 30) for mean in course]


@pytest.mark.parametrize("n", [8, 20])
def test_nine_of_ten_intervals_hold_the_truth(n: int) -> None:
    random = np.random.default_rng(n)
    held = []
    for seed in range(60):
        tau, gain = float(np.exp(random.normal(np.log(8 / np.log(2)), 0.8))), float(random.uniform(0.5, 4))
        found = forecast(*a_curve(random, n, tau, gain), seed=seed)
        flat = 1 + np.ceil(tau * np.log(max(gain / tau / 0.02, 1)))
        for truth, draws in ((flat, found.flat_at()), (5 + gain * -np.expm1(-59 / tau), found.score(60))):
            low, _, high = quantiles(draws)
            held.append(low <= truth <= high)
    assert 0.83 <= np.mean(held) <= 0.99


def test_more_generations_say_more() -> None:
    random = np.random.default_rng(4)
    generations, scores = a_curve(random, 40, 6.0, 3.0)
    widths = []
    for n in (6, 12, 40):
        low, _, high = quantiles(forecast(generations[:n], scores[:n]).flat_at())
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]


def test_a_forecast_says_when_and_how_high_and_how_long() -> None:
    random = np.random.default_rng(4)
    words = in_words(forecast(*a_curve(random, 12, 6.0, 3.0)), np.full(11, 30.0))
    assert words.startswith("Flat at generation ") and "it is so already in generation 12" in words
    more, total = map(float, re.findall(r"([\d.]+) \([\d.]+ to [\d.]+\) min", words))
    so_far = 12 * 30 / 60
    assert words.endswith(f"min in all, {so_far:.1f} of them so far.")
    assert total == pytest.approx(more + so_far, abs=0.11)
    steady = in_words(forecast(*a_curve(random, 60, 3.0, 3.0)), np.full(59, 30.0))
    assert "min more" not in steady and "min in all, 30.0 of them so far" in steady
    flat = forecast(np.arange(1, 31), [random.normal(5, 1, 30) - 0.3 * n for n in range(30)])
    assert in_words(flat, np.full(29, 30.0)).startswith("The curve has not risen in 30 generations")
    with pytest.raises(ValueError, match="needs 3 measured generations or more, there are 2"):
        forecast(np.arange(1, 4), [np.ones(4), np.full(4, np.nan), np.ones(4)])


# -- the command


def xdream_twin(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server", "twin", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_fits_a_session_file_and_writes_its_twin(tmp_path: Path) -> None:
    play(tmp_path / "two.xdream")
    done = xdream_twin(tmp_path / "two.xdream", "--evolution", 2)
    assert done.returncode == 0, done.stderr
    assert "right, noise over 3 generations" in done.stdout and "Forecast by the mean scores" in done.stdout
    written = tomllib.loads((tmp_path / "two.twin.toml").read_text())
    assert written["simulator"]["zero_at"] == "worst_reference" and written["display"]["images_per_trial"] == 5


def test_what_is_no_session_or_too_short_gets_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "none.xdream").write_text("no database")
    assert "none.xdream is no session file" in xdream_twin(tmp_path / "none.xdream").stderr
    play(tmp_path / "two.xdream")
    assert "has evolutions 1, 2; there is no 3" in xdream_twin(tmp_path / "two.xdream", "--evolution", 3).stderr
