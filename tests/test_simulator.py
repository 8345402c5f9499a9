"""Simulated units: the right ones, driven by the right images, with noise that is Poisson and the same each time."""

from math import nan
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from adapters.source import SourceError
from protocol.ids import presentation_id, stimulus_id
from protocol.messages import Onsets, Responses, StimulusBatch
from simulator.models import create_network, list_layers
from simulator.neurons import Gain
from simulator.source import SimulatedUnits
from simulator.units import LayerUnits, NetworkUnits, Unit, parse_units

DEADLINE_S = 10
SETTINGS = {"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.05]}


class Tiny(nn.Module):
    """A map of the image's colours, less a half, that is then rectified in place; and their means."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.conv.weight = nn.Parameter(torch.eye(3)[:, :, None, None])
        self.conv.bias = nn.Parameter(torch.full((3,), -0.5))
        self.rectifier = nn.ReLU(inplace=True)
        self.output = nn.Flatten()

    def forward(self, images: Tensor) -> Tensor:
        return self.output(self.rectifier(self.conv(images)).mean((2, 3), keepdim=True))  # type: ignore[no-any-return]


class Fussy(Tiny):
    """Takes images of 96 px only."""

    def forward(self, images: Tensor) -> Tensor:
        if images.shape[-1] != 96:
            raise RuntimeError("96 px, please")
        return super().forward(images)


def simulated(network: str = "Tiny", **options: str) -> SimulatedUnits:
    source = SimulatedUnits(network=f"{__name__}:{network}", **options)
    source.begin(SETTINGS)
    return source


def greys(*levels: int) -> NDArray[np.uint8]:
    """Return [n, 4, 4, 3] images, each of one grey."""
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), 4, 4, 3)).copy()


def references(*levels: int) -> StimulusBatch:
    return StimulusBatch(np.array([stimulus_id(0, 0, n) for n in range(len(levels))]), greys(*levels))


def evolved(*levels: int, generation: int = 0) -> StimulusBatch:
    ids = [stimulus_id(1, generation, place) for place in range(len(levels))]
    return StimulusBatch(np.array(ids), greys(*levels))


def onsets(stimulus: int, slots: range, attempt: int = 0, generation: int = 0) -> Onsets:
    ids = np.array([presentation_id(1, generation, slot, attempt) for slot in slots])
    return Onsets(1, ids, np.full(len(ids), stimulus), np.arange(len(ids), dtype=np.float64))


def answer(source: SimulatedUnits, request: Onsets) -> Responses:
    source.request(request)
    deadline_s = monotonic() + DEADLINE_S
    while not (answers := source.poll()):
        assert monotonic() < deadline_s, "no answer"
    [responses] = answers
    return responses


BEST = stimulus_id(0, 0, 1)
FIRST = stimulus_id(1, 0, 0)


def test_the_best_reference_image_draws_as_many_spikes_as_asked_for() -> None:
    source = simulated(units="0,1", noise="none", spikes_at_best_reference="1000")
    source.see(references(200, 255, 10))
    assert answer(source, onsets(BEST, range(1))).spike_counts.tolist() == [[1000, 1000]]

    # An activation half as large draws half the spikes; a negative one none. 191 of 255 is about 0.75.
    source.see(evolved(191, 10))
    half = answer(source, onsets(FIRST, range(1))).spike_counts
    assert half.tolist() == [[pytest.approx(498, abs=1)] * 2]
    assert answer(source, onsets(FIRST + 1, range(1))).spike_counts.tolist() == [[0, 0]]


def test_evolved_images_do_not_change_the_scale_and_forgotten_references_neither() -> None:
    source = simulated(noise="none", spikes_at_best_reference="1000")
    source.see(references(191))
    source.see(evolved(255))
    assert answer(source, onsets(FIRST, range(1))).spike_counts[0, 0] == pytest.approx(2008, abs=1)
    source.forget([stimulus_id(0, 0, 0)])
    assert answer(source, onsets(FIRST, range(1))).spike_counts[0, 0] == pytest.approx(2008, abs=1)


@pytest.mark.parametrize("batches", [[], [references(10, 20)]], ids=["no references", "none that excites"])
def test_without_a_reference_the_scale_is_that_of_random_colours(batches: list[StimulusBatch]) -> None:
    counts = []
    for order in (evolved(255, 255), evolved(255)):
        source = simulated(noise="none", spikes_at_best_reference="1000")
        for batch in [*batches, order]:
            source.see(batch)
        counts.append(int(answer(source, onsets(FIRST, range(1))).spike_counts[0, 0]))
    assert counts[0] == counts[1] > 1000


def correlation(one: NDArray[np.int32], other: NDArray[np.int32]) -> float:
    return float(np.asarray(np.corrcoef(np.stack([one, other])))[0, 1])


def test_counts_are_poisson() -> None:
    source = simulated(units="0,1", baseline_hz="40", spikes_at_best_reference="20")
    source.see(references(10, 255))
    n = 4000
    responses = answer(source, onsets(BEST, range(n)))
    # The windows are 0.15 s and 0.05 s long: 20 + 6 spikes, and 2.
    for counts, mean in ((responses.spike_counts, 26.0), (responses.baseline_counts, 2.0)):
        assert counts.dtype == np.int32
        np.testing.assert_allclose(counts.mean(axis=0), mean, atol=5 * np.sqrt(mean / n))
        np.testing.assert_allclose(counts.var(axis=0) / mean, 1, atol=0.12)
        assert abs(correlation(counts[:, 0], counts[:, 1])) < 0.08
    counts = responses.spike_counts[:, 0]
    assert abs(correlation(counts, responses.baseline_counts[:, 0])) < 0.08
    assert abs(correlation(counts[:-1], counts[1:])) < 0.08


def all_counts(responses: Responses) -> list[tuple[int, ...]]:
    counts = np.concatenate([responses.spike_counts, responses.baseline_counts], axis=1)
    return [tuple(row) for row in counts.tolist()]


def test_noise_belongs_to_the_slot_whatever_was_lost_and_in_whatever_order() -> None:
    one, other = (simulated(baseline_hz="40", seed="3") for _ in range(2))
    for source in (one, other):
        source.see(references(10, 255))
    first_time = all_counts(answer(one, onsets(BEST, range(50))))
    backwards = [all_counts(answer(other, onsets(BEST, range(n, n + 1), attempt=n % 3)))[0] for n in range(49, -1, -1)]
    assert first_time == backwards[::-1]
    assert first_time != all_counts(answer(one, onsets(BEST, range(50), generation=1)))


def test_noise_depends_on_the_seed_and_not_on_the_other_units() -> None:
    alone, both, other_seed = simulated(units="1"), simulated(units="0,1"), simulated(units="1", seed="1")
    for source in (alone, both, other_seed):
        source.see(references(10, 255))
    request = onsets(BEST, range(50))
    mine = answer(alone, request).spike_counts[:, 0].tolist()
    assert answer(both, request).spike_counts[:, 1].tolist() == mine
    assert answer(other_seed, request).spike_counts[:, 0].tolist() != mine


def test_what_was_never_seen_or_never_shown_is_not_measured() -> None:
    source = simulated()
    source.see(references(10, 255))
    request = Onsets(1, np.arange(3), np.array([BEST, 999, BEST]), np.array([0.0, 0.2, nan]))
    responses = answer(source, request)
    assert responses.measured.tolist() == [True, False, False]
    assert responses.reason == "1 without an onset; 1 whose image was never seen, or whose activation is no number"
    source.forget([BEST])
    assert not answer(source, request).measured.any()


def test_an_image_passes_the_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source, passes = simulated(), list[int]()
    listens = NetworkUnits.activations
    monkeypatch.setattr(NetworkUnits, "activations", lambda me, x: passes.append(len(x)) or listens(me, x))
    for batch in (references(10, 255), evolved(1, 2, 3), evolved(1, 2, 3, 4), evolved(1, 2, 3, 4)):
        source.see(batch)
    answer(source, onsets(FIRST, range(1)))
    assert passes == [2, 3, 1]


def test_units_are_recorded_where_they_are_and_before_they_are_rectified() -> None:
    units = LayerUnits(Tiny(), "conv", parse_units("0@1,2;1@c;2"))
    assert units.names == ("conv/0@1,2", "conv/1", "conv/2")
    images = np.zeros((2, 4, 6, 3), np.uint8)
    images[0, 1, 2] = images[1, 2, 3] = 255
    np.testing.assert_allclose(units.activations(images), [[0.5, -0.5, -0.5], [-0.5, 0.5, 0.5]])


def test_units_are_written_in_these_ways() -> None:
    assert parse_units("3") == [Unit(3)]
    assert parse_units("3, 17") == [Unit(3), Unit(17)]
    assert parse_units("12@7,7; 30@c;1,2") == [Unit(12, (7, 7)), Unit(30), Unit(1), Unit(2)]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"units": "three"}, "'three' is no unit. Write 3 or 3,17 or 12@7,7;30@c"),
        ({"units": "1,1"}, "units '1,1' name a unit twice"),
        ({"units": "3"}, "layer 'output' has channels 0 to 2, so no unit 3"),
        ({"units": "0@1,1"}, "layer 'output' is no map, so its unit 0 has no place"),
        ({"layer": "conv", "units": "0@64,0"}, "layer 'conv' has rows 0 to 63 and columns 0 to 63: no unit 0@64,0"),
        ({"layer": "cnv"}, "no layer named 'cnv'. Did you mean 'conv'? Known: conv, rectifier, output."),
        ({"network": "Tny"}, "cannot be imported"),
        ({"network": "greys"}, "gives a ndarray, not a torch.nn.Module"),
        ({"weights": "no/such.pt"}, "there is no weights file no/such.pt"),
        ({"noise": "gaussian"}, "no noise named 'gaussian'. Known: poisson, none."),
        ({"baseline_hz": "-1"}, "baseline_hz must be a number from 0 up, got '-1'"),
        ({"spikes_at_best_reference": "many"}, "spikes_at_best_reference must be a number from 0 up, got 'many'"),
        ({"seed": "x"}, "seed must be a whole number from 0 up, got 'x'"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(SourceError) as wrong:
        simulated(**options)
    assert sentence in str(wrong.value)


def test_a_name_without_a_path_must_be_known() -> None:
    with pytest.raises(SourceError, match=r"no network named 'embeded'. Did you mean 'embedded'\?"):
        create_network("embeded")


def test_images_that_do_not_fit_the_network_are_refused_in_a_sentence() -> None:
    source = simulated("Fussy")
    source.see(references(1))
    with pytest.raises(SourceError, match="the network fails on images of 4 x 4 px: 96 px, please"):
        answer(source, onsets(BEST, range(1)))


def test_layers_are_listed_in_the_order_in_which_an_image_passes_them() -> None:
    maps = (3, 96, 96)
    listed = [("conv", maps, 3 * 96 * 96), ("rectifier", maps, 3 * 96 * 96), ("output", (3,), 3)]
    assert list_layers(Fussy()) == listed


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_come_from_a_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"weights.{suffix}"
    state = {name: torch.full_like(tensor, 2.0) for name, tensor in Tiny().state_dict().items()}
    if suffix == "pt":
        torch.save(state, path)
    else:
        save_file(state, path)
    network = create_network(f"{__name__}:Tiny", str(path))
    assert all((tensor == 2).all() for tensor in network.state_dict().values())


def test_weights_that_do_not_fit_or_are_none_are_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    for state, sentence in (
        ({"conv.weight": torch.zeros(3, 3, 1, 1)}, "it lacks conv.bias; the network has no place for nothing"),
        ({"conv.weight": torch.zeros(3, 3, 5, 5), "conv.bias": torch.zeros(3)}, "size mismatch for conv.weight"),
        ([1, 2], "holds a list, not a dictionary of weights"),
    ):
        torch.save(state, path)
        with pytest.raises(SourceError) as wrong:
            create_network(f"{__name__}:Tiny", str(path))
        assert sentence in str(wrong.value)
    for name in ("weights.pt", "weights.safetensors"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(SourceError, match="cannot be read as weights"):
            create_network(f"{__name__}:Tiny", str(tmp_path / name))


def test_a_logit_is_counted_from_the_worst_reference_image_if_asked() -> None:
    gain = Gain(10.0, n_units=2, zero_at_worst_reference=True)
    gain.learn_references(np.array([[-8.0, 1.0], [-4.0, 3.0]]))
    np.testing.assert_allclose(
        gain.expected(np.array([[-8.0, 3.0], [-2.0, 2.0], [-9.0, np.nan]])), [[0, 10], [15, 5], [0, np.nan]]
    )
