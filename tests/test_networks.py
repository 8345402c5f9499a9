"""The embedded networks: the images they know, the ConvNet that names them, the generator that draws them."""

from functools import cache

import numpy as np
import pytest
import torch

from server.generators.embedded import WEIGHTS as GENERATOR_WEIGHTS
from server.generators.embedded import Embedded, limited
from simulator.networks.convnet import WEIGHTS as CONVNET_WEIGHTS
from simulator.networks.convnet import EmbeddedConvNet, embedded_convnet
from simulator.networks.evolving import LAYERS, Unit, evolve, responses
from simulator.networks.images import COLOURS, KINDS, ProceduralImages, procedural_images

N_KINDS = len(KINDS)


@cache
def convnet() -> EmbeddedConvNet:
    return embedded_convnet()


@cache
def generator() -> Embedded:
    return Embedded()


@cache
def fresh_images() -> ProceduralImages:
    return procedural_images(225, seed=4_000_003)


def n01_codes(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, *generator().code_shape))


def test_images_are_the_same_for_the_same_seed_and_others_for_another() -> None:
    first, second, other = (procedural_images(20, seed) for seed in (5, 5, 6))
    assert np.array_equal(first.images, second.images)
    assert np.array_equal(first.colours, second.colours)
    assert not np.array_equal(first.images, other.images)


def test_an_image_does_not_depend_on_how_many_are_drawn_with_it() -> None:
    assert np.array_equal(procedural_images(3, 5).images, procedural_images(9, 5).images[:3])


def test_only_the_kinds_asked_for_are_drawn() -> None:
    some = procedural_images(6, 1, kinds=["face", "spiral"])
    assert {KINDS[kind] for kind in some.kinds} == {"face", "spiral"}
    assert some.images.shape == (6, 64, 64, 3)
    assert some.images.dtype == np.uint8


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_draws_something_that_varies(kind: str) -> None:
    drawn = procedural_images(2, 3, kinds=[kind]).images
    assert drawn[0].std() > 5
    assert not np.array_equal(drawn[0], drawn[1])


def test_the_weights_stay_small_enough_to_ship() -> None:
    assert CONVNET_WEIGHTS.stat().st_size + GENERATOR_WEIGHTS.stat().st_size <= 16 * 2**20


def test_the_convnet_names_kinds_and_colours_of_images_it_never_saw() -> None:
    known = fresh_images()
    logits = responses(convnet(), known.images)["output"]
    assert logits.shape == (len(known.images), N_KINDS + len(COLOURS))
    assert (logits[:, :N_KINDS].argmax(1) == known.kinds).mean() >= 0.85
    assert (logits[:, N_KINDS:].argmax(1) == known.colours).mean() >= 0.85


def test_a_layer_answers_by_its_name() -> None:
    seen = responses(convnet(), fresh_images().images[:4])
    assert list(seen) == list(LAYERS)
    assert all(activation.shape[0] == 4 and activation.ndim == 2 for activation in seen.values())
    assert all((seen[layer] >= 0).all() for layer in ("conv1", "conv2", "conv3", "conv4", "fc6"))


def test_the_convnet_takes_images_of_any_size() -> None:
    images = torch.from_numpy(fresh_images().images[:8]).permute(0, 3, 1, 2).float() / 255
    large = torch.nn.functional.interpolate(images, scale_factor=4, mode="bilinear")
    agree = convnet()(images).argmax(1) == convnet()(large).argmax(1)
    assert agree.float().mean() >= 0.75


def test_pictures_are_uint8_rgb_and_the_same_each_time() -> None:
    codes = n01_codes(5)
    pictures = generator().render(codes)
    assert pictures.shape == (5, 64, 64, 3)
    assert pictures.dtype == np.uint8
    assert np.array_equal(pictures, generator().render(codes))


def test_random_codes_draw_different_pictures_with_contrast_and_colour() -> None:
    pictures = generator().render(n01_codes(40)) / 255
    assert pictures.std((1, 2)).mean() > 0.1
    assert np.ptp(pictures, axis=3).mean() > 0.05
    assert pictures.std(0).mean() > 0.1


def test_a_picture_is_drawn_again_from_the_code_it_gives() -> None:
    images = fresh_images().images
    again = generator().render(generator().codes_for(responses(convnet(), images)["fc5"]))
    assert np.square((again - images.astype(float)) / 255).mean() < 0.6 * (images / 255).var(0).mean()


def test_over_long_codes_are_shortened_and_short_ones_are_not() -> None:
    codes = torch.randn(3, 256, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(limited(codes * 0.5), codes * 0.5, rtol=0.02)
    assert (limited(codes * 50).square().mean(1).sqrt() < 1.16).all()


def test_a_short_search_drives_a_unit_harder_than_its_first_images() -> None:
    [evolved] = evolve(generator(), convnet(), [Unit("output", KINDS.index("face"))], seed=1, generations=6)
    assert evolved.activation > evolved.curve[0]
