"""The figures of a report: violins of relative activation, learning curves, noise, lines between optima."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simulator.study.metrics import FACTORS, Condition, Line, Row, by_condition, by_unit

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#8a7a00", "#555555")
"""Okabe and Ito's, told apart by everybody."""
MOST_SIDE_BY_SIDE = len(COLOURS)
"""More conditions than this are listed one below the other."""
ENOUGH_FOR_A_VIOLIN = 5
DPI = 110


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A study's experiments, and the order in which it names things."""

    rows: Sequence[Row]
    order: dict[str, list[Any]]

    def hues(self, rows: Iterable[Row]) -> list[tuple[str, ...]]:
        """Return the combinations of labels that these rows differ in, in the study's order."""
        found = {hue_of(row.condition) for row in rows}
        return sorted(found, key=lambda hue: tuple(self._place(f, v) for f, v in zip(HUES, hue, strict=True)))

    def colours(self) -> dict[tuple[str, ...], str]:
        """Return the colour of each combination, the same in all figures of a study."""
        return {hue: COLOURS[i % len(COLOURS)] for i, hue in enumerate(self.hues(self.rows))}

    def name(self, hue: tuple[str, ...]) -> str:
        """Return what a combination is called, leaving out what all have in common."""
        several = [i for i, factor in enumerate(HUES) if len({hue_of(row.condition)[i] for row in self.rows}) > 1]
        return ", ".join(hue[i] for i in several) or hue[1]

    def layers(self, network: str) -> list[str]:
        """Return the layers of a network that were searched."""
        there = {row.condition.layer for row in self.rows if row.condition.network == network}
        return [layer for layer in self.order["layer"] if layer in there]

    def networks(self) -> list[str]:
        """Return the networks that were searched."""
        there = {row.condition.network for row in self.rows}
        return [network for network in self.order["network"] if network in there]

    def levels(self) -> list[float]:
        """Return the noise levels to show side by side: those that several conditions share, or the least noisy."""
        by_level = {level: [r for r in self.rows if r.condition.spikes == level] for level in self.order["spikes"]}
        several = [level for level, rows in by_level.items() if len(self.hues(rows)) > 1]
        return several or [level for level, rows in by_level.items() if rows][:1]

    def _place(self, factor: str, label: str) -> int:
        return self.order[factor].index(label) if label in self.order[factor] else 0


HUES = tuple(factor for factor in FACTORS if factor != "spikes")


def hue_of(condition: Condition) -> tuple[str, ...]:
    return tuple(str(getattr(condition, factor)) for factor in HUES)


def level_name(level: float) -> str:
    """Return what a level of noise is called."""
    return f"{level:g} spikes at the best reference" if level else "no noise"


def relative(shown: Shown) -> Figure:
    """Return relative activation by condition: a violin, its quartiles and its units."""
    networks, levels = shown.networks(), shown.levels()
    most = max(len(shown.hues(r for r in shown.rows if r.condition.spikes == level)) for level in levels)
    below = most > MOST_SIDE_BY_SIDE
    n_layers = max(len(shown.layers(network)) for network in networks)
    size = (8, 0.28 * most * n_layers + 1.5) if below else (max(6.0, 1.2 + n_layers * (0.7 + 0.45 * most)), 3.6)
    figure = Figure((size[0], size[1] * len(networks) * len(levels)), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(networks) * len(levels), 1, squeeze=False)[:, 0]
    for i, (network, level) in enumerate((n, level) for n in networks for level in levels):
        rows = [r for r in shown.rows if r.condition.network == network and r.condition.spikes == level]
        _distributions(axes[i], shown, rows, shown.layers(network), below)
        axes[i].set_title(f"{network}, {level_name(level)}", loc="left", fontsize=10)
    return figure


def _distributions(axes: Axes, shown: Shown, rows: Sequence[Row], layers: Sequence[str], below: bool) -> None:
    hues, groups, colours = shown.hues(rows), by_condition(rows), shown.colours()
    places, labels = [], []
    for i, layer in enumerate(layers):
        for j, hue in enumerate(hues):
            mine = [r for c, group in groups.items() if c.layer == layer and hue_of(c) == hue for r in group]
            place = i * (len(hues) + 1) + j
            values = np.array(list(by_unit(mine).values()))
            if len(values):
                _distribution(axes, place, values, COLOURS[0] if below else colours[hue], below)
            if below or j == len(hues) // 2:
                places.append(place if below else place - (len(hues) % 2 == 0) / 2)
                labels.append((f"{layer}: " if len(layers) > 1 else "") + shown.name(hue) if below else layer)
    along, across = (axes.yaxis, axes.axvline) if below else (axes.xaxis, axes.axhline)
    along.set_ticks(places, labels, fontsize=8)
    across(1, color="#999999", linewidth=0.8, linestyle=":")
    if below:
        axes.invert_yaxis()
        axes.set(xlabel="relative activation")
    else:
        axes.set(ylabel="relative activation", ylim=(min(0.0, axes.get_ylim()[0]), None))
        if len(hues) > 1:
            for hue in hues:
                axes.plot([], [], "s", color=colours[hue], label=shown.name(hue))
            axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    axes.spines[["top", "right"]].set_visible(False)


def _distribution(axes: Axes, place: float, values: np.ndarray, colour: str, below: bool) -> None:
    """Draw one violin (where there are enough units for one), its quartiles and median, and every unit."""
    if len(values) >= ENOUGH_FOR_A_VIOLIN:
        way: Literal["horizontal", "vertical"] = "horizontal" if below else "vertical"
        drawn: Any = axes.violinplot(values, [place], widths=0.85, showextrema=False, orientation=way)
        for body in drawn["bodies"]:
            body.set(facecolor=colour, alpha=0.25)
    low, median, high = np.percentile(values, (25, 50, 75))
    spread = place + 0.12 * np.cos(2.4 * np.arange(len(values)))
    drawn_at = {"points": (values, spread), "bar": ([low, high], [place] * 2), "middle": ([median], [place])}
    (points, bar, middle) = (pair if below else pair[::-1] for pair in drawn_at.values())
    axes.plot(*points, ".", color=colour, markersize=4, alpha=0.8)
    axes.plot(*bar, color=colour, linewidth=3, alpha=0.7)
    axes.plot(*middle, "o", color="white", markeredgecolor=colour, markersize=6)


def curves(shown: Shown) -> Figure | None:
    """Return learning curves: median and quartiles of each generation's strongest, over the best reference image."""
    networks, levels = shown.networks(), shown.levels()
    if max(len(shown.hues(shown.rows)), 1) > MOST_SIDE_BY_SIDE:
        return None
    columns = max(len(shown.layers(network)) for network in networks)
    n_rows = len(networks) * len(levels)
    figure = Figure((2.5 * columns + 1.6, 2.3 * n_rows + 0.4), dpi=DPI, layout="constrained")
    grid = figure.subplots(n_rows, columns, squeeze=False, sharex=True)
    for i, (network, level) in enumerate((n, level) for n in networks for level in levels):
        layers = shown.layers(network)
        for axes in grid[i, len(layers) :]:
            axes.set_axis_off()
        for axes, layer in zip(grid[i], layers, strict=False):
            wanted = replace(shown.rows[0].condition, network=network, layer=layer, spikes=level)
            _curve(axes, shown, [r for r in shown.rows if _same_place(r.condition, wanted)])
            axes.set_title(f"{layer}, {level_name(level).split(' at')[0]}", loc="left", fontsize=9)
        grid[i, 0].set_ylabel("activation / best reference", fontsize=8)
    hues = shown.hues(r for r in shown.rows if r.condition.spikes in levels)
    for hue in hues if len(hues) > 1 else ():
        grid[0, 0].plot([], [], color=shown.colours()[hue], label=shown.name(hue))
    if len(hues) > 1:
        figure.legend(frameon=False, fontsize=8, loc="outside right upper")
    for axes in grid[-1]:
        axes.set_xlabel("presentations", fontsize=8)
    return figure


def _same_place(a: Condition, b: Condition) -> bool:
    return (a.network, a.layer, a.spikes) == (b.network, b.layer, b.spikes)


def _curve(axes: Axes, shown: Shown, rows: Sequence[Row]) -> None:
    hues = shown.hues(r for r in shown.rows if r.condition.spikes in shown.levels())
    for hue in hues:
        mine = [row for row in rows if hue_of(row.condition) == hue]
        if not mine:
            continue
        shown_at = max((row.presentations for row in mine), key=len)
        values = np.array([np.interp(shown_at, row.presentations, row.best / row.reference) for row in mine])
        low, median, high = np.percentile(values, (25, 50, 75), axis=0)
        colour = shown.colours()[hue]
        axes.plot(shown_at, median, color=colour, linewidth=1.5)
        axes.fill_between(shown_at, low, high, color=colour, alpha=0.18, linewidth=0)
    if rows:
        axes.axhline(1, color="#999999", linewidth=0.8, linestyle=":")
        axes.axhline(float(np.median([r.expected / r.reference for r in rows])), color="#999999", linewidth=0.8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def noise(shown: Shown) -> Figure | None:
    """Return relative activation against noise, for what was searched at three levels or more."""
    found: dict[tuple[str, tuple[str, ...]], set[float]] = {}
    for row in shown.rows:
        found.setdefault((row.condition.network, hue_of(row.condition)), set()).add(row.condition.spikes)
    several = {key: sorted(each, key=lambda level: level or np.inf) for key, each in found.items() if len(each) > 2}
    if not several:
        return None
    figure = Figure((4.6 * len(several), 3.4), dpi=DPI, layout="constrained")
    grid = figure.subplots(1, len(several), squeeze=False)[0]
    for axes, ((network, hue), levels) in zip(grid, several.items(), strict=True):
        for i, layer in enumerate(shown.layers(network)):
            wanted = network, layer, hue
            mine = [r for r in shown.rows if (r.condition.network, r.condition.layer, hue_of(r.condition)) == wanted]
            units = [list(by_unit(r for r in mine if r.condition.spikes == level).values()) for level in levels]
            _band(axes, range(len(levels)), units, COLOURS[i % len(COLOURS)], layer)
        axes.set_xticks(range(len(levels)), [f"{level:g}" if level else "∞" for level in levels])
        axes.set(xlabel="expected spikes at the best reference image", ylabel="relative activation", ylim=(0, None))
        axes.set_title(f"{network}, {shown.name(hue)}", loc="left", fontsize=10)
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _band(axes: Axes, places: Any, values: Any, colour: str, label: str) -> None:
    """Draw the median of the values at each place as a line, and their quartiles as a band."""
    middle = [np.percentile(each, (25, 50, 75)) if len(each) else np.full(3, np.nan) for each in values]
    low, median, high = np.transpose(middle)
    axes.plot(places, median, "o-", color=colour, label=label, markersize=4)
    axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)


def between(lines: Sequence[Line], order: dict[str, list[Any]]) -> Figure | None:
    """Return what lies on the lines between optima of one unit, by layer, relative to the two ends."""
    if not lines:
        return None
    figure = Figure((5.2, 3.4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    layers = [each for each in order["layer"] if each in {line.row.condition.layer for line in lines}]
    for i, layer in enumerate(layers):
        mine = [line for line in lines if line.row.condition.layer == layer]
        positions = mine[0].positions
        alike = [line.activations for line in mine if len(line.positions) == len(positions)]
        _band(axes, positions, np.transpose(alike), COLOURS[i % len(COLOURS)], layer)
    axes.set(xlabel="place on the line between two optima (0 and 1)", ylabel="activation / mean of the ends")
    axes.axhline(1, color="#999999", linewidth=0.8, linestyle=":")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
