"""The comparison of optimizers: its arithmetic by hand, its neurons, its fast networks, and a tiny run of it all."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from benchmarks import optimizers_synthetic
from benchmarks.optimizers.__main__ import main
from benchmarks.optimizers.conditions import CONDITIONS, SPONTANEOUS, Recording
from benchmarks.optimizers.contrast import EvenGenerator
from benchmarks.optimizers.ground_truth import RED_GREEN, Arc, Energy, Likeness
from benchmarks.optimizers.rendering import WHOLE, FastGenerator, Span, Window
from benchmarks.optimizers.runs import Key, Result
from benchmarks.optimizers.searches import ENTRIES, EQUAL, NORM
from benchmarks.optimizers.statistics import FLOOR, compare, holm, interval, sign_flip_p
from benchmarks.optimizers.store import Store
from benchmarks.optimizers.units import judged, units
from server.generators.contrast import rms_contrast, with_rms_contrast
from server.generators.embedded import Embedded

WINDOWS = [
    WHOLE,
    Window(Span(0, 20), Span(40, 64)),
    Window(Span(30, 35), Span(21, 47)),
    Window(Span(9, 63), Span(9, 63)),
]


def a_result(search: str, unit: str, activation: float, seed: int = 0, condition: str = "clean") -> Result:
    return Result(Key(seed, search, condition, unit), activation, 0.2)


def a_grating(side_px: int, angle: float, period_px: float, colours: tuple[float, ...] = (1, 1, 1)) -> torch.Tensor:
    y, x = np.mgrid[:side_px, :side_px]
    wave = np.sin(2 * np.pi / period_px * (x * np.cos(angle) + y * np.sin(angle)))
    picture = 0.5 + 0.3 * np.array(colours)[:, None, None] * wave
    return torch.from_numpy(picture).float()[None]


def test_holm_as_by_hand() -> None:
    # 0.01 x 4, then 0.02 x 3, then 0.03 x 2, which may not be less than the one before, then 0.04 x 1 likewise.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []


def test_a_ratio_counts_each_unit_once() -> None:
    # Unit a: twice as much in both seeds; unit b: eight times. The geometric mean of 2 and 8 is 4.
    results = [
        *(a_result("x", "a", 2.0, seed) for seed in (0, 1)),
        *(a_result("y", "a", 1.0, seed) for seed in (0, 1)),
        a_result("x", "b", 8.0),
        a_result("y", "b", 1.0),
        # What has no pair does not count.
        a_result("x", "b", 1.0, seed=5),
        a_result("x", "c", 1.0),
        a_result("y", "a", 99.0, condition="drift"),
    ]
    ratio = compare(results, "x", "y", "clean")
    assert ratio is not None
    assert ratio.ratio == pytest.approx(4)
    assert (ratio.low, ratio.high) == pytest.approx((2, 8))
    assert (ratio.n_units, ratio.n_runs) == (2, 3)
    assert ratio.p == pytest.approx(0.5, abs=0.02)  # of four pairs of signs two are as extreme
    assert compare(results, "x", "y", "drift") is None


def test_a_picture_that_does_nothing_counts_as_the_floor() -> None:
    results = [a_result(s, u, a) for u in ("a", "b") for s, a in (("x", 1.0), ("y", 0.0))]
    ratio = compare(results, "x", "y", "clean")
    assert ratio is not None
    assert ratio.ratio == pytest.approx(1 / FLOOR)


def test_a_clear_difference_is_told_from_none() -> None:
    random = np.random.default_rng(2)
    nothing, clear = random.normal(0, 0.2, 30), random.normal(0.3, 0.2, 30)
    assert sign_flip_p(nothing) > 0.05
    assert sign_flip_p(clear) < 0.001
    low, high = interval(clear)
    assert 1 < low < math.exp(0.3) < high


@pytest.mark.parametrize("window", WINDOWS)
def test_the_fast_generator_draws_the_same_pictures(window: Window) -> None:
    codes = torch.from_numpy(np.random.default_rng(1).standard_normal((3, 256), np.float32))
    rows, columns = window
    with torch.inference_mode():
        wanted = Embedded().network(codes)[:, :, rows.first : rows.last, columns.first : columns.last]
        exact = FastGenerator(torch.float32).draw(codes, window)
        quick = FastGenerator().draw(codes, window).float()
    torch.testing.assert_close(exact, wanted, atol=1e-4, rtol=0)
    assert (quick - wanted).abs().mean() < 0.003


@pytest.mark.parametrize("window", WINDOWS[:2])
def test_at_one_contrast_every_picture_has_it(window: Window) -> None:
    codes = torch.from_numpy(np.random.default_rng(1).standard_normal((6, 256), np.float32)) * 2
    with torch.inference_mode():
        whole = EvenGenerator(FastGenerator(torch.float32), 0.2).draw(codes)
        part = EvenGenerator(FastGenerator(torch.float32), 0.2).draw(codes, window)
        levels = (Embedded().network(codes) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    rows, columns = window
    torch.testing.assert_close(part, whole[:, :, rows.first : rows.last, columns.first : columns.last])
    by_server = with_rms_contrast(levels, 0.2)
    assert rms_contrast(by_server) == pytest.approx(whole.mean(1).flatten(1).std(1, correction=0).numpy(), abs=0.003)
    assert np.abs(whole.permute(0, 2, 3, 1).numpy() * 255 - by_server).mean() < 1


def test_quick_units_answer_as_the_networks_do() -> None:
    codes = np.random.default_rng(1).standard_normal((40, 256)).astype(np.float32) * 3
    generator = FastGenerator()
    for population in units("test"):
        with torch.inference_mode():
            quick = population.relative(population.fast(generator.draw(torch.from_numpy(codes), population.window)))
            exact, contrasts = judged(population, codes)
        assert np.abs(quick - exact).mean() < 0.01
        assert np.abs(quick - exact).max() < 0.05
        assert ((contrasts > 0.02) & (contrasts < 0.5)).all()


def test_settings_are_tried_out_on_units_that_are_not_compared_on() -> None:
    known = ("orientation", "curvature", "picture")
    test, tuning = ({name for each in units(which) for name in each.names} for which in ("test", "tuning"))
    assert len(test) == len(tuning) == 30
    assert all(name.startswith(known) for name in test & tuning)  # numbered alike, and other neurons


def test_a_complex_cell_prefers_its_orientation_at_any_phase() -> None:
    cell = Energy(24, angle=0.6, period_px=8, sd_px=4)
    preferred, across = (cell.respond(a_grating(24, angle, 8)) for angle in (0.6, 0.6 + math.pi / 2))
    assert preferred > 5 * across
    torch.testing.assert_close(cell.respond(1 - a_grating(24, 0.6, 8)), preferred, rtol=1e-3, atol=0)
    assert cell.respond(torch.full((1, 3, 24, 24), 0.7)) == pytest.approx(0, abs=1e-4)

    # One for colours is blind to luminance.
    colour = Energy(24, 0.6, 8, 4, RED_GREEN)
    assert colour.respond(a_grating(24, 0.6, 8)) < 0.01 * colour.respond(a_grating(24, 0.6, 8, (1, -1, 0)))


def test_a_curvature_cell_prefers_its_arc_to_a_line() -> None:
    cell, side_px, radius_px = Arc(32, angle=0.0, radius_px=9), 32, 9
    y, x = np.mgrid[:side_px, :side_px] - (side_px - 1) / 2
    off = {
        "arc": np.hypot(y, x + radius_px) - radius_px,
        "line": x,
        "other way": np.hypot(y, x - radius_px) - radius_px,
    }
    edges = {name: torch.from_numpy(0.5 + 0.3 * np.tanh(d)).float().expand(1, 3, -1, -1) for name, d in off.items()}
    answers = {name: float(cell.respond(edge)) for name, edge in edges.items()}
    assert answers["arc"] > 1.3 * max(answers["line"], answers["other way"])


def test_a_cell_for_a_picture_answers_most_to_it() -> None:
    pictures = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    answers = Likeness(pictures[3]).respond(pictures)
    assert answers.argmax() == 3
    assert answers[3] == pytest.approx(1)
    assert Likeness(pictures[3]).respond(0.5 + 0.2 * (pictures[3:4] - 0.5)) == pytest.approx(1, abs=1e-4)


def test_counts_are_of_the_activation_and_what_is_lost_is_not_measured() -> None:
    at_best = np.ones(20_000)
    assert np.array_equal(Recording(CONDITIONS["clean"], (1,)).scores(at_best, 0), at_best)
    counts = Recording(CONDITIONS["20 spikes"], (1,)).scores(at_best, 0)
    assert counts.mean() == pytest.approx(20 * (1 + SPONTANEOUS), rel=0.02)
    assert counts.var() > counts.mean()
    drifting = Recording(CONDITIONS["drift"], (1,)).scores(at_best, 0)
    assert np.isnan(drifting).mean() == pytest.approx(0.2, abs=0.02)


OURS = [name for name, each in ENTRIES.items() if each.optimizer != "pycma" and not each.in_subspace]


@pytest.mark.parametrize("name", OURS)
def test_every_search_starts_as_it_is_entered(name: str) -> None:
    codes = ENTRIES[name].start((0, 1)).ask()
    assert codes.shape[1] == 256
    assert ENTRIES[name].arm != EQUAL or np.allclose(np.linalg.norm(codes, axis=1), NORM, rtol=1e-4)


def test_pycma_asks_and_is_told() -> None:
    pytest.importorskip("cma")
    search = ENTRIES["pycma diagonal"].start((0, 1))
    for _ in range(3):
        codes = search.ask()
        assert codes.shape == (40, 256)
        np.testing.assert_allclose(np.linalg.norm(codes, axis=1), NORM, rtol=1e-4)
        scores = codes[:, 0].astype(np.float64)
        scores[5] = np.nan
        search.tell(scores)
    again = ENTRIES["pycma diagonal"].start((0, 1))
    first = again.ask()
    assert np.array_equal(first, ENTRIES["pycma diagonal"].start((0, 1)).ask())
    again.tell(np.full(40, np.nan))
    assert search.recommend()[0] > 0


def test_a_tiny_comparison_is_run_once_and_reported(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=160)
    results, plot = tmp_path / "results.csv", tmp_path / "plot.png"
    arguments = ["--searches", "sphere_mirror", "cma", "random", "--only", "conv1", "--seeds", "0"]
    arguments += ["--presentations", "80", "--results", str(results), "--plot", str(plot)]

    main(arguments, console)

    assert len(Store(results).read()) == 3 * 3 * 4
    assert isinstance(console.file, io.StringIO)
    assert "`cma`" in console.file.getvalue()
    assert plot.stat().st_size > 1000

    # A run that was cut off goes on where it was; the line that was being written is run again.
    before = results.read_text()
    results.write_text(before[:-30])
    main(arguments, console)
    assert sorted(results.read_text().split()) == sorted(before.split())


def test_the_synthetic_world_still_turns() -> None:
    console = Console(file=io.StringIO(), width=160)
    few = ["--neurons", "2", "--generations", "2", "--genes", "64"]
    optimizers_synthetic.main(["--searches", "cma", "random", "--kinds", "V1", "--recordings", "clean", *few], console)
    assert isinstance(console.file, io.StringIO)
    assert "cma" in console.file.getvalue()
