"""What a session came to, for the terminal, when it is over."""

from math import isfinite
from pathlib import Path

from rich.console import Console

from server.config import parse_config
from server.reading import Effect, Reader


def sum_up(path: Path, console: Console) -> None:
    """Say what the session came to, and where it is."""
    from server.picture import draw  # takes a second to import, which a resumed session must not wait for

    reader = Reader(path)
    try:
        measured, void = reader.count("measured"), reader.count("void")
        console.print(f"\n{measured} presentations measured, {void} void (shown again).")
        for number, name in reader.evolutions().items():
            effect = reader.effect(number)
            if effect is not None:
                console.print(f"{name}: {in_words(effect, reader.unit(number))}")
        try:
            draw(reader, path.with_suffix(".png"))
            console.print(f"picture  {path.with_suffix('.png')}")
            console.print(f"what the search recommends, its best image being partly lucky: xdream recommend {path}")
        except ValueError:
            console.print("no generation was finished, so there is no picture yet")
        if _is_known(reader):
            console.print(f"the neuron's best image is known; how close it came: xdream truth {path}")
    finally:
        reader.close()
    console.print(f"session  {path}  (go on: xdream resume {path})")


def _is_known(reader: Reader) -> bool:
    """Return whether it was a dry run with neurons whose best image is known."""
    facts = reader.facts()
    config = parse_config(facts["config"], "the session's configuration")
    return "rehearsal" in facts and config.simulator.parameters.get("network") == "known"


def in_words(effect: Effect, unit: str) -> str:
    """Return how the last generation compares; `unit` is a `Reader`'s word for what the scores are."""
    low, high = effect.interval_hz
    hz = " Hz" if unit.endswith("(Hz)") else ""
    if unit.endswith("(rank)"):
        return "scored by ranks within a generation, so there is nothing to compare"
    digits = ".1f" if hz else ".3g"
    times = f"{effect.ratio:.2f} times, " if hz and isfinite(effect.ratio) else ""
    return (
        f"evolved images {effect.evolved_hz:{digits}}{hz} (mean of the last generation), best reference "
        f"image {effect.reference_hz:{digits}}{hz}: {times}{effect.evolved_hz - effect.reference_hz:+{digits}}{hz} "
        f"(95 % interval {low:+{digits}} to {high:+{digits}})"
    )
