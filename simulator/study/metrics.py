"""The paper's measures: relative activation, the best of as many random images, paired ratios, variation, lines."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.study.store import Store
from simulator.units import parse_units

Values = NDArray[np.float64]
FACTORS = ("generator", "optimizer", "initial", "spikes")
"""What two conditions of the same units may differ in."""
QUERY = """
    SELECT p.hash, e.experiment, p.network, p.layer, p.generator, p.optimizer, p.initial, p.qualitative,
           p.best_reference, p.expected_best, e.evolved, e.chosen, e.best, e.mean, e.presentations
    FROM planned p JOIN experiments e USING (hash) WHERE p.study = ?
"""


@dataclass(frozen=True, slots=True, order=True)
class Condition:
    """What a search is done with; the report pools units and seeds."""

    network: str
    layer: str
    generator: str
    optimizer: str
    initial: str
    spikes: float

    def name(self, factors: Sequence[str]) -> str:
        """Return what tells it from others, given what they differ in."""
        return ", ".join(filter(None, (self._word(each) for each in factors)))

    def _word(self, factor: str) -> str:
        if factor != "spikes":
            return str(getattr(self, factor))
        return f"{self.spikes:g} spikes" if self.spikes else "no noise"


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One experiment of a study, and what it is compared with."""

    hash: str
    condition: Condition
    unit: str
    layer_name: str
    optimizer_name: str
    seed: int
    budget: int
    qualitative: bool
    reference: float
    """The best activation by any image of the reference set."""
    expected: float
    """The expected best of as many of them, drawn at random, as the experiment shows images."""
    evolved: float
    chosen: float
    best: NDArray[np.float32]
    """[n_generations] strongest activation in each."""
    mean: NDArray[np.float32]
    presentations: NDArray[np.float32]

    @property
    def relative(self) -> float:
        """The strongest activation over that by any image of the reference set."""
        return self.evolved / self.reference


@dataclass(frozen=True, slots=True)
class Summary:
    """What the units of a condition come to; a unit with several seeds counts once, with their mean."""

    condition: Condition
    n: int
    low: float
    median: float
    high: float
    """Quartiles of relative activation."""
    beat_all: float
    """Share of units whose evolved image beats every image of the reference set."""
    beat_budget: float
    """Share whose evolved image beats the expected best of as many random images."""
    over_budget: float
    """Median ratio to that."""


def rows_of(store: Store, study: str) -> list[Row]:
    """Return a study's experiments as far as they are done."""
    rows = []
    for found in store.connection.execute(QUERY, (study,)):
        hash_, text, network, layer, generator, optimizer, initial, qualitative, reference, expected = found[:10]
        experiment = json.loads(text)
        condition = Condition(network, layer, generator, optimizer, initial, experiment["spikes"])
        curves = (np.frombuffer(each, np.float32) for each in found[12:])
        rows.append(Row(
            hash_, condition, experiment["unit"], experiment["layer"], experiment["optimizer"]["name"],
            experiment["seed"], experiment["presentations"], bool(qualitative), reference, expected, *found[10:12],
            *curves,
        ))  # fmt: skip
    return sorted(rows, key=lambda row: (row.condition, parse_units(row.unit)[0].channel, row.unit, row.seed))


def by_condition(rows: Iterable[Row]) -> dict[Condition, list[Row]]:
    """Return the rows by what was done."""
    found: dict[Condition, list[Row]] = {}
    for row in rows:
        found.setdefault(row.condition, []).append(row)
    return found


def by_unit(rows: Iterable[Row], of: Callable[[Row], float] = lambda row: row.relative) -> dict[str, float]:
    """Return the mean over its seeds of each unit."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.unit, []).append(of(row))
    return {unit: float(np.mean(values)) for unit, values in found.items()}


def summary(condition: Condition, rows: Sequence[Row]) -> Summary:
    """Return what the units of a condition come to."""
    relative = np.array(list(by_unit(rows).values()))
    budget = np.array(list(by_unit(rows, lambda row: row.evolved / row.expected).values()))
    low, median, high = np.percentile(relative, (25, 50, 75))
    shares = float((relative > 1).mean()), float((budget > 1).mean()), float(np.median(budget))
    return Summary(condition, len(relative), float(low), float(median), float(high), *shares)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition beside another, with the chance of such a difference where there is none."""

    here: str
    there: str
    layer: str
    n: int
    ratio: float
    """Median over units of the paired ratio; of layers, the ratio of their medians."""
    wins: float
    """Share of units that do better here; NaN where units are not paired."""
    test: str
    p: float
    p_corrected: float = np.nan
    """By Holm's method, over all comparisons of the study."""


def comparisons(rows: Sequence[Row], order: dict[str, list[Any]]) -> list[Comparison]:
    """Return every condition beside the one that has the first label of a factor, and each layer beside the next."""
    groups = by_condition(rows)
    found = []
    for condition, mine in groups.items():
        for factor in FACTORS:
            first = order[factor][0]
            other = groups.get(replace(condition, **{factor: first}))
            if getattr(condition, factor) != first and other:
                found.append(_paired(condition, mine, replace(condition, **{factor: first}), other, factor))
        found += _next_layer(condition, groups, order)
    return corrected(found)


def _paired(here: Condition, mine: list[Row], there: Condition, theirs: list[Row], factor: str) -> Comparison:
    from scipy.stats import wilcoxon

    a, b = by_unit(mine), by_unit(theirs)
    units = sorted(a.keys() & b.keys())
    x, y = np.array([a[unit] for unit in units]), np.array([b[unit] for unit in units])
    p = float(wilcoxon(x, y).pvalue) if len(units) > 1 and np.any(x != y) else 1.0
    others = [each for each in FACTORS if each != factor]
    names = here.name([factor, *others]), there.name([factor])
    ratio = float(np.median(x / y)) if units else np.nan
    return Comparison(*names, f"{here.network} {here.layer}", len(units), ratio, float(np.mean(x > y)), "Wilcoxon", p)


def _next_layer(
    condition: Condition, groups: dict[Condition, list[Row]], order: dict[str, list[Any]]
) -> list[Comparison]:
    from scipy.stats import mannwhitneyu

    if any(getattr(condition, factor) != order[factor][0] for factor in FACTORS):
        return []
    layers = [each for each in order["layer"] if replace(condition, layer=each) in groups]
    place = layers.index(condition.layer)
    if place == 0:
        return []
    before = replace(condition, layer=layers[place - 1])
    x, y = (np.array(list(by_unit(groups[each]).values())) for each in (condition, before))
    p = float(mannwhitneyu(x, y).pvalue)
    ratio = float(np.median(x) / np.median(y))
    return [Comparison(condition.layer, before.layer, condition.network, len(x), ratio, np.nan, "Mann-Whitney", p)]


def corrected(found: Sequence[Comparison]) -> list[Comparison]:
    """Return the comparisons with p-values corrected by Holm's method (1979)."""
    p = np.array([each.p for each in found])
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p))))
    mended = np.empty(len(p))
    mended[order] = np.minimum(stepped, 1)
    return [replace(each, p_corrected=float(value)) for each, value in zip(found, mended, strict=True)]


def variation(rows: Iterable[Row]) -> Values:
    """Return [n_units] the coefficient of variation across seeds, of units that have at least two."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row.unit, []).append(row.evolved)
    several = [np.array(each) for each in found.values() if len(each) > 1]
    return np.array([each.std(ddof=1) / each.mean() for each in several])


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """What lies between the optima of two searches for one unit."""

    row: Row
    positions: Values
    activations: Values
    """Relative to the mean of the two ends."""


def lines_of(store: Store, rows: Iterable[Row]) -> list[Line]:
    """Return the lines that begin at one of these experiments."""
    known = {row.hash: row for row in rows}
    found = []
    for first, second, positions, activations in store.lines():
        if first in known and second in known:
            ends = activations[np.isin(positions, (0, 1))].mean()
            found.append(Line(known[first], positions.astype(float), (activations / ends).astype(float)))
    return found


def at(line: Line, position: float) -> float:
    """Return the relative activation at a place of a line; NaN where none was looked at."""
    where = np.flatnonzero(line.positions == position)
    return float(line.activations[where[0]]) if len(where) else np.nan


def share_of_run(row: Row, level: float = 0.5) -> float:
    """Return the share of the presentations at which the generations' mean reaches a share of its final value."""
    n = max(1, len(row.mean) // 20)
    final = float(row.mean[-n:].mean())
    reached = np.flatnonzero(row.mean >= level * final)
    return float(row.presentations[reached[0]] / row.presentations[-1]) if final > 0 and len(reached) else np.nan
