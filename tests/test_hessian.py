"""The axes along which pictures change: of a generator whose slope is known, kept in a file, and searched along."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from server.generators import GeneratorError
from server.generators.hessian import Axes, axes_of, load, main, principal_axes, save
from server.optimizers import OPTIMIZERS, OptimizerError, create

N_GENES, N_PIXELS, N_SHOWING = 40, 90, 5
STRENGTHS = np.array([9.0, 5.0, 3.0, 2.0, 1.0])
"""How much a step along each of five hidden directions changes the picture; the other 35 do not show."""
HIDDEN = np.linalg.qr(np.random.default_rng(3).standard_normal((N_GENES, N_SHOWING)))[0].T
TO_PIXELS = np.linalg.qr(np.random.default_rng(4).standard_normal((N_PIXELS, N_SHOWING)))[0].T
SLOPE = torch.from_numpy((HIDDEN.T * STRENGTHS) @ TO_PIXELS).float()


def linear(codes: Tensor) -> Tensor:
    return (codes.flatten(1) @ SLOPE).reshape(-1, 1, 9, 10)


def a_generator(weights_sha256: str = "abc", pictures: object = linear) -> SimpleNamespace:
    return SimpleNamespace(pictures=pictures, code_shape=(N_GENES,), weights_sha256=weights_sha256)


def test_the_axes_of_a_linear_generator_are_those_of_its_slope() -> None:
    axes = principal_axes(linear, (N_GENES,), N_SHOWING, n_slopes=4000)

    # The five found span the five hidden, the strongest is the strongest, and strengths are squares.
    overlaps = axes.directions @ HIDDEN.T
    np.testing.assert_allclose(np.linalg.svd(overlaps)[1], 1, atol=1e-4)
    assert abs(overlaps[0, 0]) > 0.99
    np.testing.assert_allclose(axes.strengths, STRENGTHS**2, rtol=0.15)
    np.testing.assert_allclose(axes.directions @ axes.directions.T, np.eye(N_SHOWING), atol=1e-4)


def test_the_codes_may_be_maps_and_features_may_stand_for_pixels() -> None:
    def left_half(codes: Tensor) -> Tensor:
        return linear(codes)[..., :5]

    axes = principal_axes(left_half, (10, 2, 2), 3, n_slopes=50)

    assert axes.directions.shape == (3, N_GENES)


def test_equal_seeds_give_equal_axes() -> None:
    some, same, other = (principal_axes(linear, (N_GENES,), 3, n_slopes=20, seed=seed) for seed in (1, 1, 2))

    assert np.array_equal(some.directions, same.directions)
    assert not np.array_equal(some.directions, other.directions)


@pytest.mark.parametrize("n_axes", [0, 41, 21])
def test_more_axes_than_there_can_be_are_refused(n_axes: int) -> None:
    with pytest.raises(GeneratorError, match=f"Got {n_axes}"):
        principal_axes(linear, (N_GENES,), n_axes, n_slopes=20)


def test_axes_are_kept_with_the_weights_they_are_of(tmp_path: Path) -> None:
    file = tmp_path / "axes.npz"
    made = axes_of(a_generator(), 4, 50, keep=file)

    def never(codes: Tensor) -> Tensor:
        raise AssertionError("made again")

    kept = axes_of(a_generator(pictures=never), 3, 50, keep=file)
    assert np.array_equal(kept.directions, made.directions[:3])

    # Of other weights they are made again.
    axes_of(a_generator("def"), 4, 50, keep=file)
    assert load(file).weights_sha256 == "def"
    with pytest.raises(GeneratorError, match=r"weights def.*make them again"):
        load(file, "abc")


def test_a_file_without_axes_says_how_to_make_them(tmp_path: Path) -> None:
    file = tmp_path / "axes.npz"
    with pytest.raises(GeneratorError, match=r"there is no file .*axes\.npz\. Make it: .*server\.generators\.hessian"):
        load(file)
    save(Axes(np.eye(9, dtype=np.float32), np.ones(9, np.float32)), file)
    np.savez_compressed(tmp_path / "damaged.npz", directions=np.eye(90), strengths=np.ones(90))
    damaged = bytearray((tmp_path / "damaged.npz").read_bytes())
    damaged[60:80] = bytes(20)
    np.savez(tmp_path / "words.npz", directions=np.array(["up"]), strengths=np.ones(1))
    contents = file.read_bytes()[:300], bytes(damaged), (tmp_path / "words.npz").read_bytes()
    for content in (b"nothing of the kind", b"", *contents):
        file.write_bytes(content)
        with pytest.raises(GeneratorError, match=r"holds no axes.*server\.generators\.hessian"):
            load(file)


def test_a_generator_that_is_no_network_is_refused() -> None:
    with pytest.raises(GeneratorError, match="is no network"):
        axes_of(SimpleNamespace(code_shape=(3,), weights_sha256=""), 1, 5)


def test_the_command_writes_the_axes_of_a_generator(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["embedded", str(tmp_path / "axes.npz"), "--axes", "8", "--slopes", "16"])

    said = capsys.readouterr()
    assert "8 axes" in said.out and "16 slopes" in said.err and "100%" in said.err
    assert load(tmp_path / "axes.npz").directions.shape == (8, 256)
    with pytest.raises(SystemExit):
        main(["embedded", str(tmp_path / "axes.npz"), "--axes", "300"])
    assert "slopes \u2501" not in capsys.readouterr().err, "a wish that is refused draws no bar"


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_a_search_in_a_subspace_stays_in_it_and_climbs(name: str) -> None:
    target = 30 * HIDDEN[2]
    search = create(name, (8, 5), 1, subspace=HIDDEN)

    def nearness(codes: np.ndarray) -> np.ndarray:
        return -np.sum((codes.reshape(len(codes), -1) - target) ** 2, axis=1)

    codes = search.ask()
    assert codes.shape[1:] == (8, 5)
    for _ in range(40):
        codes = search.ask().reshape(-1, N_GENES)
        np.testing.assert_allclose(codes @ HIDDEN.T @ HIDDEN, codes, atol=1e-4)
        search.tell(nearness(codes))
    found = search.recommend().ravel()
    assert found @ target > 0.6 * np.linalg.norm(found) * np.linalg.norm(target)


def test_initial_codes_are_taken_to_the_nearest_in_the_subspace() -> None:
    inside = np.array([[3.0, 1, 0, 0, 2], [0, 5, 1, 0, 0]])
    outside = np.random.default_rng(1).standard_normal((2, N_GENES))
    outside -= outside @ HIDDEN.T @ HIDDEN
    search = create("genetic", (N_GENES,), 1, subspace=HIDDEN, initial_codes=inside @ HIDDEN + outside, population=2)

    np.testing.assert_allclose(search.ask(), inside @ HIDDEN, atol=1e-5)


def test_a_snapshot_is_for_its_own_subspace() -> None:
    search = create("sphere_mirror", (N_GENES,), 1, subspace=HIDDEN)
    search.tell(np.arange(len(search.ask())))
    woken = create("sphere_mirror", (N_GENES,), 2, subspace=HIDDEN)
    woken.restore(search.snapshot())
    assert np.array_equal(woken.ask(), search.ask())

    for other in ({}, {"subspace": HIDDEN[:4]}):
        with pytest.raises(OptimizerError, match="another subspace"):
            create("sphere_mirror", (N_GENES,), 1, **other).restore(search.snapshot())


@pytest.mark.parametrize("subspace", [np.zeros((2, 39)), np.zeros(40), np.full((1, 40), np.nan), np.zeros((41, 40))])
def test_a_subspace_of_another_space_is_refused(subspace: np.ndarray) -> None:
    with pytest.raises(OptimizerError, match=r"subspace must be finite, of shape \[n_axes, 40\]"):
        create("cma", (N_GENES,), 1, subspace=subspace)


def test_axes_survive_the_file(tmp_path: Path) -> None:
    axes = principal_axes(linear, (N_GENES,), 3, n_slopes=20, weights_sha256="abc")
    save(axes, tmp_path / "axes.npz")
    again = load(tmp_path / "axes.npz", "abc")
    assert np.array_equal(again.directions, axes.directions)
    assert np.array_equal(again.strengths, axes.strengths)
