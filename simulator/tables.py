"""The tables of docs/simulator.md that come from the code: options, presets, faults."""

from math import isinf

from simulator.faults import MEANINGS, OF_DISPLAY, OF_PROGRAMS
from simulator.options import described
from simulator.presets import PARAMETERS, meanings, presets


def options_table() -> str:
    """Return every option that is no key of presets, as Markdown."""
    rows = [(name, default, meaning) for name, default, meaning in described() if name not in PARAMETERS]
    lines = [f"| `{name}` | {f'`{default}`' if default else 'none'} | {meaning} |" for name, default, meaning in rows]
    return "\n".join(["| key | if not given | meaning |", "|---|---|---|", *lines])


def presets_table() -> str:
    """Return every preset's values, as Markdown."""
    kinds = presets()
    head = [f"| key | meaning | {' | '.join(f'`{name}`' for name in kinds)} |", f"|---|---|{'---|' * len(kinds)}"]
    lines = [
        f"| `{key}` | {meaning} | {' | '.join(_short(getattr(preset, key)) for preset in kinds.values())} |"
        for key, meaning in meanings().items()
    ]
    return "\n".join([*head, *lines])


def courses_table() -> str:
    """Return every preset's time course, as Markdown."""
    lines = []
    for name, preset in presets().items():
        points = ", ".join(f"{ms:g}: {value:g}" for ms, value in zip(preset.psth_ms, preset.psth, strict=True))
        lines.append(f"| `{name}` | {points} |")
    head = ["| preset | ms after the onset: what images add to the rate, before it is scaled |", "|---|---|"]
    return "\n".join([*head, *lines])


def faults_table() -> str:
    """Return every fault, as Markdown."""
    where = dict.fromkeys(OF_DISPLAY, "display") | dict.fromkeys(OF_PROGRAMS, "program")
    lines = [f"| `{what}` | {where.get(what, 'recording')} | {meaning} |" for what, meaning in MEANINGS.items()]
    return "\n".join(["| what | where | what happens |", "|---|---|---|", *lines])


def _short(value: float) -> str:
    return "∞" if isinf(value) else f"{value:g}"
