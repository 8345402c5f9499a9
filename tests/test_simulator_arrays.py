"""Arrays of simulated channels: who hears what, mixtures, dead and hot channels, spikes with times, slow networks."""

import threading
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adapters.source import SourceError
from protocol.ids import presentation_id, stimulus_id
from protocol.messages import Onsets, Responses, StimulusBatch
from simulator.arrays import known_array, network_array
from simulator.firing import HOT_HZ
from simulator.source import SimulatedUnits
from simulator.units import NetworkUnits, Preparation, Unit

SETTINGS = {"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.05]}
DEADLINE_S = 10
BEST = stimulus_id(0, 0, 0)


class Colours(nn.Module):
    """A map of an image's colours, and their means."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Identity()
        self.output = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.output(self.colours(images).mean((2, 3)))  # type: ignore[no-any-return]


class Slow(Colours):
    """Takes as long as somebody lets it."""

    go_on = threading.Event()

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] == 8:
            self.go_on.wait(DEADLINE_S)
        return super().forward(images)


def pictures(*colours: tuple[int, int, int], size_px: int = 8) -> StimulusBatch:
    images = np.zeros((len(colours), size_px, size_px, 3), np.uint8)
    images[:] = np.array(colours, np.uint8)[:, None, None]
    return StimulusBatch(np.array([stimulus_id(0, 0, n) for n in range(len(colours))]), images)


def simulated(network: str = "Colours", **options: str) -> SimulatedUnits:
    source = SimulatedUnits(network=f"{__name__}:{network}", **options)
    source.begin(SETTINGS)
    return source


def asked(n_slots: int, stimulus: int = BEST) -> Onsets:
    ids = np.array([presentation_id(1, 1, slot, 0) for slot in range(n_slots)], np.int64)
    return Onsets(1, ids, np.full(n_slots, stimulus), np.arange(n_slots) * 0.2)


def answer(source: SimulatedUnits, request: Onsets) -> Responses:
    source.request(request)
    deadline_s = monotonic() + DEADLINE_S
    while not (answers := source.poll()):
        assert monotonic() < deadline_s, "no answer"
    return answers[0]


def test_channels_hear_what_their_names_say() -> None:
    array = network_array(Colours(), "output", "0, colours/1@2,3; 0+2")
    assert array.names == ("output/0", "colours/1@2,3", "output/0+2")
    # The first unit counts most.
    np.testing.assert_allclose(array.mixture, [[1, 0, 0], [0, 1, 0], [2 / 3, 0, 1 / 3]])
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[0, 2, 3] = (0, 255, 0)
    np.testing.assert_allclose(array.units.activations(image), [[0, 1, 0]])


def test_a_random_array_is_the_same_for_the_same_seed_and_a_map_has_places_side_by_side() -> None:
    names = network_array(Colours(), "colours", "random 20", mixture=3, seed=1).names
    assert len(names) == 20
    assert names == network_array(Colours(), "colours", "random 20", mixture=3, seed=1).names
    assert names != network_array(Colours(), "colours", "random 20", mixture=3, seed=2).names
    assert {name.count("+") for name in names} == {0, 1, 2}
    places = network_array(Colours(), "colours", "map 1 3", preparation=Preparation(size_px=9)).names
    assert places[:4] == ("colours/1@1,1", "colours/1@1,4", "colours/1@1,7", "colours/1@4,1")


def test_images_are_prepared_as_a_network_wants_them() -> None:
    prepared = Preparation(mean=(0.5,), std=(0.25, 0.5, 1.0), size_px=4)(np.full((2, 8, 8, 3), 255, np.uint8))
    assert prepared.shape == (2, 3, 4, 4)
    np.testing.assert_allclose(prepared[0, :, 0, 0], [2.0, 1.0, 0.5])
    units = NetworkUnits(Colours(), [("output", Unit(1))], Preparation(mean=(0.25,)))
    assert units.activations(np.full((1, 8, 8, 3), 255, np.uint8)) == pytest.approx(0.75)


def test_neurons_whose_best_image_is_known_make_an_array_too() -> None:
    assert known_array("gabor x=0.2; curve, gabor 2").names[:2] == ("gabor x=0.2", "curve")
    assert len(known_array("gabor x=0.2; curve, gabor 2").names) == 4
    source = SimulatedUnits(network="known", units="gabor,template picture=heart", preset="poisson")
    assert source.channels == ("gabor", "template picture=heart")
    source.close()


@pytest.mark.parametrize("preset", ["", "IT"])
def test_dead_and_hot_channels_fire_never_and_always(preset: str) -> None:
    source = simulated(units="0,1,2", dead="1", hot="2", preset=preset)
    source.see(pictures((255, 255, 255), (0, 0, 0)))
    best, worst = (answer(source, asked(40, BEST + n)).spike_counts.mean(axis=0) for n in (0, 1))
    assert best[0] > worst[0]
    assert best[1] == worst[1] == 0
    assert best[2] == pytest.approx(HOT_HZ * 0.15, rel=0.5)
    assert best[2] == pytest.approx(worst[2], rel=0.05)


@pytest.mark.parametrize("preset", ["", "ideal", "poisson", "V1", "V4", "IT"])
@pytest.mark.parametrize("windows", [([0.05, 0.2], [0.0, 0.05]), ([0.07, 0.2], [-0.05, 0.0])])
def test_counts_are_those_of_the_spikes_that_come_with_them(
    preset: str, windows: tuple[list[float], list[float]]
) -> None:
    source = simulated(units="0,1", preset=preset, baseline_hz="40")
    source.begin(dict(zip(("response_window_s", "baseline_window_s"), windows, strict=True)))
    source.see(pictures((255, 128, 0)))
    responses = answer(source, asked(30))
    assert len(responses.spike_times_s)
    times_us = np.round(responses.spike_times_s.astype(np.float64) * 1e6)
    for window, counted in zip(windows, (responses.spike_counts, responses.baseline_counts), strict=True):
        inside = (times_us >= window[0] * 1e6) & (times_us < window[1] * 1e6)
        again = np.zeros_like(counted)
        np.add.at(again, (responses.spike_rows[inside], responses.spike_channels[inside]), 1)
        np.testing.assert_array_equal(again, counted)


def test_without_noise_a_preset_fires_what_is_expected() -> None:
    source = simulated(units="0", preset="ideal")
    source.see(pictures((255, 0, 0), (51, 0, 0)))
    counts = [answer(source, asked(3, BEST + n)).spike_counts[:, 0].tolist() for n in (0, 1)]
    assert counts == [[120] * 3, [24] * 3]


def test_a_preset_s_rates_can_be_given_as_spikes() -> None:
    source = simulated(units="0", preset="V4", spikes_at_best_reference="60", noise="none", baseline_hz="0", spread="0")
    source.see(pictures((255, 0, 0)))
    assert answer(source, asked(1)).spike_counts[0, 0] == pytest.approx(60, abs=1)


def test_a_slow_network_holds_up_only_what_waits_for_it() -> None:
    Slow.go_on.set()
    source = simulated("Slow", units="0")
    source.see(pictures((255, 0, 0)))
    answer(source, asked(2))
    Slow.go_on.clear()
    later = StimulusBatch(np.array([stimulus_id(1, 1, 0)]), pictures((255, 0, 0)).images)
    source.see(later)
    source.request(asked(2, stimulus_id(1, 1, 0)))
    assert source.poll() == []  # and the adapter goes on to its heartbeats
    assert source.data_age_s() == 0
    Slow.go_on.set()
    assert answer(source, asked(0)).measured.all()
    source.close()


def test_a_network_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "from torch import nn\n\ndef network():\n    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4))\n"
    )
    torch.manual_seed(0)
    source = SimulatedUnits(network=f"{path}:network", layer="1", units="0,3", size_px="8")
    assert source.channels == ("1/0", "1/3")
    with pytest.raises(SourceError, match="has no 'netwrk'"):
        SimulatedUnits(network=f"{path}:netwrk")
    with pytest.raises(SourceError, match="there is no Python file"):
        SimulatedUnits(network=f"{tmp_path}/none.py:network")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"units": "map 1 3"}, "layer 'output' is no map, so it has no places"),
        ({"units": "nowhere/3"}, "no layer named 'nowhere'"),
        ({"units": "random 0"}, "an array has 1 to 4096 channels, not 0."),
        ({"dead": "3"}, "dead: '3' is no channel's place: this array has 0 to 0."),
        ({"mean": "0.5,0.5"}, "mean must be one number or three"),
        ({"device": "abacus"}, "device 'abacus' cannot be used"),
        ({"gain_sd": "0.1"}, "gain_sd belongs to a preset: name one, such as preset = poisson."),
        ({"preset": "V2"}, "no preset named 'V2'. Known: ideal, poisson, V1, V4, IT."),
        ({"loss_rate": "2"}, "loss_rate must be a number from 0 to 1, got '2'."),
        ({"faults": "stal generation=3"}, "no fault named 'stal'. Did you mean 'stall'?"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SourceError) as wrong:
        simulated(**options)
    assert sentence in str(wrong.value)
