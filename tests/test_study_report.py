"""A report of studies: the papers' measures, what they say of each claim, and the page with its pictures."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from test_study import N_TINY, run_here

from server.config import ConfigError
from server.database import SessionFileError
from server.report.command import report
from simulator.study.claims import CLAIMS, NOT, REPRODUCED, UNTESTABLE, Verdict, verdicts
from simulator.study.metrics import Comparison, Condition, Line, Row, at, corrected, share_of_run, summary, variation
from simulator.study.report import write
from simulator.study.store import Store
from simulator.study.trace import trace_error

pytest.importorskip("scipy")
pytest.importorskip("jinja2")
LAYERS = ("early", "middle", "late", "output")


def a_row(layer: str = "late", unit: int = 0, evolved: float = 1.5, seed: int = 0, **how: object) -> Row:
    """Return an experiment whose unit's best reference image is worth 1."""
    condition = Condition("net", layer, "generator", *(how.get(k, d) for k, d in HOW.items()))  # type: ignore[arg-type]
    n = np.arange(1, 51)
    curve = (evolved * n / (n + 2)).astype(np.float32)
    qualitative = bool(how.get("qualitative", True))
    return Row(
        f"{condition}{unit}{seed}", condition, str(unit), layer, "", seed, 1000, qualitative, 1.0, 0.9,
        evolved, evolved, curve, curve, (20 * n).astype(np.float32),
    )  # fmt: skip


HOW = {"optimizer": "GA", "initial": "random", "spikes": 0.0}


def in_all_layers(*values: float, **how: object) -> Iterator[Row]:
    """Yield searches for three units of each layer, with about these relative activations."""
    for layer, value in zip(LAYERS, values, strict=True):
        for unit, share in enumerate((0.9, 1.0, 1.1)):
            yield a_row(layer, unit, value * share, **how)


def judged(*rows: Iterator[Row], lines: list[Line] | None = None) -> dict[int, Verdict]:
    every = [row for some in rows for row in some]
    return {each.number: each for each in verdicts(every, lines or [], {"net": "generator"})}


def test_the_trace_of_xdream_is_there_to_the_last_digit() -> None:
    assert trace_error() <= 1e-9


def test_a_condition_is_summed_up_by_units_not_by_seeds() -> None:
    rows = [a_row(unit=0, evolved=1.0), a_row(unit=0, evolved=2.0, seed=1), a_row(unit=1, evolved=0.8)]
    found = summary(rows[0].condition, rows)
    assert (found.n, found.median) == (2, pytest.approx(1.15))
    assert (found.beat_all, found.beat_budget) == (0.5, 0.5)


def test_variation_is_across_the_seeds_of_a_unit() -> None:
    rows = [a_row(evolved=1.0), a_row(evolved=3.0, seed=1), a_row(unit=1, evolved=9.0)]
    assert variation(rows) == pytest.approx([np.sqrt(2) / 2])


def test_half_of_the_final_mean_is_found_where_the_curve_crosses_it() -> None:
    assert share_of_run(a_row()) == pytest.approx(2 / 50)


def test_p_values_are_corrected_as_holm_wrote() -> None:
    found = [Comparison("a", "b", "late", 6, 1.0, 0.5, "", p) for p in (0.01, 0.04, 0.03, 0.005)]
    assert [each.p_corrected for each in corrected(found)] == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_an_order_is_reproduced_or_not_and_of_such_networks_qualitatively() -> None:
    assert judged(in_all_layers(1.1, 1.3, 1.6, 1.2))[2].verdict == REPRODUCED
    assert judged(in_all_layers(1.1, 1.3, 1.2, 1.25))[2].verdict == NOT
    assert judged(in_all_layers(1.1, 1.3, 1.6, 1.2))[2].qualitative
    assert not judged(in_all_layers(1.1, 1.3, 1.6, 1.2, qualitative=False))[2].qualitative


def test_numbers_are_asked_of_networks_that_saw_photographs_alone() -> None:
    rows = list(in_all_layers(1.1, 1.3, 1.6, 1.2)), list(in_all_layers(1.3, 1.6, 1.9, 1.2, qualitative=False))
    assert judged(iter(rows[0]))[1].verdict == UNTESTABLE
    assert judged(iter(rows[1]))[1].verdict == REPRODUCED


def test_optimizers_are_compared_unit_by_unit() -> None:
    rows = [
        in_all_layers(1.3, 1.6, 1.9, 1.2),
        *(in_all_layers(1.1, 1.5, 2.4, 1.6, optimizer=name) for name in ("FDGD", "NES", "CMA")),
        in_all_layers(1.0, 1.2, 1.2, 0.7, spikes=20.0),
        in_all_layers(0.3, 0.5, 0.7, 0.6, spikes=20.0, optimizer="FDGD"),
        in_all_layers(0.6, 0.6, 0.9, 0.8, spikes=20.0, optimizer="NES"),
    ]
    found = judged(*rows)
    assert [found[number].verdict for number in (8, 9, 13)] == [REPRODUCED, REPRODUCED, REPRODUCED]
    assert "FDGD output 1.33" in found[8].numbers
    assert "standardised" not in found[8].numbers + found[9].numbers


@pytest.mark.parametrize(("number", "spikes"), [(8, 0.0), (9, 20.0)])
def test_the_claims_on_gradients_are_about_xdreams_own_and_tell_of_the_standardised(number: int, spikes: float) -> None:
    values = {"GA": (1, 1, 1, 1), "FDGD": (0.5, 0.5, 2, 2), "NES": (0.5, 0.5, 2, 2)}
    if spikes:
        values |= {"FDGD": (0.5, 0.5, 0.5, 0.5), "NES": (0.5, 0.5, 0.5, 2)}
    ours = {"FDGD, standardised": (1.5, 1.5, 0.7, 0.7), "NES, standardised": (1.5, 1.5, 0.7, 0.7)}
    done = [in_all_layers(*each, optimizer=name, spikes=spikes) for name, each in (values | ours).items()]
    found = judged(*done)[number]
    assert found.verdict == REPRODUCED
    assert "with scores standardised: FDGD early 1.50" in found.numbers
    only_ours = [in_all_layers(1, 1, 1, 1, spikes=spikes)]
    only_ours += [in_all_layers(*each, optimizer=name, spikes=spikes) for name, each in ours.items()]
    assert judged(*only_ours)[number].verdict == UNTESTABLE


def test_a_level_of_noise_that_helps_is_no_steady_loss() -> None:
    levels = {5.0: 0.8, 20.0: 1.0, 100.0: 1.2, 0.0: 1.3}
    steady = [in_all_layers(*[value] * 4, spikes=spikes) for spikes, value in levels.items()]
    helped = [in_all_layers(*[value] * 4, spikes=spikes) for spikes, value in (levels | {20.0: 1.25}).items()]
    assert judged(*steady)[10].verdict == REPRODUCED
    assert judged(*helped)[10].verdict == NOT


def test_seeds_end_alike_high_at_different_optima() -> None:
    rows = [in_all_layers(1.1, 1.3, 1.6, 1.2, seed=seed) for seed in (0, 1)]
    places = np.array([0.0, 0.5, 1.0])
    lines = [Line(row, places, np.array([1.0, 0.6, 1.0])) for row in in_all_layers(1, 1, 1, 1)]
    assert at(lines[0], 0.5) == 0.6
    assert judged(*rows, lines=lines)[6].verdict == REPRODUCED


def test_what_was_not_searched_is_not_testable_and_says_what_it_needs() -> None:
    found = judged(iter([a_row()]))
    assert set(found) == set(CLAIMS)
    assert {number for number, each in found.items() if each.verdict == UNTESTABLE} == set(CLAIMS) - {3, 11}
    assert "needs" in found[7].numbers


def test_the_page_shows_figures_tables_and_a_verdict_a_claim(tmp_path: Path) -> None:
    page = write(run_here(tmp_path), tmp_path / "report")
    text = page.read_text("utf-8")
    pictures = {path.name for path in page.parent.glob("*.png")}
    assert {f"tiny_{kind}.png" for kind in ("relative", "curves", "lines", "montage")} <= pictures
    assert {path.stem for path in page.parent.glob("*.svg")} == {name.removesuffix(".png") for name in pictures}
    assert all(f'src="{name}"' in text for name in pictures)
    assert f"{N_TINY} of {N_TINY} experiments are done" in text
    assert "<strong>Qualitative:</strong>" in text
    assert len(re.findall(r"<td>\d+<td>", text)) == len(json.loads((page.parent / "claims.json").read_text())) == 13


def test_a_store_without_results_is_said_to_be_empty(tmp_path: Path) -> None:
    Store(tmp_path / "empty.study").close()
    with pytest.raises(ConfigError, match="no experiment is finished yet"):
        write(tmp_path / "empty.study", tmp_path / "report")


def test_what_is_not_there_may_have_been_meant_as_a_session_or_as_a_store(tmp_path: Path) -> None:
    with pytest.raises(SessionFileError, match=r"there is no session file and no store of studies .*nothing\.study"):
        report(tmp_path / "nothing.study")
