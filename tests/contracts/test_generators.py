"""What every generator promises, whatever it draws with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.generators import GENERATORS, Generator, GeneratorError, create
from tests.small_networks import a_file, thin_all

WHOLE = {"module": "tests.small_networks:one_code", "code_shape": [10], "device": "cpu"}
PAINTED = {"module": "tests.small_networks:Painter", "output": "-1..1", "channels": "BGR", "device": "cpu"}
BLOCKS = {"blocks": [[6, 0.5], [2, 1.0]], "separate": True, "call": {"truncation": 0.7}}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {"device": "cpu"} if name.startswith("deepsim") else {}) for name in GENERATORS},
    "raw_pixel": ("raw_pixel", {"size": 16}),
    "torch_module": ("torch_module", WHOLE),
    "noise and class": ("torch_module", PAINTED | BLOCKS),
    "two at a time": ("torch_module", WHOLE | {"batch_size": 2}),
    "cropped and grown": ("raw_pixel", {"size": 16, "crop": [8, 10]}),
    "small, grey and round": ("torch_module", WHOLE | {"size": 5, "grey": True, "aperture": "circle"}),
    "at one contrast": ("torch_module", WHOLE | {"size": 24, "rms_contrast": 0.2, "aperture": "gaussian"}),
}
"""What is tested: a generator's name, and parameters that keep it small enough to test in a moment."""


@pytest.fixture(scope="module", params=list(CASES))
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator:
    name, parameters = CASES[request.param]
    with pytest.MonkeyPatch.context() as patch:
        thin_all(patch)
        if name.startswith("deepsim"):
            parameters = parameters | {"weights": a_file(tmp_path_factory.mktemp("weights"), name)}
        return create(name, **parameters)


def some_codes(generator: Generator, n: int = 5) -> NDArray[np.float32]:
    return np.random.default_rng(3).normal(size=(n, *generator.code_shape)).astype(np.float32)


def test_a_code_becomes_an_image_of_three_colours(generator: Generator) -> None:
    images = generator.render(some_codes(generator))
    assert images.dtype == np.uint8
    assert images.flags.c_contiguous
    assert (images.ndim, images.shape[0], images.shape[3]) == (4, 5, 3)


def test_different_codes_become_different_images(generator: Generator) -> None:
    images = generator.render(some_codes(generator))
    assert all((images[i] != images[i - 1]).any() for i in range(5))


def test_the_same_codes_become_the_same_images(generator: Generator) -> None:
    codes = some_codes(generator)
    np.testing.assert_array_equal(generator.render(codes), generator.render(codes))


def test_an_image_does_not_depend_on_its_batch(generator: Generator) -> None:
    codes = some_codes(generator)
    together = generator.render(codes).astype(int)
    alone = np.concatenate([generator.render(codes[i : i + 1]) for i in range(len(codes))])
    assert abs(together - alone).max() <= 1  # a sum in another order may fall on the other side of a level


def test_codes_may_be_float64_and_of_any_order_in_memory(generator: Generator) -> None:
    codes = some_codes(generator)
    backwards = np.asfortranarray(codes.astype(np.float64)[::-1])
    difference = generator.render(backwards)[::-1].astype(int) - generator.render(codes)
    assert abs(difference).max() <= 1


def test_extreme_codes_still_become_images(generator: Generator) -> None:
    codes = some_codes(generator) * np.float32(1e6)
    assert generator.render(codes).shape[0] == 5


def test_no_codes_become_no_images(generator: Generator) -> None:
    one, none = generator.render(some_codes(generator, 1)), generator.render(some_codes(generator, 0))
    assert none.dtype == np.uint8
    assert none.shape == (0, *one.shape[1:])


def test_the_codes_are_left_as_they_were_and_the_images_are_the_callers(generator: Generator) -> None:
    codes = some_codes(generator)
    before = codes.copy()
    codes.flags.writeable = False
    images = generator.render(codes)
    kept = images.copy()
    images[:] = 0
    np.testing.assert_array_equal(codes, before)
    np.testing.assert_array_equal(generator.render(codes), kept)


def test_codes_of_another_shape_are_refused(generator: Generator) -> None:
    codes = some_codes(generator)
    for wrong in (codes[0], codes[..., :-1], codes[..., None], np.concatenate([codes, codes], axis=-1)):
        with pytest.raises(GeneratorError, match=r"renders codes of shape \[n_codes, .+\], got \["):
            generator.render(wrong)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_codes_that_are_not_finite_are_refused(generator: Generator, poison: float) -> None:
    codes = some_codes(generator)
    codes.flat[-1] = poison
    with pytest.raises(GeneratorError, match="finite"):
        generator.render(codes)


def test_images_of_any_size_become_codes_that_can_be_rendered(generator: Any) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 9, 9, 3), np.uint8)
    codes = generator.invert(images, n_steps=2)
    assert codes.dtype == np.float32
    assert generator.render(codes).shape == generator.render(some_codes(generator, 2)).shape
    assert generator.invert(images[:0], n_steps=2).shape == (0, *generator.code_shape)


@pytest.mark.parametrize("name", ["embedded", "deepsim-fc6"])
def test_what_has_weights_says_which(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thin_all(monkeypatch)
    own = {"weights": a_file(tmp_path, name), "device": "cpu"} if name != "embedded" else {}
    assert len(getattr(create(name, **own), "weights_sha256", "")) == 64
    assert len(getattr(create(name, size=32, **own), "weights_sha256", "")) == 64
