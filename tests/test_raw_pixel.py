"""The pixel generator is XDream's, to the level."""

import tracemalloc

import numpy as np
import pytest

from server.generators import GeneratorError, create


def test_levels_are_cut_and_not_rounded() -> None:
    generator = create("raw_pixel", size=1)
    codes = np.array([0, 0.5, 1, -3, 7, 0.999], np.float32).reshape(2, 1, 1, 3)
    np.testing.assert_array_equal(generator.render(codes).reshape(-1), [0, 127, 255, 0, 255, 254])


def test_the_code_range_is_white() -> None:
    generator = create("raw_pixel", size=1, code_range=4)
    codes = np.array([0, 2, 4], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(generator.render(codes).reshape(-1), [0, 127, 255])


def test_a_batch_is_as_one_image_after_another_and_needs_little_more_memory_than_its_pictures() -> None:
    generator = create("raw_pixel", size=32, code_range=3)
    codes = np.random.default_rng(0).normal(size=(64, 32, 32, 3)).astype(np.float32)
    tracemalloc.start()
    images = generator.render(codes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    alone = [generator.render(codes[i : i + 1]) for i in range(len(codes))]
    np.testing.assert_array_equal(images, np.concatenate(alone))
    assert peak < 2 * images.nbytes


@pytest.mark.parametrize("wrong", [{"size": 0}, {"code_range": 0}, {"code_range": float("nan")}])
def test_a_size_or_range_that_makes_no_image_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(GeneratorError, match="above 0"):
        create("raw_pixel", **wrong)
