"""Spike trains: as many spikes as the rate says, as regular as asked, and the same for the same showing."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.ids import presentation_id, stimulus_id
from simulator.presets import Preset, presets
from simulator.spiking import Spiking, trend
from simulator.trains import Trains

FLAT = Preset(psth_ms=(-100, 400), psth=(1, 1), tuned_hz=100)
NAMES = ("a", "b", "c", "d")
SPAN_S = (-0.05, 0.3)
N = 800


def spiking(preset: Preset = FLAT, names: tuple[str, ...] = NAMES, seed: int = 0) -> Spiking:
    return Spiking(preset, names, seed, SPAN_S)


def slots(n: int, generation: int = 1, attempt: int = 0) -> list[int]:
    return [presentation_id(1, generation, slot, attempt) for slot in range(n)]


def fired(channels: Spiking, showings: list[int], drive: float = 1.0) -> Trains:
    n = len(showings)
    rates = channels.rates(np.full((n, len(channels.names)), drive), showings, [stimulus_id(1, 1, 0)] * n)
    return channels.fire(*rates, showings)


def counts(preset: Preset, window_s: tuple[float, float] = (0.0, 0.25)) -> NDArray[np.int32]:
    return fired(spiking(preset), slots(N)).counts(window_s, N, len(NAMES))


@pytest.mark.parametrize(("order", "dead_ms"), [(1, 0), (1, 2), (3, 1), (0.5, 0), (2, 0)])
def test_the_mean_count_is_the_rate_whatever_the_process(order: float, dead_ms: float) -> None:
    found = counts(replace(FLAT, regularity=order, refractory_ms=dead_ms))
    np.testing.assert_allclose(found.mean(), 25, rtol=0.02)


def test_spikes_are_as_regular_as_asked() -> None:
    def fano(**parameters: float) -> float:
        found = counts(replace(FLAT, **parameters))  # type: ignore[arg-type]
        return float((found.var(axis=0) / found.mean(axis=0)).mean())

    assert fano() == pytest.approx(1, abs=0.1)
    assert fano(regularity=4) == pytest.approx(1 / 4, abs=0.06)
    assert fano(regularity=0.5) == pytest.approx(2, abs=0.3)
    # A dead time takes (1 - rate x dead time) squared of a Poisson process's variance.
    assert fano(refractory_ms=3) == pytest.approx(0.7**2, abs=0.06)
    assert fano(gain_sd=0.3) > 2
    assert fano(regularity=np.inf) < 0.02


def test_no_two_spikes_come_nearer_than_the_refractory_period_bursts_among_them() -> None:
    trains = fired(spiking(replace(FLAT, refractory_ms=2, bursts=0.3)), slots(100))
    gaps = np.diff(trains.times_s.astype(np.float64))
    same = (np.diff(trains.rows) == 0) & (np.diff(trains.channels) == 0)
    assert gaps[same].min() >= 0.002 - 1e-6
    assert np.mean(gaps[same] < 0.0041) > np.mean(
        np.diff(fired(spiking(replace(FLAT, refractory_ms=2)), slots(100)).times_s)[:100] < 0.0041
    )


def test_a_shared_gain_makes_channels_vary_together_and_a_private_one_does_not() -> None:
    def correlation(shared: float) -> float:
        together = np.corrcoef(counts(replace(FLAT, gain_sd=0.3, gain_shared=shared)).T)
        return float(together[~np.eye(len(NAMES), dtype=bool)].mean())

    assert correlation(1) > 0.5
    assert abs(correlation(0)) < 0.06


def test_a_showing_draws_the_same_spikes_whatever_came_before_and_whoever_else_is_recorded() -> None:
    preset = presets()["IT"]
    all_of_them = fired(spiking(preset), slots(40, attempt=0))
    for slot in (39, 0, 17):
        alone = fired(spiking(preset, ("c",)), [presentation_id(1, 1, slot, 3)])
        mine = all_of_them.times_s[(all_of_them.rows == slot) & (all_of_them.channels == 2)]
        np.testing.assert_array_equal(np.sort(alone.times_s), np.sort(mine))
    other = fired(spiking(preset, seed=1), slots(40))
    assert not np.array_equal(other.times_s[:20], all_of_them.times_s[:20])


def test_drift_and_adaptation_are_functions_of_the_generation() -> None:
    channels = spiking(replace(FLAT, drift=-0.2, drift_sd=0.1, adaptation=0.3))
    reference, evolved = stimulus_id(0, 0, 3), stimulus_id(1, 9, 3)
    assert channels.drift(1) == pytest.approx(np.ones(4))
    np.testing.assert_array_equal(channels.drift(12), spiking(channels.preset).drift(12))
    assert len(set(channels.drift(12).tolist())) == 4
    assert channels.adapted(evolved, 20) == channels.adapted(reference, 1) == 1
    assert 0.7 < channels.adapted(reference, 5) < channels.adapted(reference, 2) < 1
    assert trend(-0.2, 28) == pytest.approx(0.8, abs=0.01)
    assert trend(-0.2, 10_000) > 0.4


def test_responses_saturate_and_a_plain_image_still_draws_what_any_image_does() -> None:
    channels = spiking(replace(FLAT, half=0.5, untuned_hz=20, baseline_hz=10))
    np.testing.assert_allclose(channels.drive(np.array([-1.0, 0, 1, 1e9])), [0, 0, 1, 1.5])
    baseline, evoked = channels.rates(np.zeros((1, 4)), slots(1), [stimulus_id(1, 1, 0)])
    assert baseline.tolist() == [[10] * 4]
    assert evoked.tolist() == [[20] * 4]


def test_artefacts_are_on_all_channels_at_once() -> None:
    trains = fired(spiking(replace(FLAT, tuned_hz=0, artefacts=0.2)), slots(100))
    hit = np.unique(trains.rows)
    assert 8 < len(hit) < 35
    for row in hit.tolist():
        each = [np.sort(trains.times_s[(trains.rows == row) & (trains.channels == channel)]) for channel in range(4)]
        assert len(each[0]) >= 8
        assert all(np.array_equal(each[0], other) for other in each[1:])
