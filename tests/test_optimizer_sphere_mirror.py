"""The house's own search: mirrored pairs, signed ranks, a fixed norm."""

import numpy as np
import pytest

from server.optimizers import create
from server.optimizers.ranking import normal_scores
from server.optimizers.sphere_mirror import SphereMirror

nan = float("nan")


def a_search(**parameters: float) -> SphereMirror:
    """Return a search that has a centre."""
    optimizer = create("sphere_mirror", (256,), 1, **{"population": 10, **parameters})
    assert isinstance(optimizer, SphereMirror)
    optimizer.tell(np.arange(len(optimizer.ask())))
    return optimizer


def test_codes_come_in_pairs_about_the_centre_at_the_angle_of_the_day() -> None:
    optimizer = a_search(first_angle_deg=30)
    centre, codes = optimizer.recommend(), optimizer.ask()
    cosines = codes @ centre / np.linalg.norm(codes, axis=1) / np.linalg.norm(centre)
    assert np.degrees(np.arccos(cosines)).mean() == pytest.approx(30, abs=1.5)
    for one, other in zip(codes[:5], codes[5:], strict=True):
        halfway = (one + other) / np.linalg.norm(one + other)
        np.testing.assert_allclose(halfway, centre / np.linalg.norm(centre), atol=1e-5)


def test_exploration_narrows_as_evidence_gathers_and_then_holds() -> None:
    optimizer, angles = a_search(), []
    for generation in (1, 9, 25, 75, 1000):
        optimizer.generation = generation
        angles.append(optimizer.angle_deg())
    assert angles == pytest.approx([50, 35.4, 25, 15.6, 10], abs=0.1)


def test_its_norm_is_fc6s_300_in_4096_dimensions() -> None:
    codes = create("sphere_mirror", (4096,), 1).ask()
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 300, rtol=1e-5)


def test_the_centre_turns_to_the_better_side_and_away_from_the_worse() -> None:
    optimizer = a_search()
    before, codes = optimizer.recommend(), optimizer.ask()
    optimizer.tell([5, 0, 0, 0, 0, -5, 0, 0, 0, 0])
    turned = optimizer.recommend() - before
    assert turned @ (codes[0] - before) > 0 > turned @ (codes[5] - before)


def test_what_both_sides_share_moves_nothing() -> None:
    optimizer = a_search()
    before = optimizer.recommend()
    optimizer.ask()
    optimizer.tell([9, 4, 7, 1, 3] * 2)
    np.testing.assert_allclose(optimizer.recommend(), before, atol=1e-4)


def test_half_a_pair_still_counts() -> None:
    optimizer = a_search()
    before, codes = optimizer.recommend(), optimizer.ask()
    optimizer.tell([5, 0, 0, 0, 0, nan, 0, 0, 0, 0])
    assert (optimizer.recommend() - before) @ (codes[0] - before) > 0


def test_a_silent_neuron_leaves_the_centre_where_it_is() -> None:
    optimizer = a_search()
    before = optimizer.recommend()
    optimizer.ask()
    optimizer.tell(np.zeros(10))
    np.testing.assert_allclose(optimizer.recommend(), before, atol=1e-4)


def test_equal_scores_share_what_their_ranks_are_worth() -> None:
    untied, tied = normal_scores(np.array([1.0, 2, 3, 4])), normal_scores(np.array([1.0, 1, 3, 4]))
    np.testing.assert_allclose(untied, -untied[::-1], atol=1e-12)
    np.testing.assert_allclose(tied, [untied[:2].mean(), untied[:2].mean(), untied[2], untied[3]])


def test_what_is_recommended_is_steadier_than_the_centre() -> None:
    target = np.zeros(32)
    target[0] = 1

    def alignment(newest: float, seed: int) -> float:
        random = np.random.default_rng(seed)
        optimizer = create("sphere_mirror", (32,), seed, newest=newest)
        for _ in range(40):
            codes = optimizer.ask()
            optimizer.tell(random.poisson(np.exp(3 * codes @ target / np.linalg.norm(codes, axis=1))))
        code = optimizer.recommend()
        return float(code @ target / np.linalg.norm(code))

    averaged, last = (np.array([alignment(newest, seed) for seed in range(10)]) for newest in (0.2, 1.0))
    assert (averaged > last).sum() >= 9
    assert averaged.mean() > last.mean() + 0.005
