"""What every optimizer promises, whatever its algorithm."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from server.optimizers import OPTIMIZERS, Codes, Optimizer, OptimizerError, create

SHAPE = (3, 4, 4)
N_GENES = 48
NORM = 32.5
"""A usual length for a code of 48 genes: 4.7 a gene, as 300 is for fc6's 4096."""
TARGET = np.random.default_rng(5).normal(size=N_GENES)
TARGET *= NORM / np.linalg.norm(TARGET)

BY_RANK = {"cma", "sep_cma", "separable", "sphere", "sphere_mirror"}
"""Those that look at scores' ranks alone."""
SIZE = {"fdgd": "n_samples", "nes": "n_samples"}

Landscape = Callable[[Codes], NDArray[np.float64]]


@pytest.fixture(params=list(OPTIMIZERS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def an_optimizer(name: str, seed: int = 1, **parameters: Any) -> Optimizer:
    return create(name, SHAPE, seed, **parameters)


def nearness(codes: Codes) -> NDArray[np.float64]:
    """A quadratic with its top at the target."""
    return np.asarray(-np.sum((codes.reshape(-1, N_GENES) - TARGET) ** 2, axis=1), np.float64)


def evolved(optimizer: Optimizer, n_generations: int, landscape: Landscape = nearness) -> list[Codes]:
    """Run some generations and return what each showed, and what the next would show."""
    shown = []
    for _ in range(n_generations):
        shown.append(optimizer.ask())
        optimizer.tell(landscape(shown[-1]))
    return [*shown, optimizer.ask()]


def gain(optimizer: Optimizer, landscape: Landscape, n_generations: int) -> float:
    """Return by how much the recommended code comes nearer to the target, as a share of the way."""
    optimizer.ask()
    before = nearness(optimizer.recommend())[0]
    evolved(optimizer, n_generations, landscape)
    return float(1 - nearness(optimizer.recommend())[0] / before)


def same(some: list[Codes], others: list[Codes]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(some, others, strict=True))


def written_and_read(value: Any) -> Any:
    """Return a snapshot as it comes back from a file: no tuples, no objects, arrays read-only."""
    match value:
        case np.ndarray():
            return np.frombuffer(value.tobytes(), value.dtype).reshape(value.shape)
        case dict():
            assert all(isinstance(key, str) for key in value)
            return {key: written_and_read(each) for key, each in value.items()}
        case list():
            return [written_and_read(each) for each in value]
    assert value is None or type(value) in (bool, int, float, str), f"{value!r} is no plain value"
    assert type(value) is not int or abs(value) < 2**63
    return json.loads(json.dumps(value))


def test_codes_are_float32_of_the_code_shape(name: str) -> None:
    optimizer = an_optimizer(name)
    for codes in evolved(optimizer, 3):
        assert codes.dtype == np.float32
        assert codes.shape == (len(codes), *SHAPE)
        assert np.isfinite(codes).all()
    assert optimizer.recommend().shape == SHAPE
    assert optimizer.recommend().dtype == np.float32


def test_a_seed_says_everything(name: str) -> None:
    assert same(evolved(an_optimizer(name, 1), 4), evolved(an_optimizer(name, 1), 4))
    assert not np.array_equal(an_optimizer(name, 1).ask(), an_optimizer(name, 2).ask())


def test_each_evolution_of_a_session_has_a_stream_of_its_own(name: str) -> None:
    first, second = (create(name, SHAPE, (7, evolution)) for evolution in (0, 1))
    assert not np.array_equal(first.ask(), second.ask())


def test_an_ask_stands_until_it_is_told(name: str) -> None:
    optimizer = an_optimizer(name)
    codes = optimizer.ask()
    assert np.array_equal(optimizer.ask(), codes)
    optimizer.tell(nearness(codes))
    assert not np.array_equal(optimizer.ask(), codes)


def test_a_generation_of_which_nothing_was_measured_is_shown_again(name: str) -> None:
    optimizer, untroubled = an_optimizer(name), an_optimizer(name)
    codes = untroubled.ask()
    for _ in range(2):
        assert np.array_equal(optimizer.ask(), codes)
        optimizer.tell(np.full(len(codes), np.nan))
    assert same(evolved(optimizer, 3), evolved(untroubled, 3))


def test_scores_may_be_missing(name: str) -> None:
    random = np.random.default_rng(0)

    def patchy(codes: Codes) -> NDArray[np.float64]:
        return np.where(random.random(len(codes)) < 0.3, np.nan, nearness(codes))

    assert gain(an_optimizer(name), patchy, 60) > 0.1


def test_a_lone_score_is_survived(name: str) -> None:
    optimizer = an_optimizer(name)
    for index in (0, -1):
        scores = np.full(len(optimizer.ask()), np.nan)
        scores[index] = 3.0
        optimizer.tell(scores)
    assert np.isfinite(optimizer.ask()).all()


@pytest.mark.parametrize("between", ["told", "asked", "unheard"])
def test_it_wakes_as_it_went_to_sleep(name: str, between: str) -> None:
    optimizer = an_optimizer(name)
    evolved(optimizer, 3)
    if between == "told":
        optimizer.tell(nearness(optimizer.ask()))
    if between == "unheard":
        optimizer.tell(np.full(len(optimizer.ask()), np.nan))
    snapshot = written_and_read(optimizer.snapshot())

    woken = an_optimizer(name, seed=99)
    woken.restore(snapshot)

    assert np.array_equal(woken.recommend(), optimizer.recommend())
    assert same(evolved(woken, 4), evolved(optimizer, 4))


def test_a_snapshot_at_the_very_start_holds_the_start(name: str) -> None:
    initial = np.random.default_rng(3).normal(size=(5, *SHAPE))
    optimizer, woken = an_optimizer(name, initial_codes=initial), an_optimizer(name, seed=99)
    woken.restore(written_and_read(optimizer.snapshot()))
    assert same(evolved(woken, 3), evolved(optimizer, 3))


def test_a_snapshot_does_not_age(name: str) -> None:
    optimizer = an_optimizer(name)
    evolved(optimizer, 2)
    snapshot, copy = optimizer.snapshot(), written_and_read(optimizer.snapshot())
    evolved(optimizer, 3)
    np.testing.assert_equal(snapshot, copy)

    # Nor does waking from it tie the two together.
    woken = an_optimizer(name)
    woken.restore(snapshot)
    evolved(woken, 3)
    np.testing.assert_equal(snapshot, copy)


def test_a_snapshot_is_for_its_own_kind(name: str) -> None:
    snapshot = an_optimizer(name).snapshot()
    with pytest.raises(OptimizerError, match=r"of shape \(48,\)"):
        create(name, (48,), 1).restore(snapshot)
    with pytest.raises(OptimizerError, match="another"):
        an_optimizer(name).restore({**snapshot, "optimizer": "another"})


def test_the_callers_arrays_stay_theirs(name: str) -> None:
    initial = np.random.default_rng(3).normal(size=(6, *SHAPE))
    initial.flags.writeable = False
    optimizer, untouched = (an_optimizer(name, initial_codes=initial) for _ in range(2))
    for _ in range(3):
        codes = optimizer.ask()
        scores = nearness(codes)
        scores.flags.writeable = False
        codes[:] = 0
        optimizer.tell(scores)
        untouched.tell(nearness(untouched.ask()))
        optimizer.recommend()[:] = 0
    assert np.array_equal(optimizer.ask(), untouched.ask())


def test_scores_may_be_a_list(name: str) -> None:
    optimizer, other = an_optimizer(name), an_optimizer(name)
    scores = nearness(optimizer.ask())
    optimizer.tell(scores.tolist())
    other.ask()
    other.tell(scores)
    assert np.array_equal(optimizer.ask(), other.ask())


def test_the_units_of_the_scores_do_not_matter(name: str) -> None:
    plain, scaled = an_optimizer(name), an_optimizer(name)
    as_rates = evolved(plain, 5)
    as_counts = evolved(scaled, 5, lambda codes: 1024 * nearness(codes) + 4096)
    np.testing.assert_allclose(as_counts[-1], as_rates[-1], atol=1e-4)


@pytest.mark.parametrize("name", sorted(BY_RANK & set(OPTIMIZERS)))
def test_a_search_by_rank_sees_ranks_alone(name: str) -> None:
    plain, bent = an_optimizer(name), an_optimizer(name)
    assert same(evolved(plain, 5), evolved(bent, 5, lambda codes: np.exp(nearness(codes) / 500)))


def other_places(name: str, n_codes: int) -> NDArray[np.intp]:
    """Return [n_codes] places for a batch in another order, in which what belongs to a place keeps it."""
    random, half = np.random.default_rng(2), n_codes // 2
    if name == "fdgd":  # the two sides of a step are half a batch apart
        pairs = random.permutation(half)
        return np.concatenate([pairs, half + pairs])
    if name == "sphere":  # the centre comes first
        return np.concatenate([[0], 1 + random.permutation(n_codes - 1)])
    return random.permutation(n_codes)


@pytest.mark.parametrize("lost", [0, 7])
def test_the_order_of_a_batch_does_not_matter(name: str, lost: int) -> None:
    optimizer, other = an_optimizer(name), an_optimizer(name)
    codes = evolved(optimizer, 2)[-1]
    scores, places = nearness(codes), other_places(name, len(codes))
    scores[1 : 1 + lost] = np.nan

    # The same codes in another order, and each with its own score.
    snapshot = optimizer.snapshot()
    snapshot["kept"]["_pending"] = snapshot["kept"]["_pending"][places]
    other.restore(snapshot)
    assert np.array_equal(other.ask(), codes[places])
    assert not np.array_equal(other.ask(), codes)
    optimizer.tell(scores)
    other.tell(scores[places])

    np.testing.assert_allclose(other.recommend(), optimizer.recommend(), atol=1e-5)
    following, others = (np.sort(each.ask().reshape(-1, N_GENES), axis=0) for each in (optimizer, other))
    np.testing.assert_allclose(others, following, atol=1e-5)


@pytest.mark.parametrize("n_genes", [32, 8192])
def test_short_and_long_codes_are_searched_alike(name: str, n_genes: int) -> None:
    top = np.random.default_rng(6).normal(size=n_genes)
    optimizer, woken = create(name, (n_genes,), 1), create(name, (n_genes,), 99)
    starts = []
    for _ in range(4):
        codes = optimizer.ask()
        assert codes.shape == (len(codes), n_genes)
        assert np.isfinite(codes).all()
        starts.append(float((codes @ top).mean()))
        optimizer.tell(codes @ top)
    assert name == "random" or starts[-1] > starts[0]

    woken.restore(written_and_read(optimizer.snapshot()))
    for each in (optimizer, woken):
        each.tell(each.ask() @ top)
    assert np.array_equal(woken.ask(), optimizer.ask())
    assert optimizer.recommend().shape == (n_genes,)
    assert np.isfinite(optimizer.recommend()).all()


def test_it_climbs(name: str) -> None:
    assert gain(an_optimizer(name), nearness, 60) > (0.1 if name == "random" else 0.25)


def test_it_does_not_climb_on_shuffled_scores(name: str) -> None:
    random = np.random.default_rng(0)

    def shuffled(codes: Codes) -> NDArray[np.float64]:
        return random.permutation(nearness(codes))

    def alignment(seed: int) -> float:
        optimizer = an_optimizer(name, seed)
        evolved(optimizer, 30, shuffled)
        code = optimizer.recommend().ravel()
        return float(code @ TARGET / np.linalg.norm(code) / NORM)

    # 20 random directions in 48 dimensions: their mean cosine has a standard error of 1/sqrt(48 * 20) = 0.03.
    assert abs(np.mean([alignment(seed) for seed in range(20)])) < 0.13


def test_a_tie_favours_no_place_in_the_batch(name: str) -> None:
    def pull(seed: int) -> float:
        """Return how far the recommended code lies towards the first half of a batch all tied."""
        optimizer = an_optimizer(name, seed)
        codes = optimizer.ask()
        optimizer.tell(np.zeros(len(codes)))
        half = len(codes) // 2
        contrast = (codes[:half].mean(0) - codes[half : 2 * half].mean(0)).ravel()
        return float((optimizer.recommend() - codes.mean(0)).ravel() @ contrast / (contrast @ contrast))

    pulls = [pull(seed) for seed in range(60)]
    assert abs(np.mean(pulls)) < 4 * np.std(pulls) / np.sqrt(60) + 1e-6


def test_a_wrong_number_of_scores_is_refused(name: str) -> None:
    optimizer = an_optimizer(name)
    n_codes = len(optimizer.ask())
    with pytest.raises(ValueError, match=f"wants {n_codes} scores"):
        optimizer.tell(np.zeros(n_codes + 1))
    with pytest.raises(ValueError, match="finite"):
        optimizer.tell(np.full(n_codes, np.inf))
    optimizer.tell(np.arange(n_codes))


def test_no_scores_without_codes(name: str) -> None:
    optimizer = an_optimizer(name)
    with pytest.raises(OptimizerError, match="before it was asked"):
        optimizer.tell([1.0])
    codes = optimizer.ask()
    optimizer.tell(nearness(codes))
    with pytest.raises(OptimizerError, match="before it was asked"):
        optimizer.tell(nearness(codes))


def test_its_size_may_change_while_it_runs(name: str) -> None:
    optimizer = an_optimizer(name, **{SIZE.get(name, "population"): 12})
    evolved(optimizer, 2)
    for size in (20, 6):
        pending = optimizer.ask()
        optimizer.change(**{SIZE.get(name, "population"): size})
        assert np.array_equal(optimizer.ask(), pending)
        optimizer.tell(nearness(pending))
        assert len(optimizer.ask()) in (size, size + 1)


def test_a_change_survives_sleep(name: str) -> None:
    optimizer, woken = an_optimizer(name), an_optimizer(name)
    optimizer.ask()
    optimizer.change(**{SIZE.get(name, "population"): 6})
    woken.restore(written_and_read(optimizer.snapshot()))
    assert same(evolved(woken, 3), evolved(optimizer, 3))


@pytest.mark.parametrize("n_initial", [1, 5, 200])
def test_the_initial_codes_come_first(name: str, n_initial: int) -> None:
    initial = np.random.default_rng(3).normal(50, 1, size=(n_initial, *SHAPE)).astype(np.float32)
    codes = an_optimizer(name, initial_codes=initial).ask()
    assert np.linalg.norm(codes.mean(0) / np.linalg.norm(codes.mean(0)) - 48**-0.5) < 0.5
    for code in initial:
        assert n_initial != 5 or name == "random" or any(_parallel(code, shown) for shown in codes)


def _parallel(one: Codes, other: Codes) -> bool:
    return bool(np.vdot(one, other) > 0.999999 * np.linalg.norm(one) * np.linalg.norm(other))


def test_the_norm_can_be_held(name: str) -> None:
    optimizer = an_optimizer(name, norm=20.0)
    for codes in evolved(optimizer, 4):
        np.testing.assert_allclose(np.linalg.norm(codes.reshape(len(codes), -1), axis=1), 20.0, rtol=1e-5)
    assert np.linalg.norm(optimizer.recommend()) == pytest.approx(20.0, rel=1e-5)


@pytest.mark.parametrize("n_initial", [0, 1, 5])
def test_codes_of_no_length_stay_numbers_at_a_fixed_norm(name: str, n_initial: int) -> None:
    """As the clipped activations of a layer may all be 0; a NaN would make every code after it one."""
    given = {"initial_codes": np.zeros((n_initial, *SHAPE))} if n_initial else {}
    optimizer = an_optimizer(name, norm=300.0, **given)
    assert np.isfinite(optimizer.recommend()).all()
    for _ in range(3):
        codes = optimizer.ask()
        assert np.isfinite(codes).all()
        optimizer.tell(np.ones(len(codes)))
    assert np.isfinite(optimizer.recommend()).all()


def test_a_parameter_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(OptimizerError, match=rf"optimizer '{name}'.*'nrom'.*Did you mean 'norm'.*Known: "):
        create(name, SHAPE, 1, nrom=3)
    with pytest.raises(OptimizerError, match=rf"optimizer '{name}'.*'nrom'.*Known: "):
        an_optimizer(name).change(nrom=3)


@pytest.mark.parametrize("value", [-1, float("nan"), "much", True])
def test_a_parameter_out_of_range_is_named(name: str, value: Any) -> None:
    wrong = {"norm": value}
    with pytest.raises(OptimizerError, match=rf"optimizer '{name}': norm must be a number above 0, got"):
        create(name, SHAPE, 1, **wrong)
    optimizer = an_optimizer(name)
    with pytest.raises(OptimizerError, match=rf"optimizer '{name}': norm must be a number above 0, got"):
        optimizer.change(**wrong)


def test_a_start_cannot_be_changed(name: str) -> None:
    with pytest.raises(OptimizerError, match="initial_codes cannot change"):
        an_optimizer(name).change(initial_codes=np.zeros((4, *SHAPE)))
    with pytest.raises(OptimizerError, match="subspace cannot change"):
        an_optimizer(name).change(subspace=np.eye(N_GENES))


def test_a_bad_start_is_refused(name: str) -> None:
    with pytest.raises(OptimizerError, match="initial_codes"):
        create(name, SHAPE, 1, initial_codes=np.zeros((4, 48)))
    with pytest.raises(OptimizerError, match="initial_codes"):
        create(name, SHAPE, 1, initial_codes=np.full((4, *SHAPE), np.nan))
    with pytest.raises(OptimizerError, match="code_shape"):
        create(name, (), 1)
    with pytest.raises(OptimizerError, match="seed"):
        create(name, SHAPE, -1)


def test_an_unknown_name_gets_the_nearest_known() -> None:
    with pytest.raises(OptimizerError, match=r"no optimizer named 'genetics'. Did you mean 'genetic'\? Known: gen"):
        create("genetics", SHAPE, 1)


def test_a_class_of_ones_own_goes_by_its_path() -> None:
    assert create("server.optimizers.genetic:Genetic", SHAPE, 1).ask().shape == (20, *SHAPE)
    with pytest.raises(OptimizerError, match="cannot be imported"):
        create("server.optimizers.genetic:Absent", SHAPE, 1)
