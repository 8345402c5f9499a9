"""The genetic algorithm: XDream's own trace, and its defects mended."""

import numpy as np
import pytest
from numpy.typing import NDArray

from server.optimizers import Codes, OptimizerError, create
from server.optimizers.genetic import Genetic

nan = float("nan")


def a_genetic(population: int = 8, **parameters: float) -> Genetic:
    optimizer = create("genetic", (6,), 1, population=population, **parameters)
    assert isinstance(optimizer, Genetic)
    return optimizer


def objective(codes: Codes) -> NDArray[np.float64]:
    """The objective of the published trace: 10 - |x - t| + 0.1 cos(3 x_0), t_i = sin(0.7 i)."""
    x = codes.reshape(len(codes), -1)
    target = np.sin(0.7 * np.arange(x.shape[1]))
    return np.asarray(10 - np.linalg.norm(x - target, axis=1) + 0.1 * np.cos(3 * x[:, 0]))


def test_the_compatible_mode_is_xdream_to_the_ninth_digit() -> None:
    optimizer = create(
        "genetic", (4, 4, 3), 7, population=20, mutation_rate=0.5, mutation_size=0.5,
        selectivity=2, heritability=0.5, n_conserve=0, xdream_compatible=True,
    )  # fmt: skip
    sums = []
    for _ in range(5):
        codes = optimizer.ask()
        assert codes.dtype == np.float64
        optimizer.tell(objective(codes))
        sums.append(optimizer.ask().sum())
    assert sums == pytest.approx([-64.543239, -68.930678, -90.054663, -118.267264, -120.332472], abs=1e-6)
    assert isinstance(optimizer, Genetic)
    assert optimizer.best_score == pytest.approx(3.8387772731836103, abs=1e-9)


def test_the_best_score_is_the_true_one_and_the_best_code_is_the_one_that_drew_it() -> None:
    optimizer = a_genetic(n_conserve=0)
    codes = optimizer.ask()
    optimizer.tell([0, 1, 2, 9, 2, 1, 0, 0])
    assert optimizer.best_score == 9
    assert optimizer.best_code is not None
    np.testing.assert_array_equal(optimizer.best_code, codes[3])


def test_the_best_is_remembered_when_worse_generations_follow() -> None:
    optimizer = a_genetic()
    codes = optimizer.ask()
    optimizer.tell([0, 1, 2, 9, 2, 1, 0, 0])
    optimizer.ask()
    optimizer.tell([nan, 1, 2, 3, 2, 1, 0, 0])
    assert optimizer.best_score == 9
    np.testing.assert_array_equal(optimizer.best_code, codes[3])


def test_the_best_of_a_generation_stand_first_in_the_next() -> None:
    optimizer = a_genetic(n_conserve=2)
    codes = optimizer.ask()
    optimizer.tell([0, 8, 2, 9, 2, 1, 0, 0])
    np.testing.assert_array_equal(optimizer.ask()[:2], codes[[3, 1]])


def test_the_unmeasured_are_shown_again_unchanged() -> None:
    optimizer = a_genetic()
    codes = optimizer.ask()
    optimizer.tell([0, nan, 2, 9, nan, 1, 0, 0])
    following = optimizer.ask()
    assert len(following) == len(codes)
    np.testing.assert_array_equal(following[-2:], codes[[1, 4]])


@pytest.mark.parametrize("population", [3, 30])
def test_the_population_may_shrink_and_grow(population: int) -> None:
    optimizer = a_genetic(n_conserve=2)
    codes = optimizer.ask()
    optimizer.change(population=population)
    optimizer.tell([0, nan, 2, 9, nan, 8, nan, 0])
    following = optimizer.ask()
    assert len(following) == population
    np.testing.assert_array_equal(following[:2], codes[[3, 5]])


def test_equal_scores_make_equal_parents() -> None:
    optimizer = a_genetic(population=200, mutation_rate=0, n_conserve=0)
    codes = optimizer.ask()
    optimizer.tell(np.full(200, 3.0))
    np.testing.assert_allclose(optimizer.recommend(), codes.mean(0), atol=1e-6)


def test_a_hopeless_code_is_never_a_parent_of_much() -> None:
    optimizer = a_genetic(population=40, mutation_rate=0, n_conserve=0, selectivity=20)
    codes = optimizer.ask()
    optimizer.tell([100.0] * 20 + [-100.0] * 20)
    assert np.isin(optimizer.ask(), codes[:20]).all()


def test_an_outlier_does_not_take_the_whole_next_generation() -> None:
    scores = np.r_[np.arange(20.0), 1000.0]
    tame, wild = (a_genetic(population=21, mutation_rate=0) for _ in range(2))
    for optimizer, score in ((tame, scores), (wild, np.r_[np.arange(20.0), 1e6])):
        optimizer.ask()
        optimizer.tell(score)
    assert np.linalg.norm(tame.recommend() - wild.recommend()) < 1


def test_it_cannot_conserve_more_than_there_are() -> None:
    with pytest.raises(OptimizerError, match="n_conserve must be less than the population of 8, got 8"):
        a_genetic(n_conserve=8)
    with pytest.raises(OptimizerError, match="xdream_compatible cannot change"):
        a_genetic().change(xdream_compatible=True)
    with pytest.raises(OptimizerError, match=r"population must be a whole number at least 2, got 2\.5"):
        a_genetic().change(population=2.5)
