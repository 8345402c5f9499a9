"""The report of a store: a page, its figures as PNG and SVG, tables, a verdict on each of the papers' claims."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from protocol.software import software
from server.config import ConfigError
from simulator.study.claims import Verdict, verdicts
from simulator.study.figures import Shown, between, curves, noise, relative
from simulator.study.metrics import (
    Comparison,
    Line,
    Row,
    Summary,
    at,
    by_condition,
    comparisons,
    lines_of,
    rows_of,
    summary,
    variation,
)
from simulator.study.montage import montage
from simulator.study.store import Store
from simulator.study.tables import Study

TEMPLATE = Path(__file__).with_name("report.html")
N_NAMED = 10
"""Pictures that cannot be read, by name; a page is no list of files."""


@dataclass(frozen=True, slots=True)
class Seeds:
    """What seeds make of a layer's units."""

    layer: str
    initial: str
    n_units: int
    variation: float
    """Median over units of the standard deviation over the mean, across seeds."""
    n_lines: int
    half_way: float
    """Median activation half way between two optima, over the mean of both."""


@dataclass(frozen=True, slots=True)
class Section:
    """What the page says of one study."""

    name: str
    about: str
    facts: str
    n_planned: int
    n_done: int
    n_dead: int
    qualitative: bool
    figures: list[tuple[str, str]]
    """File names without their ending, and captions."""
    summaries: list[Summary]
    seeds: list[Seeds]
    comparisons: list[Comparison]


def write(store: Path, folder: Path) -> Path:
    """Write the report of a store into a folder; return its page. Raise ConfigError if there is nothing to report."""
    try:
        import jinja2
        import scipy  # noqa: F401
    except ImportError as missing:
        raise ConfigError(f"a report of studies needs {missing.name}: pip install 'xdream[study]'") from missing
    with Store(store, read_only=True) as opened:
        studies = opened.connection.execute("SELECT name, study FROM studies ORDER BY begun_at, name").fetchall()
        sections, rows, lines = list[Section](), list[Row](), list[Line]()
        generators: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in studies:
            study = Study.model_validate(json.loads(text))
            mine = rows_of(opened, name)
            between_them = lines_of(opened, mine)
            if mine:
                sections.append(_section(opened, name, study, mine, between_them, folder))
            rows, lines = rows + mine, lines + between_them
            for row in mine:
                generators.setdefault(row.condition.network, _order(study)["generator"][0])
        if not sections:
            raise ConfigError(f"{store}: no experiment is finished yet, there is nothing to report.")
        judged = verdicts(rows, lines, generators)
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(TEMPLATE.read_text("utf-8"))
    path = folder / "report.html"
    path.write_text(page.render(store=store.name, sections=sections, verdicts=judged, software=software()), "utf-8")
    (folder / "claims.json").write_text(json.dumps([_plain(each) for each in judged], indent=1), "utf-8")
    return path


def _section(store: Store, name: str, study: Study, rows: list[Row], lines: list[Line], folder: Path) -> Section:
    order = _order(study)
    shown = Shown(rows, order)
    figures = []
    for kind, figure in _figures(store, shown, lines, order):
        if figure is not None:
            for ending in ("png", "svg"):
                figure.savefig(folder / f"{name}_{kind}.{ending}")
            figures.append((f"{name}_{kind}", CAPTIONS[kind]))
    [n_planned] = store.connection.execute("SELECT COUNT(*) FROM planned WHERE study = ?", (name,)).fetchone()
    groups = sorted(by_condition(rows).items(), key=lambda pair: _place(pair[0], order))
    settings = study.study
    facts = (
        f"{settings.presentations:,} presentations an experiment, searched in {settings.dtype}; reference set: "
        f"{_set_of(study)}{_left_out(store, name)}"
    )
    return Section(
        name, settings.about, facts, n_planned, len(rows), _n_dead(store, rows), any(r.qualitative for r in rows),
        figures, [summary(condition, mine) for condition, mine in groups], list(_seeds(rows, lines, order)),
        comparisons(rows, order),
    )  # fmt: skip


CAPTIONS = {
    "relative": "Relative activation: the strongest activation by an evolved image over that by any image of the "
    "reference set (dotted line). A dot a unit; bar and ring: quartiles and median.",
    "curves": "Learning curves: the strongest image of each generation, median and quartiles over units. Dotted: the "
    "best reference image; grey: the expected best of as many random ones as an experiment shows.",
    "noise": "Relative activation against noise, median and quartiles; ∞ is no noise.",
    "lines": "On the line between the optima of two seeds, and beyond: median and quartiles over pairs.",
    "montage": "Evolved images with their relative activation; in grey frames the reference image that drives the "
    "unit most, with that activation.",
}


def _figures(
    store: Store, shown: Shown, lines: list[Line], order: dict[str, list[Any]]
) -> Iterator[tuple[str, Figure | None]]:
    """Yield each figure that there may be, with its kind."""
    yield "relative", relative(shown)
    yield "curves", curves(shown)
    yield "noise", noise(shown)
    yield "lines", between(lines, order)
    yield "montage", montage(store, shown)


def _order(study: Study) -> dict[str, list[Any]]:
    """Return the labels of each kind in the order of the study file."""
    from simulator.study.labels import label_of, searches

    return {
        "network": [label_of(each) for each in study.networks],
        "layer": list(dict.fromkeys(layer for each in study.networks for layer in each.layers)),
        "generator": [label_of(each) for each in study.generators],
        "optimizer": [each.label for each in searches(study.optimizers)],
        "initial": [label_of(each) for each in study.initials],
        "spikes": sorted({level for grid in study.grids for level in grid.spikes}),
    }


def _place(condition: Any, order: dict[str, list[Any]]) -> tuple[int, ...]:
    return tuple(order[factor].index(getattr(condition, factor)) for factor in order)


def _seeds(rows: list[Row], lines: list[Line], order: dict[str, list[Any]]) -> Iterator[Seeds]:
    for layer in order["layer"]:
        for initial in order["initial"]:
            here = [r for r in rows if (r.condition.layer, r.condition.initial) == (layer, initial)]
            spread = variation(r for r in here if r.condition == here[0].condition)
            mine = [each for each in lines if each.row in here]
            half = [at(each, 0.5) for each in mine]
            if len(spread):
                median = float(np.median(half)) if half else np.nan
                yield Seeds(layer, initial, len(spread), float(np.median(spread)), len(mine), median)


def _n_dead(store: Store, rows: list[Row]) -> int:
    """Return how many units of the layers searched no reference image excites: they were left out."""
    query = "SELECT COUNT(DISTINCT layer || unit) FROM targets WHERE best <= 0 AND layer = ?"
    return sum(store.connection.execute(query, (layer,)).fetchone()[0] for layer in {row.layer_name for row in rows})


def _set_of(study: Study) -> str:
    images = study.references
    what = f"pictures of {images.folder}" if images.folder else "procedural pictures"
    return f"{images.count:,} {what}"


def _left_out(store: Store, name: str) -> str:
    """Return what is said of a study's reference pictures that cannot be read; nothing if there are none."""
    query = (
        "SELECT DISTINCT json_extract(e.experiment, '$.images') FROM planned p JOIN experiments e USING (hash)"
        " WHERE p.study = ?"
    )
    sets = [row[0] for row in store.connection.execute(query, (name,))]
    pictures = [picture for each in sets for picture, _ in store.unreadable(each)]
    more = f" and {len(pictures) - N_NAMED:,} more (table unreadable of the store)" if len(pictures) > N_NAMED else ""
    named = ", ".join(pictures[:N_NAMED]) + more
    return f", of which {len(pictures):,} that cannot be read were left out: {named}" if pictures else ""


def _plain(verdict: Verdict) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in Verdict.__dataclass_fields__}
