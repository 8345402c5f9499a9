"""What the page says: a session's numbers, pictures and words, laid into one HTML file."""

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from server.config import Config
from server.export.snapshot import Snapshot, open_snapshot
from server.generators.contrast import rms_contrast
from server.pictures import to_png
from server.reading import Best
from server.recommending import Recommendation, recommend
from server.report import figures, timing
from server.report.contest import Contest, contest
from server.report.record import exclusions, ledger, record
from server.status.log import Seen, latest, lines
from server.status.records import about
from server.status.shapes import LogEntry

N_MONTAGE = 12
N_REFERENCES = 4
VISIBLE_MS = 0.1
"""Onsets that differ by less make no histogram."""


@dataclass(frozen=True, slots=True)
class Search:
    """One evolution on the page."""

    number: int
    name: str
    made_of: str
    unit: str
    n_generations: int
    curve: Markup
    best: list[Best]
    references: list[Best]
    contest: Contest
    luckiest: Best | None
    """The image with the highest score of all."""
    recommended: Recommendation | None
    not_recommended: str
    """Why it cannot be drawn."""


def write(path: Path, out: Path) -> None:
    """Write the page of a session file, running, finished or crashed; the same file gives the same page."""
    with open_snapshot(path) as snapshot:
        text = page(snapshot)
    unfinished = out.with_name(f".{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        unfinished.write_text(text, "utf-8")
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)


def page(snapshot: Snapshot) -> str:
    """Return the page as HTML."""
    config, said = snapshot.records.config(), about(snapshot.records)
    entries = _entries(snapshot)
    intervals_ms = timing.intervals_ms(snapshot)
    differ = intervals_ms.size and np.ptp(intervals_ms) > VISIBLE_MS
    return _template().render(
        about=said,
        config=config,
        state=_state(snapshot),
        rehearsal="rehearsal" in snapshot.records.facts(),
        ledger=ledger(snapshot),
        searches=[_search(snapshot, config, number) for number in snapshot.reader.evolutions()],
        exclusions=exclusions(snapshot),
        timing=timing.lines(snapshot),
        intervals=Markup(figures.intervals(intervals_ms) if differ else ""),  # an SVG drawn here  # nosec B704
        alarms=[entry for entry in entries if entry.kind == "alarm"],
        notes=[entry for entry in entries if entry.kind in ("note", "mark", "change", "control")],
        states=[entry for entry in entries if entry.kind in ("state", "peer", "late")],
        record=record(snapshot),
    )


def _search(snapshot: Snapshot, config: Config, number: int) -> Search:
    reader = snapshot.reader
    curve, unit = reader.curve(number), reader.unit(number)
    table, best = config.evolutions[number - 1], reader.best_evolved(number)
    return Search(
        number,
        reader.evolutions()[number],
        f"{table.optimizer.name} searches {table.generator.name}, scored by {table.scorer.name}",
        unit,
        len(curve.generations),
        Markup(figures.curve(curve, unit) if curve.evolved else ""),  # as above  # nosec B704
        _spread(best),
        reader.best_references(number)[:N_REFERENCES],
        contest(snapshot, config, number),
        max(best, key=lambda each: each.score, default=None),
        *(_recommended(snapshot, number) if best else (None, "")),
    )


def _recommended(snapshot: Snapshot, number: int) -> tuple[Recommendation | None, str]:
    try:
        return recommend(snapshot, number), ""
    except Exception as error:  # weights that lie elsewhere, a lab's own generator: the rest of the page can be had
        return None, str(error)


def _spread(images: list[Best]) -> list[Best]:
    """Return at most N_MONTAGE of them, evenly spread, the first and the last among them."""
    places = np.linspace(0, len(images) - 1, min(N_MONTAGE, len(images))).round().astype(int)
    return [images[place] for place in places]


def _entries(snapshot: Snapshot) -> list[LogEntry]:
    found = lines(snapshot.records, Seen(), latest(snapshot.records))
    return sorted((line.entry for line in found), key=lambda entry: entry.at)


def _state(snapshot: Snapshot) -> str:
    """Return how the session stands, or stood when its server fell."""
    state = snapshot.records.value("SELECT state FROM states ORDER BY rowid DESC LIMIT 1")
    return state or "not begun"


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"clock": _clock, "date": _date, "day": _day, "picture": _picture, "number": _number}
    environment.filters["contrast"] = _contrast
    return environment.get_template("page.html")


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"


def _date(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _picture(pictured: Best | Recommendation) -> str:
    return f"data:image/png;base64,{base64.b64encode(to_png(pictured.image)).decode()}"


def _contrast(pictured: Best | Recommendation) -> str:
    [contrast] = rms_contrast(pictured.image[None])
    return f"{contrast:.3f}"


def _number(value: float | None) -> str:
    """Return three digits, which is more than such data know."""
    if value is None or not np.isfinite(value):
        return "–"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
