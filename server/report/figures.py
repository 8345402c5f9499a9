"""Matplotlib's part of the report: figures as SVG text, the same for the same numbers."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from protocol.arrays import Scores
from server.reading import Curve

EVOLVED, REFERENCE, CORRECTED = "#0072b2", "#e69f00", "#555555"
"""Told apart by everybody, colour-blind or not."""
STYLE: dict[Any, Any] = {"svg.hashsalt": "xdream", "svg.fonttype": "none", "font.size": 10, "font.family": "sans-serif"}
"""A fixed salt gives the same ids each time; letters stay letters, which a reader can search for."""


def curve(found: Curve, unit: str) -> str:
    """Return the evolution curve: every image, means with their 95 % intervals, the references, the drift taken off."""
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for generation, scores in zip(found.generations, found.evolved, strict=True):
        axes.plot(np.full(len(scores), generation), scores, ".", color=EVOLVED, alpha=0.25, markersize=4)
    _mean(axes, found.generations, found.evolved, EVOLVED, "evolved images, mean and 95 % interval")
    if any(len(scores) for scores in found.references):
        _mean(axes, found.generations, found.references, REFERENCE, "reference images, mean and 95 % interval", "s")
        corrected = [_mean_of(scores) for scores in found.corrected().evolved]
        axes.plot(found.generations, corrected, "--", color=CORRECTED, linewidth=1, label="evolved, drift taken off")
    axes.set(xlabel="generation", ylabel=unit, xlim=(found.generations[0] - 0.5, found.generations[-1] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, loc="upper left", fontsize=9)
    return svg(figure)


def intervals(intervals_ms: NDArray[np.float64]) -> str:
    """Return the histogram of the times from one onset to the next within a trial."""
    figure = Figure(figsize=(8.4, 1.9), layout="constrained")
    axes = figure.subplots()
    middle = float(np.median(intervals_ms))
    reach = max(1.0, float(np.abs(intervals_ms - middle).max()))
    axes.hist(intervals_ms, bins=np.linspace(max(0.0, middle - reach), middle + reach, 61).tolist(), color=EVOLVED)
    axes.set(xlabel="from one onset to the next in a trial (ms)", ylabel="images", yscale="log")
    return svg(figure)


def svg(figure: Figure) -> str:
    """Return a figure as the SVG element alone; without a date, so that the same page comes out twice."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _mean(
    axes: Axes, generations: NDArray[np.int64], scores: Sequence[Scores], colour: str, label: str, marker: str = "o"
) -> None:
    measured = [each[~np.isnan(each)] for each in scores]
    mean = np.array([_mean_of(each) for each in measured])
    margin = np.array([1.96 * each.std(ddof=1) / np.sqrt(len(each)) if len(each) > 1 else 0.0 for each in measured])
    axes.plot(generations, mean, color=colour, linewidth=2, label=label, marker=marker, markersize=3.5)
    axes.fill_between(generations, mean - margin, mean + margin, color=colour, alpha=0.25, linewidth=0)


def _mean_of(scores: Scores) -> float:
    measured = scores[~np.isnan(scores)]
    return float(measured.mean()) if len(measured) else float("nan")
