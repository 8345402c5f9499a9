"""Presets answer as real neurons did: medians of the sessions that docs/simulator.md quotes, with tolerances."""

import numpy as np
import pytest

from adapters.source import SourceError
from benchmarks.simulated_sessions import GENERATIONS, a_session, courses, drifts
from simulator.presets import create_preset, presets
from simulator.spiking import trend

QUARTILES = {
    "V1": {"initial": (94, 220), "final": (147, 269), "ratio": (1.20, 1.58), "drift": (-0.21, -0.06)},
    "V4": {"initial": (65, 163), "final": (84, 227), "ratio": (1.30, 1.73), "drift": (-0.12, 0.04)},
    "IT": {"initial": (41, 103), "final": (53, 130), "ratio": (0.97, 1.74), "drift": (-0.22, -0.01)},
}
"""25th and 75th percentile of real sessions."""
MEDIANS = {
    "V1": {"sem": 0.029, "baseline": 45, "baseline change": -0.10, "peak": 277, "half-rise": 58, "peak time": 77},
    "V4": {"sem": 0.036, "baseline": 25, "baseline change": -0.08, "peak": 267, "half-rise": 60, "peak time": 77},
    "IT": {"sem": 0.049, "baseline": 28, "baseline change": -0.05, "peak": 114, "half-rise": 64, "peak time": 105},
}
DRIFTS = {"V1": -0.12, "V4": -0.03, "IT": -0.11}
"""Of reference images over a run: the median of real sessions, which is not the middle of their quartiles."""
AT_MS = (50, 60, 70, 80, 90, 100, 120, 140, 160, 180, 199)
COURSES = {
    "V1": (0.15, 0.50, 0.83, 0.85, 0.79, 0.74, 0.54, 0.43, 0.44, 0.34, 0.20),
    "V4": (0.08, 0.42, 0.70, 0.74, 0.74, 0.75, 0.62, 0.55, 0.49, 0.40, 0.27),
    "IT": (0.01, 0.37, 0.53, 0.51, 0.61, 0.69, 0.72, 0.65, 0.58, 0.57, 0.41),
}
"""Mean of real sessions' time courses, each scaled to 0 at its baseline and 1 at its peak."""


@pytest.mark.parametrize("preset", QUARTILES)
def test_rates_gains_and_noise_of_an_evolution_are_those_of_real_ones(preset: str) -> None:
    sessions = [a_session(preset, unit, seed) for seed, unit in ((1, 9), (2, 18))]
    real, quartiles = MEDIANS[preset], QUARTILES[preset]

    def within(name: str, values: list[float]) -> bool:
        low, high = quartiles[name]
        return low <= float(np.mean(values)) <= high

    assert within("initial", [each.initial_hz for each in sessions])
    assert within("final", [each.final_hz for each in sessions])
    assert within("ratio", [each.final_hz / each.initial_hz for each in sessions])
    assert all(each.above_references for each in sessions)
    assert np.mean([each.sem for each in sessions]) == pytest.approx(real["sem"], rel=0.25)
    assert np.mean([each.baseline_hz.mean() for each in sessions]) == pytest.approx(real["baseline"], rel=0.2)


@pytest.mark.parametrize("preset", QUARTILES)
def test_time_courses_are_those_of_real_ones(preset: str) -> None:
    found, real = courses(preset), MEDIANS[preset]
    assert found.half_rise_ms == pytest.approx(real["half-rise"], abs=5)
    assert found.peak_ms == pytest.approx(real["peak time"], abs=25)
    assert np.median(found.psth_hz.max(axis=1)) == pytest.approx(real["peak"], rel=0.35)
    np.testing.assert_allclose(found.normalised[:, list(AT_MS)].mean(axis=0), COURSES[preset], atol=0.15)


@pytest.mark.parametrize("preset", QUARTILES)
def test_responses_drift_as_those_of_real_ones(preset: str) -> None:
    found, (low, high) = drifts(preset), QUARTILES[preset]["drift"]
    quarter, half, three_quarters = np.percentile(found, (25, 50, 75))
    assert half == pytest.approx(DRIFTS[preset], abs=0.05)
    assert quarter == pytest.approx(low, abs=0.08)
    assert three_quarters == pytest.approx(high, abs=0.08)
    change = trend(presets()[preset].baseline_drift, GENERATIONS) - 1
    assert change == pytest.approx(MEDIANS[preset]["baseline change"], abs=0.01)


def test_channels_of_an_area_vary_together() -> None:
    for preset in QUARTILES:
        assert 0.02 < courses(preset, n_showings=400).noise_correlation < 0.35
    assert abs(courses("poisson", n_showings=400).noise_correlation) < 0.01


def test_a_key_of_a_preset_can_be_set_otherwise() -> None:
    assert create_preset("IT", {"baseline_hz": "3", "half": "inf"}).baseline_hz == 3
    for name, options, sentence in (
        ("MT", {}, "no preset named 'MT'. Known: ideal, poisson, V1, V4, IT."),
        ("IT", {"gain_sd": "5"}, "gain_sd must be a number from 0 to 2, got '5'."),
        ("IT", {"drift": "much"}, "drift must be a number from -0.9 to 10, got 'much'."),
    ):
        with pytest.raises(SourceError) as wrong:
            create_preset(name, options)
        assert sentence in str(wrong.value)
