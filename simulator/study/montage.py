"""The evolved images of a study, beside the reference image that drives the same unit most."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from protocol.arrays import Images
from simulator.study.figures import COLOURS, DPI, MOST_SIDE_BY_SIDE, Shown, hue_of
from simulator.study.metrics import Row
from simulator.study.store import Store

N_UNITS = 6
N_UNITS_OF_SEVERAL = 2
"""Where each unit's images of several conditions stand side by side."""
BLACK = "#333333"


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A picture and what stands above it; no picture is a gap."""

    image: Images | None = None
    title: str = ""
    colour: str = BLACK


def montage(store: Store, shown: Shown) -> Figure | None:
    """Return the strongest images without noise, a row a layer: evolved, and the best reference image."""
    level = shown.levels()[0]
    rows = [row for row in shown.rows if row.condition.spikes == level]
    hues = shown.hues(rows)
    if len(hues) > MOST_SIDE_BY_SIDE:
        return None
    cells = list[list[Cell]]()
    for network, layer in ((n, each) for n in shown.networks() for each in shown.layers(n)):
        here = [row for row in rows if (row.condition.network, row.condition.layer) == (network, layer)]
        cells += _of_layer(store, shown, here, hues)
    columns = max(map(len, cells))
    figure = Figure((1.05 * columns + 0.2, 1.32 * len(cells)), dpi=DPI, layout="constrained")
    for line, axes in zip(cells, figure.subplots(len(cells), columns, squeeze=False), strict=True):
        for place in range(columns):
            _draw(axes[place], line[place] if place < len(line) else Cell())
    return figure


def _of_layer(store: Store, shown: Shown, rows: Sequence[Row], hues: Sequence[tuple[str, ...]]) -> list[list[Cell]]:
    """Return lines of cells: one condition in a row above its references, or several beside theirs."""
    units = list(dict.fromkeys(row.unit for row in rows))
    if len(hues) == 1:
        best = [_strongest(rows, unit, hues[0]) for unit in units[:N_UNITS]]
        evolved = [_evolved(store, row, f"{row.condition.layer} {row.unit}", COLOURS[0]) for row in best if row]
        return [evolved, [_reference(store, row) for row in best if row]]
    line: list[Cell] = []
    for unit in units[:N_UNITS_OF_SEVERAL]:
        best = [_strongest(rows, unit, hue) for hue in hues]
        first = next(row for row in best if row)
        line.append(_reference(store, first, f"{first.condition.layer} {unit}"))
        for i, row in enumerate(best):
            line.append(_evolved(store, row, shown.name(hues[i]), shown.colours()[hues[i]]) if row else Cell())
        line.append(Cell())
    return [line[:-1]]


def _strongest(rows: Sequence[Row], unit: str, hue: tuple[str, ...]) -> Row | None:
    mine = [row for row in rows if row.unit == unit and hue_of(row.condition) == hue]
    return max(mine, key=lambda row: row.evolved, default=None)


def _evolved(store: Store, row: Row, title: str, colour: str) -> Cell:
    [png] = store.connection.execute("SELECT image FROM experiments WHERE hash = ?", (row.hash,)).fetchone()
    return Cell(_opened(png), f"{title}\n{row.relative:.2f}", colour)


def _reference(store: Store, row: Row, title: str = "reference") -> Cell:
    found = store.connection.execute(
        "SELECT t.best_image FROM targets t JOIN experiments e ON json_extract(e.experiment, '$.images') = t.images"
        " WHERE e.hash = ? AND t.layer = ? AND t.unit = ? AND abs(t.best - ?) < 1e-6 LIMIT 1",
        (row.hash, row.layer_name, row.unit, row.reference),
    ).fetchone()
    return Cell(_opened(found[0]) if found else None, f"{title}\n{row.reference:.2f}")


def _opened(png: bytes) -> Images:
    with Image.open(io.BytesIO(png)) as picture:
        return np.array(picture.convert("RGB"))


def _draw(axes: Axes, cell: Cell) -> None:
    if cell.image is None:
        axes.set_axis_off()
        return
    axes.imshow(cell.image)
    axes.set_title(cell.title, fontsize=7, color=cell.colour, pad=2)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=cell.colour, linewidth=1.2)
