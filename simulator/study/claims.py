"""What Xiao & Kreiman (2020) and Wang & Ponce (2022) found, asked of a store: one verdict a claim and network.

A claim is about conditions labelled as the shipped studies label them (GA, CMA, FDGD and NES, these two XDream's own
forms on raw scores; early, middle, late, output; random, best). Tolerances are ours, not the papers'. With networks
that know no photographs an order or a sign can be shown, the published numbers cannot: such a verdict is qualitative.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from simulator.study.metrics import Condition, Line, Row, at, by_unit, share_of_run, variation
from simulator.study.trace import trace_error

REPRODUCED, NOT, UNTESTABLE = "reproduced", "not reproduced", "not testable"
STAGES = ("early", "middle", "late", "output")
RANKING = ("fc7", "fc6", "pool5", "fc8", "conv4", "norm1", "conv3", "norm2")
"""DeePSiM generators by what late units make of them, best first."""
STANDARDISED = ", standardised"
"""Ends the labels of the server's own FDGD and NES, which the paper did not have."""
HALF_AT, HALF_WITHIN = 0.076, 0.2
"""Generation 38 of 500; and, of other networks and budgets, early in the run."""
Found = tuple[bool | None, str]
"""Whether it holds, None where it cannot be asked; and the numbers."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a store says of one claim."""

    number: int
    claim: str
    network: str
    verdict: str
    numbers: str
    qualitative: bool


class Evidence:
    """The searches of one network, looked up by what they were done with."""

    def __init__(self, network: str, rows: Sequence[Row], lines: Sequence[Line], generator: str) -> None:
        mine = [row for row in rows if row.condition.network == network]
        budget = max((row.budget for row in mine), default=0)
        self.network, self.generator = network, generator
        self.rows = list({row.hash: row for row in mine if row.budget == budget}.values())
        self.lines = [line for line in lines if line.row.condition.network == network]
        self.qualitative = any(row.qualitative for row in self.rows)

    def of(
        self, layer: str, optimizer: str = "GA", initial: str = "random", spikes: float = 0, generator: str = ""
    ) -> list[Row]:
        """Return the searches of a condition."""
        wanted = Condition(self.network, layer, generator or self.generator, optimizer, initial, spikes)
        return [row for row in self.rows if row.condition == wanted]

    def medians(self, layer: str, *wheres: dict[str, Any]) -> list[float]:
        """Return the median relative activation of each condition, by the seeds they share; NaN where not done."""
        groups = [self.of(layer, **where) for where in wheres]
        seeds = set.intersection(*({row.seed for row in group} for group in groups))
        values = [list(by_unit(row for row in group if row.seed in seeds).values()) for group in groups]
        return [float(np.median(each)) if each else np.nan for each in values]

    def median(self, layer: str, **where: Any) -> float:
        """Return the median relative activation of a condition; NaN where it was not done."""
        return self.medians(layer, where)[0]

    def ratio(self, layer: str, here: dict[str, Any], there: dict[str, Any]) -> float:
        """Return the median paired ratio of two conditions; NaN where they have no unit in common."""
        a, b = (self._seedwise(layer, each) for each in (here, there))
        pairs = [a[key] / b[key] for key in a.keys() & b.keys()]
        return float(np.median(pairs)) if pairs else np.nan

    def _seedwise(self, layer: str, where: dict[str, Any]) -> dict[tuple[str, int], float]:
        return {(row.unit, row.seed): row.relative for row in self.of(layer, **where)}


def verdicts(rows: Sequence[Row], lines: Sequence[Line], generators: dict[str, str]) -> list[Verdict]:
    """Return a verdict a claim and network; `generators` gives the first generator of each network's studies."""
    found = []
    for network, generator in generators.items():
        evidence = Evidence(network, rows, lines, generator)
        for number, (claim, ask) in CLAIMS.items():
            holds, numbers = ask(evidence)
            verdict = UNTESTABLE if holds is None else REPRODUCED if holds else NOT
            qualitative = evidence.qualitative and holds is not None and number != 11
            found.append(Verdict(number, claim, network, verdict, numbers, qualitative))
    return found


def _beats_budget(e: Evidence) -> Found:
    rows = [row for layer in ("middle", "late") for row in e.of(layer)]
    if not rows:
        return None, "no GA from random codes in a middle or late layer"
    ratios = np.array([row.evolved / row.expected for row in rows])
    said = f"{np.mean(ratios > 1):.0%} of {len(rows)} middle and late searches, median ratio {np.median(ratios):.2f}"
    if e.qualitative:
        return None, f"asks for networks trained on photographs; here {said}"
    return bool(np.mean(ratios > 1) >= 0.9 and abs(np.median(ratios) / 1.92 - 1) < 0.25), f"{said}; paper 1.9"


def _grows_with_depth(e: Evidence) -> Found:
    early, middle, late, output = (e.median(layer) for layer in STAGES)
    said = ", ".join(f"{layer} {value:.2f}" for layer, value in zip(STAGES, (early, middle, late, output), strict=True))
    if np.isnan([early, middle, late, output]).any():
        return None, f"needs all of {', '.join(STAGES)}: {said}"
    return early < middle < late > output, said


def _curve(e: Evidence) -> Found:
    rows = [row for layer in STAGES for row in e.of(layer)]
    if not rows or min(len(row.mean) for row in rows) < 10:
        return None, "no searches of ten generations or more"
    half, climb = float(np.nanmedian([share_of_run(row) for row in rows])), float(np.median(list(map(_climb, rows))))
    said = (
        f"half of the final mean after {half:.1%} of the presentations (paper 7.6 %), "
        f"last fifth over middle fifth {climb:.2f}"
    )
    near = half < HALF_WITHIN if e.qualitative else abs(half / HALF_AT - 1) < 0.2
    return bool(near and climb > 1), said


def _climb(row: Row) -> float:
    """Return how much higher the mean stands in the last fifth of a search than in its middle fifth."""
    fifths = np.array_split(row.mean, 5)
    return float(fifths[4].mean() / fifths[2].mean())


def _generators(e: Evidence) -> Found:
    there = {name: e.median("late", generator=f"deepsim-{name}") for name in RANKING}
    there = {name: value for name, value in there.items() if not np.isnan(value)}
    pixels = {layer: e.ratio(layer, {"generator": "raw_pixel"}, {}) for layer in STAGES}
    said = "pixels over the generator: " + _listed(pixels)
    if len(there) < 4 or e.qualitative:
        return None, f"asks for DeePSiM's generators and a network trained on photographs; here {said}"
    from scipy.stats import spearmanr

    order = float(spearmanr([-RANKING.index(name) for name in there], list(there.values())).statistic)
    return order >= 0.7, f"rank correlation with the published order {order:.2f}; {said}"


def _training_set(e: Evidence) -> Found:
    ratios = [e.ratio(layer, {"generator": "deepsim-fc6-places"}, {"generator": "deepsim-fc6"}) for layer in STAGES]
    if np.isnan(ratios).all():
        return None, "asks for deepsim-fc6 and deepsim-fc6-places"
    there = {layer: ratio for layer, ratio in zip(STAGES, ratios, strict=True) if not np.isnan(ratio)}
    return all(0.95 <= ratio <= 1.09 for ratio in there.values()), _listed(there)


def _seeds(e: Evidence) -> Found:
    spread = {layer: variation(e.of(layer)) for layer in STAGES}
    dips = {
        layer: [at(line, 0.5) for line in e.lines if line.row.condition.layer == layer
                and line.row.condition.initial == "random"]
        for layer in STAGES
    }  # fmt: skip
    if not any(len(each) for each in spread.values()) or not any(dips.values()):
        return None, "needs several seeds a unit, and the lines between their optima"
    cv = {layer: float(np.median(each)) for layer, each in spread.items() if len(each)}
    dip = {layer: float(np.median(each)) for layer, each in dips.items() if each}
    said = f"variation across seeds {_listed(cv, '.3f')}; half way between two optima {_listed(dip)} of them"
    return max(cv.values()) < 0.12 and max(dip.values()) < 0.75, said


def _better_start(e: Evidence) -> Found:
    pairs = {layer: e.medians(layer, {"initial": "best"}, {}) for layer in STAGES}
    gains = {layer: best / random - 1 for layer, (best, random) in pairs.items()}
    if np.isnan(list(gains.values())).any():
        return None, "needs searches from the best images of a unit beside random ones, in all four stages"
    values = list(gains.values())
    said = f"gain of the best start over a random one {_listed(gains, '+.0%')} (paper +2, +8, +17, +37 %)"
    return min(values) > 0 and values == sorted(values), said


def _noiseless(e: Evidence) -> Found:
    ratios = _gradient_over_ga(e, 0.0)
    asked = {name: ratio for name, ratio in ratios.items() if "middle" not in name}
    if np.isnan(list(asked.values())).any():
        return None, "needs GA, FDGD and NES without noise in early, late and output layers"
    holds = all(ratio < 1 if "early" in name else ratio > 1 for name, ratio in asked.items())
    return holds, f"paired ratio to GA: {_listed(ratios)}{_standardised(e, 0.0)}"


def _noisy(e: Evidence) -> Found:
    ratios = _gradient_over_ga(e, 20.0)
    if np.isnan(list(ratios.values())).any():
        return None, "needs GA, FDGD and NES at 20 spikes in all four stages"
    holds = all(ratio > 1 if name == "NES output" else ratio < 1 for name, ratio in ratios.items())
    return holds, f"paired ratio to GA at 20 spikes: {_listed(ratios)}{_standardised(e, 20.0)}"


def _gradient_over_ga(e: Evidence, spikes: float, ending: str = "") -> dict[str, float]:
    """Return the paired ratio to GA of FDGD and NES in each stage, of those whose label has this ending."""
    return {
        f"{name} {layer}": e.ratio(layer, {"optimizer": name + ending, "spikes": spikes}, {"spikes": spikes})
        for name in ("FDGD", "NES")
        for layer in STAGES
    }


def _standardised(e: Evidence, spikes: float) -> str:
    """Return what the server's own FDGD and NES do, of which the paper says nothing; empty if not done."""
    ratios = _gradient_over_ga(e, spikes, STANDARDISED)
    return "" if np.isnan(list(ratios.values())).all() else f"; with scores standardised: {_listed(ratios)}"


def _noise_levels(e: Evidence) -> Found:
    levels = sorted({row.condition.spikes for row in e.rows if row.condition.spikes})
    curves = {}
    for layer in STAGES:
        values = e.medians(layer, *({"spikes": spikes} for spikes in [*levels, 0.0]))
        if not np.isnan(values).any():
            curves[layer] = values
    if len(levels) < 3 or not curves:
        return None, "needs GA at three levels of noise or more, and without"
    said = "; ".join(f"{layer} {' '.join(f'{value:.2f}' for value in each)}" for layer, each in curves.items())
    holds = all(each == sorted(each) and each[0] >= 0.5 for each in curves.values())
    return holds, f"at {', '.join(f'{level:g}' for level in levels)} spikes and without noise: {said}"


def _trace(e: Evidence) -> Found:
    error = trace_error()
    return error <= 1e-9, f"five generations, largest difference {error:.1e}"


def _logged(e: Evidence) -> Found:
    return None, "not implemented, whatever the weights: no study has the settings of XDream's own tests"


def _cma(e: Evidence) -> Found:
    ratios = {layer: e.ratio(layer, {"optimizer": "CMA"}, {}) for layer in STAGES}
    noisy = {layer: e.ratio(layer, {"optimizer": "CMA", "spikes": 20.0}, {"spikes": 20.0}) for layer in STAGES}
    if np.isnan(ratios["output"]):
        return None, "needs CMA beside GA in the output layer"
    holds = bool(np.nanmedian(list(ratios.values())) > 1 and ratios["output"] > 1)
    return holds, f"paired ratio to GA: {_listed(ratios)}; at 20 spikes: {_listed(noisy)}"


def _listed(values: dict[str, float], form: str = ".2f") -> str:
    return ", ".join(f"{name} {value:{form}}" for name, value in values.items() if not np.isnan(value)) or "none"


CLAIMS: dict[int, tuple[str, Callable[[Evidence], Found]]] = {
    1: ("GA beats the best of as many random images for nearly all units of middle and late layers", _beats_budget),
    2: ("relative activation grows from early to late layers, and drops at the output", _grows_with_depth),
    3: ("a search is half-way up early on, and climbs to the end", _curve),
    4: ("generators of late layers suit late units best; pixels do for early ones alone", _generators),
    5: ("what a generator was trained on hardly matters", _training_set),
    6: ("seeds end alike high (variation below .12), at different optima (a dip below .75 half way)", _seeds),
    7: ("a better start ends higher, and the more so the deeper the layer", _better_start),
    8: ("without noise FDGD and NES do better than GA in late and output layers, worse in early ones", _noiseless),
    9: ("at 20 spikes GA does better than FDGD everywhere, and than NES but at the output", _noisy),
    10: ("GA loses steadily with noise, and keeps half at 5 spikes", _noise_levels),
    11: ("XDream's trace of the genetic algorithm, number for number", _trace),
    12: ("the activations logged in XDream's tests", _logged),
    13: ("CMA-ES does better than GA", _cma),
}
