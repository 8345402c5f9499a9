"""Searches begin where they are told to: at random, at codes from before, at images."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from protocol.ids import stimulus_id
from server import build, initial_codes, optimizers
from server.config import ConfigError, parse_config
from server.evolution import References
from server.generators import Generator, create
from server.generators.deepsim_networks import VARIANTS
from server.initial_codes import InitialCodesError
from server.pictures import to_png
from server.session_file import SessionFile
from tests.played import CONFIG, built
from tests.small_networks import a_file, thin_all

SEED = (7, 1)


@pytest.fixture
def pixels() -> Generator:
    return create("raw_pixel", size=8)


def some_images(n: int = 4, size: int = 8) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, size, size, 3), np.uint8)


def test_statistics_are_those_asked_for_and_clipped_at_zero(pixels: Generator) -> None:
    codes = initial_codes.create("statistics", pixels, SEED, n=200, mean=-15.18, sd=15.08)
    assert codes.dtype == np.float32
    assert codes.shape == (200, 8, 8, 3)
    assert codes.min() == 0
    assert (codes == 0).mean() == pytest.approx(0.843, abs=0.01)  # as in the published experiments
    signed = initial_codes.create("statistics", pixels, SEED, n=200, mean=2, sd=3, clip=False)
    assert (signed.mean(), signed.std()) == (pytest.approx(2, abs=0.05), pytest.approx(3, abs=0.05))


@pytest.mark.parametrize("name", ["deepsim-fc6", "deepsim-fc7", "deepsim-fc8", "deepsim-fc6-places"])
def test_statistics_that_are_not_given_are_those_of_the_generators_layer(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual_rms = VARIANTS[name].code_rms
    thin_all(monkeypatch)
    generator = create(name, weights=a_file(tmp_path, name), device="cpu", size=64)
    codes = initial_codes.create("statistics", generator, SEED, n=1000)
    assert np.sqrt(np.square(codes).mean()) == pytest.approx(usual_rms, rel=0.05)
    assert (codes.min() < 0) == (name == "deepsim-fc8"), "fc8 is not rectified"
    if "fc6" in name:
        assert (codes == 0).mean() == pytest.approx(0.843, abs=0.01)


def test_the_embedded_generators_codes_are_not_clipped_unless_somebody_says_so() -> None:
    embedded = create("embedded")
    codes = initial_codes.create("statistics", embedded, SEED, n=200)
    assert (codes.mean(), codes.std()) == (pytest.approx(0, abs=0.02), pytest.approx(1, abs=0.02))
    assert initial_codes.create("statistics", embedded, SEED, clip=True).min() == 0
    given = initial_codes.create("statistics", embedded, SEED, mean=0, sd=1)
    np.testing.assert_array_equal(given, initial_codes.create("statistics", embedded, SEED, sd=1))
    assert given.min() == 0, "as in sessions of before, where they are given"


def test_statistics_that_nobody_states_are_asked_for(pixels: Generator, tmp_path: Path) -> None:
    with pytest.raises(InitialCodesError, match=r"does not say how its codes are spread\. Give mean and sd, or file"):
        initial_codes.create("statistics", pixels, SEED)
    initial = 'initial = { name = "statistics" }'
    with pytest.raises(ConfigError, match=r"'genetic left', \[evolution.initial\]: .* Give mean and sd, or file"):
        build.build_evolutions(parse_config(CONFIG.replace("repeats = 2", f"repeats = 2\n{initial}"), "a.toml"))


def test_each_number_may_have_statistics_of_its_own(pixels: Generator, tmp_path: Path) -> None:
    mean = np.arange(192.0).reshape(8, 8, 3)
    np.savez(tmp_path / "layer.npz", mean=mean, sd=np.zeros_like(mean))
    codes = initial_codes.create("statistics", pixels, SEED, n=2, file=str(tmp_path / "layer.npz"))
    np.testing.assert_array_equal(codes, [mean, mean])


def test_the_same_seed_begins_at_the_same_codes(pixels: Generator, tmp_path: Path) -> None:
    for name in "abcdef":
        np.save(tmp_path / f"{name}.npy", np.full((8, 8, 3), ord(name), np.float16))
    for name, own in (("normal", {}), ("folder", {"folder": tmp_path, "n": 3})):
        first, again = (initial_codes.create(name, pixels, SEED, **own) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert (initial_codes.create(name, pixels, (7, 2), **own) != first).any()


def test_a_folder_of_codes_is_drawn_from_without_replacement(pixels: Generator, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.full((8, 8, 3), 1.0))
    np.save(tmp_path / "more.npy", np.stack([np.full((8, 8, 3), value) for value in (2.0, 3.0)]))
    assert len(initial_codes.create("folder", pixels, SEED, folder=tmp_path)) == 3
    drawn = initial_codes.create("folder", pixels, SEED, folder=tmp_path, n=3)
    assert sorted(drawn[:, 0, 0, 0].tolist()) == [1, 2, 3]


def test_images_of_a_folder_become_codes_that_draw_them(tmp_path: Path) -> None:
    pixels = create("raw_pixel", size=256)
    for i, image in enumerate(some_images(3, 256)):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    codes = initial_codes.create("images", pixels, SEED, folder=tmp_path)
    np.testing.assert_array_equal(pixels.render(codes), some_images(3, 256))


def test_the_best_references_come_first_and_what_was_not_measured_not_at_all(pixels: Generator) -> None:
    scores = np.array([1.0, np.nan, 5.0, 3.0])
    codes = initial_codes.from_best(pixels, some_images(), scores, n=2)
    np.testing.assert_array_equal(pixels.render(codes), some_images()[[2, 3]])
    with pytest.raises(InitialCodesError, match="none of the images was measured"):
        initial_codes.from_best(pixels, some_images(), np.full(4, np.nan))


def test_the_best_references_of_an_earlier_session_are_begun_with(pixels: Generator, tmp_path: Path) -> None:
    ids = np.array([stimulus_id(0, 0, i) for i in range(4)], np.int64)
    shown = References(ids, some_images(), tuple("abcd"))
    with closing(SessionFile.create(tmp_path / "s.xdream", lambda: 0.0, {})) as file:
        with file.transaction():
            file.add_references(shown, tuple(to_png(image) for image in shown.images))
        rows = [(1, 0, int(ids[1]), 2.0), (1, 0, int(ids[3]), 9.0), (1, 0, int(ids[2]), None)]
        file.connection.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", rows)
    codes = initial_codes.create("references", pixels, SEED, session=tmp_path / "s.xdream")
    np.testing.assert_array_equal(pixels.render(codes), some_images()[[3, 1]])
    with pytest.raises(InitialCodesError, match=r"evolution 2 of .* has no scored reference images"):
        initial_codes.create("references", pixels, SEED, session=tmp_path / "s.xdream", evolution=2)


def test_an_optimizer_begins_with_them(pixels: Generator) -> None:
    codes = initial_codes.create("normal", pixels, SEED, n=10)
    genetic = optimizers.create("genetic", pixels.code_shape, SEED, population=10, initial_codes=codes)
    np.testing.assert_allclose(np.sort(genetic.ask(), axis=None), np.sort(codes, axis=None))


@pytest.mark.parametrize(
    ("name", "own", "sentence"),
    [
        ("folder", {"folder": "nowhere"}, "there is no folder nowhere"),
        ("images", {"folder": "nowhere", "n": 3}, "there is no folder nowhere"),
        ("folder", {"folder": "docs"}, "docs holds 0 codes in .npy files, not 1"),
        ("images", {"folder": "docs", "n": 3}, "docs holds 0 pictures, not 3"),
        ("statistics", {"sd": -1}, "sd 0 or more"),
        ("statistics", {"file": "nowhere.npz"}, "initial codes: there is no file nowhere.npz"),
        ("statistics", {"file": "README.md"}, r"README.md is no .npz file of numbers: "),
        ("statistik", {}, r"no initial codes named 'statistik'\. Did you mean 'statistics'\?"),
    ],
)
def test_codes_that_cannot_be_had_are_said_to_be_missing(
    name: str, own: dict[str, Any], sentence: str, pixels: Generator
) -> None:
    with pytest.raises(InitialCodesError, match=sentence):
        initial_codes.create(name, pixels, SEED, **own)


def test_a_file_of_other_codes_is_named(pixels: Generator, tmp_path: Path) -> None:
    np.save(tmp_path / "other.npy", np.zeros((4096,)))
    with pytest.raises(InitialCodesError, match=r"other.npy holds float64 of \[4096\], and should hold finite codes"):
        initial_codes.create("folder", pixels, SEED, folder=tmp_path)


def test_a_generator_finds_its_own_pictures_again() -> None:
    generator: Any = create("torch_module", module="tests.small_networks:one_code", code_shape=[10], device="cpu")
    images = generator.render(np.random.default_rng(3).normal(size=(5, 10)))
    found = generator.render(generator.invert(images))
    assert abs(found.astype(int) - images).max() <= 3


def test_black_beyond_black_is_no_difference_where_the_image_is_black(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thin_all(monkeypatch)
    generator: Any = create("deepsim-fc8", weights=a_file(tmp_path, "deepsim-fc8"), device="cpu")
    images = generator.render(3 * np.random.default_rng(3).normal(size=(2, *generator.code_shape)))
    assert np.isin(images, (0, 255)).mean() > 0.5
    found = generator.render(generator.invert(images, n_steps=30))
    unlike = np.square(images[0].astype(float) - images[1]).mean()
    assert np.square(found.astype(float) - images).mean() < 0.6 * unlike


def test_equal_images_become_equal_codes_in_any_company() -> None:
    generator: Any = create("torch_module", module="tests.small_networks:one_code", code_shape=[10], device="cpu")
    images = some_images(3)
    images[2] = images[0]
    codes = generator.invert(images, n_steps=30)
    np.testing.assert_allclose(codes[0], codes[2], atol=1e-5)
    np.testing.assert_allclose(codes[:1], generator.invert(images[:1], n_steps=30), atol=1e-4)


def test_a_session_resumed_before_its_first_generation_begins_where_the_configuration_says(tmp_path: Path) -> None:
    """As when the address was taken: the file is there, and nothing was asked for yet."""
    initial = 'initial = { name = "statistics", n = 8, mean = 100 }'
    with built(tmp_path / "s.xdream", CONFIG.replace("repeats = 2", f"repeats = 2\n{initial}")) as made:
        asked = made.evolutions[0].optimizer.ask()
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    np.testing.assert_array_equal(again.evolutions[0].optimizer.ask(), asked)
    again.file.close()
