"""Each algorithm against a plain transcription of its equations, or against another's implementation."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.optimizers import Optimizer, create
from server.optimizers.cholesky import times_factor, times_inverse
from server.optimizers.separable import utilities

Array = NDArray[np.float64]
D = 24
TARGET = 3 * np.sin(0.7 * np.arange(D))


def objective(codes: Array) -> Array:
    x = codes.reshape(len(codes), -1)
    return np.asarray(10 - np.linalg.norm(x - TARGET, axis=1) + 0.1 * np.cos(3 * x[:, 0]))


def generations(optimizer: Optimizer, n: int) -> Iterator[tuple[Array, Array]]:
    """Run an optimizer; before each tell, hand out its codes [n, d] undiminished by float32, and their scores."""
    for _ in range(n):
        optimizer.ask()
        codes = np.array(kept(optimizer)["_pending"])
        scores = objective(codes)
        yield codes, scores
        optimizer.tell(scores)


def kept(optimizer: Optimizer) -> dict[str, Any]:
    return dict(optimizer.snapshot()["kept"])


def normal_weights(n: int) -> Array:
    weights = np.array([np.log(n // 2 + 0.5) - np.log(i + 1) for i in range(n // 2)])
    return np.asarray(weights / weights.sum())


@pytest.mark.parametrize("antithetic", [True, False])
@pytest.mark.parametrize("n_samples", [10, 11])
def test_fdgd_is_xdreams(antithetic: bool, n_samples: int) -> None:
    radius, rate = 0.7, 0.3
    optimizer = create(
        "fdgd", (2, 3, 4), 5, n_samples=n_samples, search_radius=radius, learning_rate=rate,
        antithetic=antithetic, xdream_compatible=True,
    )  # fmt: skip
    random, centre = np.random.RandomState(5), np.zeros((2, 3, 4))
    for _ in range(20):
        steps = random.normal(scale=radius, size=(n_samples // 2 if antithetic else n_samples - 1, 2, 3, 4))
        theirs = [centre + step for step in steps]
        theirs += [centre - step for step in steps] if antithetic else [centre]
        np.testing.assert_allclose(optimizer.ask(), theirs, atol=1e-9)

        scores = objective(np.array(theirs))
        gradient = np.zeros_like(centre)
        for i, step in enumerate(steps):
            difference = (scores[i] - scores[len(steps) + i]) / 2 if antithetic else scores[i] - scores[-1]
            gradient += difference * step / np.mean(np.abs(step)) ** 2 / len(steps)
        centre = centre + rate * gradient
        optimizer.tell(scores)
        np.testing.assert_allclose(optimizer.recommend(), centre, atol=1e-9)
    assert np.linalg.norm(centre) > 1


@pytest.mark.parametrize("antithetic", [True, False])
@pytest.mark.parametrize("n_samples", [10, 11])
@pytest.mark.parametrize("radius_rate", [0, 0.05])
@pytest.mark.parametrize("eltwise", [False, True])
def test_nes_is_xdreams(antithetic: bool, n_samples: int, radius_rate: float, eltwise: bool) -> None:
    optimizer = create(
        "nes", (D,), 5, n_samples=n_samples, search_radius=0.7, learning_rate=0.3, antithetic=antithetic,
        search_radius_learning_rate=radius_rate, learn_search_radius_eltwise=eltwise, xdream_compatible=True,
    )  # fmt: skip
    random, centre, radius = np.random.RandomState(5), np.zeros(D), np.full(D if eltwise else 1, 0.7)
    for _ in range(20):
        z = random.normal(size=(n_samples // 2 if antithetic else n_samples, D))
        z = np.concatenate([z, -z]) if antithetic else z
        theirs = centre + radius * z
        np.testing.assert_allclose(optimizer.ask(), theirs, atol=1e-9)

        scores = objective(theirs)
        optimizer.tell(scores)
        centre = centre + 0.3 * np.mean([y * e for y, e in zip(scores, z, strict=True)], axis=0) / radius
        slope = np.array([y * (e**2 - 1) for y, e in zip(scores, z, strict=True)])
        slope = slope.mean(axis=0) if eltwise else slope.mean(keepdims=True)[0]
        radius = np.maximum(radius + radius_rate * slope / radius, 0.01)
        np.testing.assert_allclose(optimizer.recommend(), centre, atol=1e-9)
        np.testing.assert_allclose(kept(optimizer)["radius"], radius, atol=1e-9)
    assert np.linalg.norm(centre) > 1


@pytest.mark.parametrize("exact", [False, True])
def test_cma_is_the_cholesky_form_with_its_matrices(exact: bool) -> None:
    optimizer = create("cma", (D,), 1, population=12, sigma=0.5, exact=exact)
    m, sigma, p_s, p_c, a, a_inverse, since = np.zeros(D), 0.5, np.zeros(D), np.zeros(D), np.eye(D), np.eye(D), 0
    w = normal_weights(12)
    mueff = 1 / np.sum(w**2)
    c_c, c_1 = 4 / (D + 4), 2 / (D + np.sqrt(2)) ** 2
    c_s = np.sqrt(mueff) / (np.sqrt(mueff) + np.sqrt(D))
    damps = 1 + c_s + 2 * max(0, np.sqrt((mueff - 1) / (D + 1)) - 1)
    chi = np.sqrt(D) * (1 - 1 / (4 * D) + 1 / (21 * D**2))
    for codes, scores in generations(optimizer, 60):
        best = np.argsort(-scores)[:6]
        zw = w @ ((codes[best] - m) / sigma @ a_inverse)
        m = w @ codes[best]
        p_s = (1 - c_s) * p_s + np.sqrt(c_s * (2 - c_s) * mueff) * zw
        p_c = (1 - c_c) * p_c + np.sqrt(c_c * (2 - c_c) * mueff) * (zw @ a)
        sigma *= np.exp(c_s / damps * (np.linalg.norm(p_s) / chi - 1))
        since += 12
        if exact and since > 10 * 12:
            since, v = 0, p_c @ a_inverse
            n, root = v @ v, np.sqrt(1 + v @ v * c_1 / (1 - c_1))
            a = np.sqrt(1 - c_1) * a + np.sqrt(1 - c_1) / n * (root - 1) * np.outer(v, p_c)
            change = np.outer(a_inverse @ v, v) * (1 - 1 / root) / (np.sqrt(1 - c_1) * n)
            a_inverse = a_inverse / np.sqrt(1 - c_1) - change
    state = kept(optimizer)
    np.testing.assert_allclose(state["centre"], m, atol=1e-9)
    assert state["sigma"] == pytest.approx(sigma, rel=1e-9)
    np.testing.assert_allclose(times_factor(np.eye(D), state["axes"], c_1), a, atol=1e-9)
    assert len(state["axes"]) == (5 if exact else 0)


def test_the_factor_and_its_inverse_cancel() -> None:
    axes = np.random.default_rng(1).normal(size=(7, D))
    np.testing.assert_allclose(times_inverse(times_factor(np.eye(D), axes, 0.1), axes, 0.1), np.eye(D), atol=1e-12)


@pytest.mark.parametrize("n_genes", [32, 8192])
def test_the_exact_cma_keeps_vectors_and_no_matrix(n_genes: int) -> None:
    optimizer = create("cma", (n_genes,), 1, exact=True, update_every=1)
    for _ in range(6):
        optimizer.tell(np.asarray(optimizer.ask()).sum(axis=1))
    arrays = [value for value in kept(optimizer).values() if isinstance(value, np.ndarray)]
    assert kept(optimizer)["axes"].shape == (3, n_genes)
    assert all(np.isfinite(array).all() and array.size <= 3 * n_genes for array in arrays)
    assert np.isfinite(optimizer.ask()).all()


def test_sep_cma_is_the_cmaes_librarys() -> None:
    cmaes = pytest.importorskip("cmaes")
    optimizer = create("sep_cma", (D,), 1, population=13, sigma=0.5)
    theirs = cmaes.SepCMA(mean=np.zeros(D), sigma=0.5, population_size=13)
    for codes, scores in generations(optimizer, 80):
        theirs.tell(list(zip(codes, -scores, strict=True)))
    state = kept(optimizer)
    np.testing.assert_allclose(state["centre"], theirs._mean, atol=1e-10)
    np.testing.assert_allclose(state["variances"], theirs._C, rtol=1e-9)
    assert state["sigma"] == pytest.approx(theirs._sigma, rel=1e-9)


def test_snes_is_the_papers() -> None:
    optimizer = create("separable", (D,), 1, population=12, sigma=0.5)
    m, sigma = np.zeros(D), np.full(D, 0.5)
    raw = np.maximum(0, np.log(12 / 2 + 1) - np.log(np.arange(1, 13)))
    u = raw / raw.sum() - 1 / 12
    for codes, scores in generations(optimizer, 40):
        z = ((codes - m) / sigma)[np.argsort(-scores)]
        m, sigma = (
            m + sigma * np.sum(u[:, None] * z, axis=0),
            sigma * np.exp((3 + np.log(D)) / (5 * np.sqrt(D)) / 2 * np.sum(u[:, None] * (z**2 - 1), axis=0)),
        )
    np.testing.assert_allclose(kept(optimizer)["centre"], m, atol=1e-9)
    np.testing.assert_allclose(kept(optimizer)["sigma"], sigma, rtol=1e-9)
    assert utilities(40).sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("schedule", ["exp", "inv"])
def test_sphere_is_the_papers(schedule: str) -> None:
    n_generations, norm = 12, 30.0
    optimizer = create("sphere", (D,), 1, norm=norm, schedule=schedule, n_generations=n_generations)
    x, w = np.zeros(D), normal_weights(40)
    for generation, (codes, scores) in enumerate(generations(optimizer, n_generations + 4)):
        np.testing.assert_allclose(np.linalg.norm(codes, axis=1), norm)
        if generation == 0:
            x = w @ codes[np.argsort(-scores)[:20]]
            x *= norm / np.linalg.norm(x)
            continue
        assert len(codes) == 41
        np.testing.assert_allclose(codes[0], x, atol=1e-9)
        angles = np.degrees(np.arccos(np.clip(codes[1:] @ x / norm**2, -1, 1)))
        step = min(generation, n_generations) - 1
        wanted = 50 * (7.33 / 50) ** (step / (n_generations - 1))
        wanted = 15 + 1 / (0.0017 * generation + 0.0146) if schedule == "inv" else wanted
        assert np.sqrt(np.mean(angles**2)) == pytest.approx(wanted, rel=0.1)

        m = w @ codes[1:][np.argsort(-scores[1:])[:20]]
        m *= norm / np.linalg.norm(m)
        theta = np.arccos(x @ m / norm**2)
        x = (np.sin((1 - 1.5) * theta) * x + np.sin(1.5 * theta) * m) / np.sin(theta)
    np.testing.assert_allclose(kept(optimizer)["centre"], x, atol=1e-9)


def test_the_exp_schedule_holds_its_last_angle() -> None:
    optimizer = create("sphere", (4096,), 1)
    angles = []
    for generation in range(1, 100):
        optimizer.generation = generation  # type: ignore[attr-defined]
        angles.append(optimizer.angle_deg())  # type: ignore[attr-defined]
    published = {1: 50.0, 10: 39.6, 25: 26.8, 50: 14.0, 75: 7.33, 99: 7.33}
    for generation, angle in published.items():
        assert angles[generation - 1] == pytest.approx(angle, abs=0.06)
