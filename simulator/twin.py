"""`python -m simulator.twin SESSION`: a recorded neuron as a simulated one, and how its session would go on."""

import argparse
import sys
from collections.abc import Callable, Sequence
from math import isnan
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from server.config import ConfigError
from server.damage import naming_damage
from server.database import SessionFileError
from simulator.twin_fit import FEWEST_GENERATIONS, Twin, fit
from simulator.twin_forecast import Forecast, forecast, quantiles
from simulator.twin_session import Recorded, recorded

NEAREST = "poisson"
"""The preset of a twin whose time course is not known."""
MS = 1000.0
_SHORT = (
    f"what changes over a run cannot be told from fewer than {FEWEST_GENERATIONS} generations, so drift and "
    "baseline_drift are 0"
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit a twin, say what it is and how the session goes on, and write it as tables of a configuration file."""
    options = _parser().parse_args(arguments)
    console = Console(soft_wrap=True, markup=False)
    try:
        with naming_damage(options.session, ConfigError):
            session = recorded(options.session, options.evolution)
            twin = fit(session)
            _say_twin(console, twin)
            _say_forecast(console, session, twin, options.seed)
        path = options.to or options.session.with_suffix(".twin.toml")
        path.write_text(as_toml(twin, str(options.session)), "utf-8")
    except (SessionFileError, ConfigError, OSError) as wrong:
        sys.exit(f"xdream: {wrong}")
    console.print(f"\ntwin  {path}  (paste it into a configuration, then: xdream dry-run CONFIG)")


def as_toml(twin: Twin, source: str) -> str:
    """Return the twin as tables of a configuration file."""
    simulator = {
        "preset": twin.preset or NEAREST,
        "zero_at": "worst_reference",
        **{name: round(getattr(twin, name), 4) for name in (
            "baseline_hz", "untuned_hz", "tuned_hz", "drift", "baseline_drift", "gain_sd", "regularity",
        )},
        **({} if isnan(twin.gain_shared) else {"gain_shared": round(twin.gain_shared, 3)}),
        "adaptation": 0, "drift_sd": 0,
    }  # fmt: skip
    timing = twin.timing
    display = {
        "on_ms": round(MS * timing.on_s, 1),
        "off_ms": round(MS * timing.off_s, 1),
        "images_per_trial": timing.images_per_trial,
    }
    tables = {"simulator": simulator, "display": display, "rehearsal": {"break_rate": round(timing.break_share, 4)}}
    text = f"# A twin of {', '.join(twin.channels)} in {source}: {twin.n_generations} generations.\n"
    text += (
        "# Say which unit of which network stands for it: layer and units; drift holds what reference images lost.\n"
    )
    text += f"# {_SHORT[0].upper()}{_SHORT[1:]}.\n" if twin.is_short else ""
    for name, table in tables.items():
        text += f"\n[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())
    return text


def _toml(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"


def _say_twin(console: Console, twin: Twin) -> None:
    timing = twin.timing
    rows = {
        "evolved images": f"{twin.initial_hz:.0f} Hz at first, {twin.final_hz:.0f} Hz at last "
        f"({twin.final_hz / max(twin.initial_hz, 1e-9):.2f} times)",
        "standard error of a generation": f"{100 * twin.sem_share:.1f} % of its mean",
        "baseline": f"{twin.baseline_hz:.1f} Hz, {_trend(twin, twin.baseline_drift)}",
        "any image adds": f"{twin.untuned_hz:.1f} Hz",
        "the best reference image adds": f"{twin.untuned_hz + twin.tuned_hz:.1f} Hz",
        "reference images change": _trend(twin, twin.drift),
        "spikes alone vary": f"Fano factor {twin.fano:.2f}",
        "responses vary beside": f"{100 * twin.gain_sd:.0f} %"
        + ("" if isnan(twin.gain_shared) else f", {100 * twin.gain_shared:.0f} % of that variance in common"),
        "time course": f"as {twin.preset}, half of the peak at {MS * twin.latency_s:.0f} ms"
        if twin.preset
        else "not known: too few spike times",
        "an image": f"{MS * timing.on_s:.0f} ms on, {MS * timing.off_s:.0f} ms off, {timing.images_per_trial} a trial",
        "between trials": f"{MS * timing.between_trials_s:.0f} ms" if timing.between_trials_s > 0 else "not to be seen",
        "broken trials": f"{100 * timing.break_share:.0f} %",
    }
    table = Table(box=None, show_header=False)
    for what, value in rows.items():
        table.add_row(what, value)
    console.print(f"{', '.join(twin.channels)} over {twin.n_generations} generations\n")
    console.print(table)
    if twin.is_short:
        console.print(f"\nA short session: {_SHORT}. Rates and how they vary are less certain, too.")


def _trend(twin: Twin, drift: float) -> str:
    return "change not known" if twin.is_short else f"{100 * drift:+.0f} % over a usual run"


def _say_forecast(console: Console, session: Recorded, twin: Twin, seed: int) -> None:
    curve = session.curve.corrected() if session.is_reference.any() else session.curve
    try:
        found = forecast(curve.generations, curve.evolved, seed)
    except ValueError as wrong:
        console.print(f"\nNo forecast: {wrong}.")
        return
    corrected = ", corrected for drift by the reference images" if session.is_reference.any() else ""
    console.print(f"\nForecast by the mean scores{corrected} (90 % intervals):")
    console.print(in_words(found, np.array(twin.timing.generation_s), seed))


def in_words(found: Forecast, generation_s: np.ndarray, seed: int = 0) -> str:
    """Return what a forecast says, with 90 % intervals; generations are taken to last as long as they did."""
    low, middle, high = quantiles(found.flat_at())
    if high <= found.FIRST:
        return f"The curve has not risen in {found.last} generations, and nothing says that it will."
    there = float(np.mean(found.flat_at() <= found.last))
    words = f"Flat at generation {_between(low, middle, high)}; "
    words += f"with {100 * there:.0f} % it is so already in generation {found.last}."
    words += f" Mean score {_between(*quantiles(found.score(found.last)), form='{:.1f}')} now"
    is_flat = middle <= found.last
    words += "." if is_flat else (
        f", {_between(*quantiles(found.score(middle)), form='{:.1f}')} in generation {middle:.0f}."
    )  # fmt: skip
    lasting_s = generation_s[generation_s > 0]
    return f"{words} {_length(found, lasting_s, is_flat, seed)}" if len(lasting_s) else words


def _length(found: Forecast, lasting_s: np.ndarray, is_flat: bool, seed: int) -> str:
    """Return how long a session until the curve is flat takes, and how much of that is left."""
    # How long the last generation took is not on record: from one's beginning to the next's.
    so_far = found.last * float(lasting_s.mean()) / 60
    left = _minutes(np.maximum(found.flat_at() - found.last, 0), lasting_s, np.random.default_rng((seed, 1)))
    more = "" if is_flat else f"Until then {_between(*quantiles(left), form='{:.1f}')} min more. "
    return (
        f"{more}Session {_between(*quantiles(so_far + left), form='{:.1f}')} min in all, {so_far:.1f} of them so far."
    )


def _minutes(left: np.ndarray, lasting_s: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return [n_draws] how long so many generations take: their mean is as uncertain as it is on record."""
    resampled = random.choice(lasting_s, (len(left), len(lasting_s))).mean(axis=1)
    return np.asarray(left * resampled / 60)


def _between(low: float, middle: float, high: float, form: str = "{:.0f}") -> str:
    say: Callable[[float], str] = form.format
    return f"{say(middle)} ({say(low)} to {say(high)})"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("xdream twin", description=__doc__, allow_abbrev=False)
    parser.add_argument("session", type=Path, help="the session file, NAME.xdream")
    parser.add_argument("--evolution", type=int, default=1, metavar="N", help="which one, by its number (default: 1)")
    parser.add_argument("--to", type=Path, metavar="FILE", help="where to; else beside the session, NAME.twin.toml")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the draws that intervals come from")
    return parser


if __name__ == "__main__":
    main()
