"""What every generator promises, whatever it draws with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import server.generators
from server.generators import GENERATORS, Generator, GeneratorError, create

PARAMETERS: dict[str, dict[str, Any]] = {"raw_pixel": {"size": 16}}
"""What keeps a generator small enough to test in a moment."""
WEIGHTS: dict[str, str] = {"embedded": "embedded.safetensors"}


@pytest.fixture(params=list(GENERATORS))
def generator(request: pytest.FixtureRequest) -> Generator:
    weights = Path(server.generators.__file__).parent / WEIGHTS.get(request.param, "")
    if not weights.exists():
        pytest.skip(f"{weights.name} is not trained yet")
    return create(request.param, **PARAMETERS.get(request.param, {}))


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
