"""What is on record as tables in Markdown, and as a plot of the house's own search against every other."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.optimizers.conditions import CONDITIONS
from benchmarks.optimizers.runs import Result
from benchmarks.optimizers.searches import COMPARED, ENTRIES, ONE_CONTRAST
from benchmarks.optimizers.statistics import Ratio, compare, holm

OURS = {"sphere_mirror": "tab:orange", "sphere_mirror, axes": "tab:blue"}
"""The searches that are compared with all others, and their colours."""
OURS_AT_ONE_CONTRAST = "sphere_mirror, axes, one contrast"
Ratios = dict[tuple[str, str, str], tuple[Ratio, float]]
"""Search of ours, other search and condition to the ratio of the two, and its corrected p."""


def ratios_at_one_contrast(results: Sequence[Result]) -> Ratios:
    """Return the ratio of ours to each other search where all pictures have one RMS contrast."""
    return ratios(results, [OURS_AT_ONE_CONTRAST], list(ONE_CONTRAST))


def ratios(
    results: Sequence[Result], ours: Sequence[str] = tuple(OURS), others: Sequence[str] = tuple(COMPARED)
) -> Ratios:
    """Return the ratio of each of ours to each other search in each condition.

    p is corrected for all comparisons on as many units as there are, and apart from them for those on fewer.
    """
    first = ours[0]  # compared with the second in the second's table
    found = {
        (own, other, condition): ratio
        for own in ours
        for other in others
        for condition in CONDITIONS
        if other != own and not (own == first and other in ours)
        if (ratio := compare(results, own, other, condition))
    }
    corrected: dict[tuple[str, str, str], float] = {}
    most = max((ratio.n_units for ratio in found.values()), default=0)
    for whole in (True, False):
        family = [key for key, ratio in found.items() if (ratio.n_units == most) == whole]
        corrected |= zip(family, holm([found[key].p for key in family]), strict=True)
    return {key: (ratio, corrected[key]) for key, ratio in found.items()}


def ratio_table(found: Ratios, own: str) -> str:
    """Return a row for each other search: the ratio of one of ours to it in each condition."""
    rows = [[f"`{own}` over", *(each.title for each in CONDITIONS.values()), "units / pairs"]]
    for other in ENTRIES:
        ratios_ = [found.get((own, other, condition)) for condition in CONDITIONS]
        sizes = {f"{each[0].n_units} / {each[0].n_runs}" for each in ratios_ if each}
        if sizes:
            rows.append([f"`{other}`", *map(_cell, ratios_), "; ".join(sorted(sizes))])
    return _markdown(rows)


def activation_table(results: Sequence[Result]) -> str:
    """Return a row for each search: mean activation and contrast of its pictures by condition, and number of runs."""
    rows = [["search: activation (contrast)", *(each.title for each in CONDITIONS.values()), "runs"]]
    for search in ENTRIES:
        own = [each for each in results if each.key.search == search]
        if own:
            rows.append([f"`{search}`", *(_means(own, condition) for condition in CONDITIONS), str(len(own))])
    return _markdown(rows)


def shared(results: Sequence[Result]) -> list[Result]:
    """Return the results of units, conditions and seeds that every search had, so that means compare."""
    had: dict[str, set[tuple[int, str, str]]] = {}
    for each in results:
        had.setdefault(each.key.search, set()).add((each.key.seed, each.key.condition, each.key.unit))
    all_had = set.intersection(*had.values()) if had else set()
    return [each for each in results if (each.key.seed, each.key.condition, each.key.unit) in all_had]


def draw(found: Ratios, path: Path) -> None:
    """Draw the ratios with their intervals, a panel for each condition."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.lines import Line2D

    others = [other for other in ENTRIES if any(key[1] == other for key in found)]
    height = 1.2 + 0.32 * len(others)
    figure, panels = plt.subplots(
        1, len(CONDITIONS), figsize=(12, height), sharex=True, sharey=True, layout="constrained"
    )
    for panel, (condition, about) in zip(panels, CONDITIONS.items(), strict=True):
        for (own, other, where), (ratio, p) in found.items():
            if where == condition:
                place = others.index(other) + 0.18 * (1 if own.endswith("axes") else -1)
                error = [[ratio.ratio - ratio.low], [ratio.high - ratio.ratio]]
                filled = OURS[own] if p < 0.05 else "white"
                panel.errorbar(ratio.ratio, place, xerr=error, fmt="o", color=OURS[own], markerfacecolor=filled)
        panel.axvline(1, color="black", linewidth=0.8)
        panel.axvline(1.25, color="grey", linewidth=0.8, linestyle=":")
        panel.set_xscale("log")
        panel.set_xlim(0.7, 3)  # an interval may go on beyond
        panel.set_xticks([0.8, 1, 1.25, 2], ["0.8", "1", "1.25", "2"])
        panel.set_xticks([], minor=True)
        panel.set_title(about.title, fontsize=10)
        panel.grid(axis="y", linewidth=0.3)
    panels[0].set_yticks(range(len(others)), others)
    panels[0].set_ylim(len(others) - 0.4, -0.6)
    handles = [Line2D([], [], color=colour, marker="o", label=own) for own, colour in OURS.items()]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, frameon=False)
    figure.supxlabel("activation, over that by the search named at the left; filled: p < 0.05 (Holm)", fontsize=10)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _cell(found: tuple[Ratio, float] | None) -> str:
    if found is None:
        return ""
    ratio, p = found
    text = f"{ratio.ratio:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
    text = f"**{text}**" if p < 0.05 else text
    return f"{text}, p {_p(p)}"


def _p(p: float) -> str:
    return "< .001" if p < 0.001 else f"{p:.3f}".lstrip("0") if p < 1 else "1"


def _means(results: Sequence[Result], condition: str) -> str:
    own = [(each.activation, each.contrast) for each in results if each.key.condition == condition]
    return "{:.2f} ({:.3f})".format(*np.mean(own, axis=0)) if own else ""


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
