"""Pictures are cut, scaled, made grey, set to one contrast and masked as asked, and by whatever they were drawn."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.generators import GeneratorError, create
from server.generators.contrast import rms_contrast, with_rms_contrast
from server.generators.raw_pixel import RawPixel
from server.generators.shaping import Shape, Shaped, grey, resized, window


def noise(n: int = 3, height: int = 24, width: int = 24, low: int = 0, high: int = 256) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(low, high, (n, height, width, 3), np.uint8)


def drawn(images: NDArray[np.uint8], **shape: Any) -> NDArray[np.uint8]:
    """Return what a generator of these very images renders with such parameters."""
    generator = RawPixel(images.shape[1])
    return Shaped(generator, Shape(**shape)).render(generator.invert(images))


def test_a_crop_keeps_the_middle_as_the_old_generators_did() -> None:
    images = noise(1, 256, 256)
    np.testing.assert_array_equal(drawn(images, crop=227), images[:, 14:241, 14:241])
    assert drawn(images, crop=[100, 60]).shape == (1, 100, 60, 3)


def test_shrinking_averages_areas() -> None:
    images = noise(2, 24, 24)
    blocks = images.reshape(2, 8, 3, 8, 3, 3).mean(axis=(2, 4))
    assert abs(resized(images, 8) - blocks).max() <= 0.5
    # Where a new pixel covers parts of old ones, each counts by its part.
    row = np.array([0, 90, 255], np.uint8).reshape(1, 1, 3, 1).repeat(3, axis=3)
    assert resized(row, (1, 2))[0, 0, :, 0].tolist() == [30, 200]


def test_enlarging_is_opencvs_cubic_to_one_level() -> None:
    row = np.array([0, 0, 200, 255, 40, 90], np.uint8).reshape(1, 1, 6, 1).repeat(3, axis=3)
    opencv = np.array([0, 0, 0, 0, 53, 138, 218, 255, 255, 199, 97, 31, 45, 84, 95])  # 5.0.0, cv2.INTER_CUBIC
    assert abs(resized(row, (1, 15))[0, 0, :, 0] - opencv).max() <= 1
    column = np.array([0, 0, 0, 43, 149, 241, 255, 210, 85, 29, 71, 95])
    assert abs(resized(row.transpose(0, 2, 1, 3), (12, 1))[0, :, 0, 1] - column).max() <= 1
    wide = noise(1, 12, 4)
    np.testing.assert_array_equal(resized(wide, (6, 8)), resized(resized(wide, (6, 4)), (6, 8)))
    assert resized(wide[:0], 30).shape == (0, 30, 30, 3)


def test_enlarging_keeps_a_flat_picture_flat_and_a_mean_where_it_is() -> None:
    assert (resized(np.full((1, 8, 8, 3), 77, np.uint8), 50) == 77).all()
    assert abs(resized(noise(1, 16, 16, 60, 200), 64).mean() - noise(1, 16, 16, 60, 200).mean()) < 2


def test_grey_is_luminance_in_all_three_colours() -> None:
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 200, 200]], np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(grey(colours)[0, :, :, 0].ravel(), [76, 150, 29, 200])
    assert (np.ptp(drawn(noise(), grey=True), axis=3) == 0).all()


@pytest.mark.parametrize("aperture", ["circle", "gaussian"])
def test_an_aperture_shows_the_middle_and_the_background_around_it(aperture: str) -> None:
    images = np.full((1, 65, 65, 3), 250, np.uint8)
    seen = drawn(images, aperture=aperture, background=40)[0, :, :, 0]
    assert seen[32, 32] == 250
    assert seen[0, 0] == 40
    assert seen[32, 0] == (250 if aperture == "circle" else 43)
    np.testing.assert_array_equal(seen, seen.T)


def test_a_circle_covers_the_area_of_a_circle() -> None:
    assert window("circle", 100).sum() == pytest.approx(np.pi * 50**2, rel=0.01)
    assert window("gaussian", 100)[50, 0] < 0.02


@pytest.mark.parametrize("target", [0.05, 0.2, 0.35])
def test_pictures_are_set_to_one_contrast_as_shown(target: float) -> None:
    images = grey(np.concatenate([noise(high=40), noise(), noise(low=200), resized(noise(3, 6, 6), 24)]))
    assert rms_contrast(with_rms_contrast(images, target)) == pytest.approx(target, abs=0.003)


def test_setting_the_contrast_keeps_the_mean_and_the_hue_where_nothing_clips() -> None:
    images = noise(1, low=100, high=150)
    changed = with_rms_contrast(images, 0.08).astype(float)
    assert changed.mean() == pytest.approx(images.mean(), abs=0.5)
    ratio = (changed - images.mean()) / np.where(abs(images - images.mean()) < 5, np.nan, images - images.mean())
    assert np.nanstd(ratio) < 0.15


def test_a_contrast_that_cannot_be_reached_is_come_near_to_and_measured() -> None:
    flat, dot = np.full((1, 24, 24, 3), 90, np.uint8), np.full((1, 24, 24, 3), 90, np.uint8)
    dot[0, 3, 3] = 91
    np.testing.assert_array_equal(with_rms_contrast(flat, 0.2), flat)
    assert 0 < rms_contrast(with_rms_contrast(dot, 0.2))[0] < 0.01


def test_contrast_inside_an_aperture_is_that_of_what_it_shows() -> None:
    shown = drawn(noise(3, 64, 64, 90, 160), rms_contrast=0.2, aperture="circle")
    assert rms_contrast(shown, window("circle", 64)) == pytest.approx(0.2, abs=0.004)


def test_everything_at_once() -> None:
    images = drawn(noise(2, 64, 64), crop=60, size=30, grey=True, rms_contrast=0.1, aperture="circle", background=0)
    assert images.shape == (2, 30, 30, 3)
    assert (images[:, 0, 0] == 0).all()


def test_shaped_pictures_are_turned_into_codes_too() -> None:
    images = noise(2, 8, 8)
    generator: Any = create("raw_pixel", size=12, crop=8)
    np.testing.assert_array_equal(generator.render(generator.invert(images)), images)
    other: Any = create("tests.test_shaping:Mute", grey=True)
    with pytest.raises(GeneratorError, match="Mute cannot turn images into codes"):
        other.invert(images)


class Mute:
    """A lab's own generator, without weights or inversion, that takes any parameter."""

    code_shape = (2,)

    def __init__(self, **anything: object) -> None:
        self.anything = anything

    def render(self, codes: Any) -> NDArray[np.uint8]:
        return np.zeros((len(codes), 4, 4, 3), np.uint8)


def test_a_parameter_that_a_generator_has_itself_is_its_own() -> None:
    assert create("raw_pixel", size=20).code_shape == (20, 20, 3)
    mute: Any = create("tests.test_shaping:Mute", colour="red", size=9)
    assert mute.generator.anything == {"colour": "red"}
    assert mute.render(np.zeros((1, 2))).shape == (1, 9, 9, 3)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"apperture": "circle"}, r"no parameter 'apperture'\. Did you mean 'aperture'\?"),
        ({"aperture": "square"}, 'aperture must be "circle" or "gaussian", got \'square\''),
        ({"crop": 17}, r"crop \[17, 17\] is larger than the generator's picture, \[16, 16\] pixels"),
        ({"crop": [4, -1]}, r"crop must be a number of pixels up to 4096, or \[height, width\]"),
        ({"background": 300}, "background must be 0 black to 255 white, got 300"),
        ({"background": "grey"}, "background must be 0 black to 255 white, got 'grey'"),
        ({"grey": "yes"}, "grey must be true or false, got 'yes'"),
        ({"rms_contrast": "0.2"}, "rms_contrast must be above 0 and at most 0.5"),
        ({"rms_contrast": 0.7}, "rms_contrast must be above 0 and at most 0.5"),
    ],
)
def test_a_wrong_shape_is_answered_in_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(GeneratorError, match=sentence):
        create("raw_pixel", size=16, **wrong)
