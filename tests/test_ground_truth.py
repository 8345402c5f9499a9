"""Neurons whose best image is known: nothing that a screen can show beats it, and likeness says how near one came."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from protocol.plugins import PluginError
from simulator.__main__ import truth
from simulator.close_up import Compared
from simulator.closeness import Closeness, closeness
from simulator.ground_truth import KINDS, EnergyNeuron, create_neuron, random_neuron
from simulator.networks.images import procedural_images

NEURONS = [
    *KINDS,
    "gabor x=0.3 y=-0.2 angle_deg=30 cycles=5 size=0.2",
    "curve angle_deg=10 radius=0.3",
    "template picture=torus selectivity=4",
]


def climbed(neuron: EnergyNeuron, seed: int, size_px: int = 24) -> NDArray[np.uint8]:
    """Return where turning single pixels black or white leads, from noise, while it helps."""
    image = np.random.default_rng(seed).integers(0, 256, (size_px, size_px, 1), np.uint8).repeat(3, axis=2)
    pair, _ = neuron._filters(size_px, size_px)
    for _ in range(20):
        contrast = (image.mean(axis=2) / 127.5 - 1).ravel()
        gradient = (pair @ contrast) @ pair
        image = np.where(gradient > 0, 255, 0).astype(np.uint8).reshape(size_px, size_px, 1).repeat(3, axis=2)
    return image


@pytest.mark.parametrize("text", NEURONS)
@pytest.mark.parametrize("size_px", [64, 83])
def test_the_best_image_beats_all_pictures_and_everything_near_it(text: str, size_px: int) -> None:
    neuron, random = create_neuron(text), np.random.default_rng(0)
    best = neuron.best_image(size_px)
    assert best.shape == (size_px, size_px, 3)
    assert best.dtype == np.uint8
    assert neuron.respond(best[None]) == pytest.approx(1, abs=5e-3)
    for each in (procedural_images(90, 1).images, random.integers(0, 256, (50, size_px, size_px, 3), np.uint8)):
        assert neuron.respond(each).max() < 0.95
    spoilt = np.repeat(best[None], 20, axis=0)
    for image in spoilt:
        rows, columns = random.integers(0, size_px, (2, 80))
        image[rows, columns] = random.integers(0, 256, (80, 3), np.uint8)
    assert neuron.respond(spoilt).max() <= neuron.respond(best[None])[0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["gabor", "curve"])
def test_no_climb_gets_above_the_optimum(kind: str, seed: int) -> None:
    # Each step is the best image for the phase that the last one had: it never falls, and ends where none is better.
    neuron = random_neuron(kind, seed)
    assert isinstance(neuron, EnergyNeuron)
    image = climbed(neuron, seed)
    assert 0.8 < neuron.respond(image[None])[0] <= 1
    assert neuron.respond(image[None])[0] <= neuron.respond(neuron.best_image(24)[None])[0] + 1e-4


@given(level=st.integers(0, 255), text=st.sampled_from(["gabor", "curve", "gabor x=0.8 y=0.8"]))
@settings(max_examples=20, deadline=None)
def test_plain_grey_drives_no_energy_cell(level: int, text: str) -> None:
    assert create_neuron(text).respond(np.full((1, 32, 32, 3), level, np.uint8)) == pytest.approx(0, abs=1e-9)


def test_a_cell_likes_its_own_direction_bend_and_place() -> None:
    best = {
        text: create_neuron(text).best_image(64)
        for text in ("gabor", "gabor angle_deg=0", "gabor x=0.6 y=0.6 size=0.1")
    }
    small = create_neuron("gabor size=0.2")
    assert small.respond(best["gabor"][None])[0] > 0.9
    assert small.respond(best["gabor angle_deg=0"][None])[0] < 0.1
    assert small.respond(best["gabor x=0.6 y=0.6 size=0.1"][None])[0] < 0.3
    bent, other_way = create_neuron("curve"), create_neuron("curve angle_deg=270")
    assert bent.respond(other_way.best_image(64)[None])[0] < 0.8
    # 0, 0 is the middle, x grows to the right and y upwards: there the image matters.
    row, column = np.unravel_index(create_neuron("gabor x=0.5 y=0.5").field(64).argmax(), (64, 64))
    assert column > 40
    assert row < 24


def test_closeness_is_1_for_the_best_image_in_any_phase_and_small_for_another() -> None:
    for text in NEURONS:
        neuron = create_neuron(text)
        for image in neuron.optima(64):
            close = closeness(neuron, image)
            assert close.activation == pytest.approx(1, abs=0.025)
            assert close.cosine == pytest.approx(1)
            assert close.correlation == pytest.approx(1)
        far = closeness(neuron, np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
        assert far.activation < 0.3
        assert far.correlation < 0.3


def test_a_template_is_a_file_or_a_drawing(tmp_path: Path) -> None:
    picture = procedural_images(1, 0, ["heart"]).images[0]
    Image.fromarray(picture).save(tmp_path / "heart.png")
    neuron = create_neuron(f"template picture={tmp_path / 'heart.png'}")
    np.testing.assert_array_equal(neuron.best_image(64), picture)
    for wrong in ("template picture=hart", f"template picture={tmp_path / 'none.png'}"):
        with pytest.raises(PluginError, match="is no image file and no drawing"):
            create_neuron(wrong)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gabr", "no known neuron named 'gabr'. Did you mean 'gabor'? Known: gabor, curve, template."),
        ("gabor x", "neuron 'gabor x': an option is written key=value, got 'x'."),
        ("gabor x=left", "neuron 'gabor x=left': x must be a number, got 'left'."),
        (
            "gabor colour=3",
            "known neuron 'gabor': no parameter 'colour'. Known: x, y, angle_deg,",
        ),
        ("gabor size=0", "neuron 'gabor size=0': size must lie in 0.02 to 2, got 0."),
        ("curve x=2", "neuron 'curve x=2': x must lie in -1 to 1, got 2."),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PluginError) as wrong:
        create_neuron(text)
    assert sentence in str(wrong.value)


def test_a_random_neuron_is_the_same_for_the_same_seed_and_its_name_makes_it_again() -> None:
    for kind in KINDS:
        assert random_neuron(kind, 3).name == random_neuron(kind, 3).name
        assert len({random_neuron(kind, seed).name for seed in range(8)}) > 4
        again = create_neuron(random_neuron(kind, 3).name)
        np.testing.assert_array_equal(again.best_image(64), random_neuron(kind, 3).best_image(64))


def test_a_narrow_terminal_shows_all_numbers_of_a_neuron(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    neuron = "gabor x=-0.123 y=0.456 angle_deg=123.456 cycles=4.25 size=0.312"
    found = [Compared("a unit that likes bars", neuron, "grating_green", Closeness(0.5, 0.25, 0.25))]
    monkeypatch.setattr("simulator.close_up.close_up", lambda _: found)
    monkeypatch.setenv("COLUMNS", "80")
    truth("s.xdream")
    shown = [line.split("│")[2].strip() for line in capsys.readouterr().out.splitlines() if "│" in line]
    assert "".join(shown) == neuron.replace(" ", "")
