"""One picture of a session: the evolution curve with its references, and the best images beside the best references."""

from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from server.database import SessionFileError
from server.reading import Best, Curve, Reader

matplotlib.use("Agg")
N_MONTAGE = 10
N_REFERENCES = 3
EVOLVED, REFERENCE, CORRECTED = "#0072b2", "#e69f00", "#333333"
"""Told apart by everybody, colour-blind or not."""


def draw(reader: Reader, path: Path) -> None:
    """Write a PNG with one row an evolution; raise SessionFileError when no generation has been scored yet."""
    drawn = [n for n in reader.evolutions() if reader.curve(n).evolved]
    if not drawn:
        raise SessionFileError(f"{reader.path}: no generation has been scored yet, there is nothing to draw")
    figure = Figure(figsize=(11, 4.6 * len(drawn)), dpi=110, layout="constrained")
    rows = figure.subfigures(len(drawn), 1, squeeze=False)[:, 0]
    for row, evolution in zip(rows, drawn, strict=True):
        top, bottom = row.subfigures(2, 1, height_ratios=(2.2, 1))
        _draw_curve(top.subplots(), reader.curve(evolution), reader.unit(evolution))
        montage = _spread(reader.best_evolved(evolution)), reader.best_references(evolution)[:N_REFERENCES]
        _draw_montage(bottom, *montage, hz=reader.unit(evolution).endswith("(Hz)"))
    figure.savefig(path)


def _draw_curve(axes: Axes, curve: Curve, unit: str) -> None:
    for generation, scores in zip(curve.generations, curve.evolved, strict=True):
        axes.plot(np.full(len(scores), generation), scores, ".", color=EVOLVED, alpha=0.25, markersize=4)
    _draw_mean(axes, curve.generations, curve.evolved, EVOLVED, "evolved images, mean and 95 % interval")
    if any(len(scores) for scores in curve.references):
        _draw_mean(axes, curve.generations, curve.references, REFERENCE, "reference images")
        means = np.array(
            [np.nanmean(each) if np.isfinite(each).any() else np.nan for each in curve.corrected().evolved]
        )
        axes.plot(curve.generations, means, "--", color=CORRECTED, linewidth=1, label="evolved, corrected for drift")
    lowest = min(0.0, *(np.nanmin(each) for each in curve.evolved if np.isfinite(each).any()), 0.0)
    axes.set_title(curve.name, parse_math=False)  # a name is words, whatever dollars stand in it
    axes.set(xlabel="generation", ylabel=unit, xlim=(0.5, None), ylim=(lowest, None))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")


def _draw_mean(axes: Axes, generations: np.ndarray, scores: list[np.ndarray], colour: str, label: str) -> None:
    measured = [each[~np.isnan(each)] for each in scores]
    mean = np.array([each.mean() if len(each) else np.nan for each in measured])
    margin = np.array([1.96 * each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.0 for each in measured])
    axes.plot(generations, mean, color=colour, linewidth=2, label=label)
    axes.fill_between(generations, mean - margin, mean + margin, color=colour, alpha=0.25, linewidth=0)


def _spread(images: list[Best]) -> list[Best]:
    """Return at most N_MONTAGE of them, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(images) - 1, min(N_MONTAGE, len(images))).round().astype(int)
    return [images[place] for place in places]


def _draw_montage(figure: SubFigure, evolved: list[Best], references: list[Best], hz: bool) -> None:
    widths = [1.0] * len(evolved) + [0.3] + [1.0] * len(references)
    row = list(figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0])
    row.pop(len(evolved)).set_axis_off()  # a gap between the two
    marked = [(best, EVOLVED) for best in evolved] + [(best, REFERENCE) for best in references]
    for axes, (best, colour) in zip(row, marked, strict=True):
        label = fill(best.label.replace("_", " "), 12)
        axes.imshow(best.image)
        score = f"{best.score:.0f} Hz" if hz else f"{best.score:.3g}"
        axes.set_title(f"{label}\n{score}", fontsize=8, color=colour, parse_math=False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color=colour, linewidth=2)
