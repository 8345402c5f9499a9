"""How a session goes on, on the terminal of whoever started it."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from protocol.arrays import Scores
from protocol.messages import Control, Responses
from server.actions import Advanced, Alarm, AlarmOver, Cleared, Row, State, StateChanged, Trouble
from server.build import Built
from server.evolution import Outcome
from server.reading import UNITS
from server.standing import consequence_of
from server.stopping import ADVISER


class Terminal:
    """Watches what goes on record: a bar an evolution on a terminal, else a line a generation."""

    def __init__(
        self,
        console: Console,
        names: dict[int, str],
        n_generations: dict[int, int],
        units: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Watch evolutions of these names and numbers of generations (0 = no end); of one without a unit, scores."""
        self._console = console
        self._names = names
        self._n_generations = n_generations
        self._units = units
        self._began_s: float | None = None
        self._n_measured = 0
        self._n_scored = dict.fromkeys(names, 0)
        self._wrong: dict[tuple[str, ...], str] = {}
        """What was said to be wrong and is not over: troubles by their source, alarms by source and key."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rates]}", markup=False, table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
        )
        self._bars = Progress(*columns, console=console)
        self._tasks: dict[int, TaskID] = {
            number: self._bars.add_task(name, total=n_generations[number] or None, rates="")
            for number, name in names.items()
        }

    @classmethod
    def of(cls, built: Built, console: Console) -> "Terminal":
        """Return one that watches the evolutions of a session."""
        tables = dict(enumerate(built.config.evolutions, 1))
        names = {evolution.number: evolution.name for evolution in built.evolutions}
        ends = {number: table.generations for number, table in tables.items()}
        units = {number: UNITS.get(table.scorer.name, "") for number, table in tables.items()}
        return cls(console, names, ends, units)

    def __enter__(self) -> Callable[[Row], None]:
        """Begin; what it returns is to be told every row."""
        if self._console.is_terminal:
            self._bars.start()
        return self.watch

    def __exit__(self, *_: object) -> None:
        """Leave the terminal as it should be."""
        if self._console.is_terminal:
            self._bars.stop()

    def watch(self, row: Row) -> None:
        """Take note of a row, and say what a person wants to know of it."""
        match row:
            case Responses():
                self._n_measured += int(row.measured.sum())
            case Advanced() if row.outcome is not None:
                self._scored(row.outcome)
            case StateChanged(State.RUNNING, _) if self._began_s is None:
                self._began_s = time.monotonic()
            case StateChanged(State.PAUSED | State.ENDING | State.ENDED) if row.why:
                self._say("bold", row.state.value, f": {row.why}")
            case Control(author=author) if author == ADVISER:
                self._console.print(row.arguments["text"], markup=False)
            case Trouble(source, what, do):
                self._wrong[(source,)] = what
                self._say("bold red", what, f" | {consequence_of(source)} | {do}")
            case Cleared(source):
                self._over((source,))
            case Alarm(source, key, what, consequence, do):
                if (source, key) not in self._wrong:
                    self._say("bold yellow", what, f" | {consequence} | {do}")
                self._wrong[source, key] = what
            case AlarmOver(source, ""):
                for alarm in [each for each in self._wrong if len(each) > 1 and each[0] == source]:
                    self._over(alarm)
            case AlarmOver(source, key):
                self._over((source, key))

    def _over(self, wrong: tuple[str, ...]) -> None:
        what = self._wrong.pop(wrong, "")
        if what:
            self._say("bold green", "over", f": {what}")

    def _say(self, style: str, what: str, more: str) -> None:
        """Print words of anybody's, a peer's too, and when: brackets in them are brackets, and no markup."""
        self._console.print(Text.assemble(f"{datetime.now():%H:%M:%S}  ", (what, style), more))

    def _scored(self, outcome: Outcome) -> None:
        passed_s = time.monotonic() - (self._began_s or time.monotonic()) + 1e-9
        pace = self._n_measured / passed_s
        number, done = outcome.evolution, outcome.generation
        unit = self._units.get(number, "")
        best, mean, references = (
            _in_figures(scores, combine, unit)
            for scores, combine in (
                (outcome.scores, np.nanmax),
                (outcome.scores, np.nanmean),
                (outcome.reference_scores, np.nanmean),
            )
        )
        unit = f" {unit}" if unit else ""
        rates = f"best {best}  mean {mean}  references {references}{unit}  {pace:.0f} presentations/s"
        self._n_scored[number] += 1  # of a session that was resumed, those since then
        self._bars.update(self._tasks[number], completed=done, rates=rates)
        if not self._console.is_terminal:
            total = self._n_generations[number]
            left = f"  {passed_s / self._n_scored[number] * (total - done):.0f} s left" if total else ""
            self._console.print(f"{self._names[number]}  generation {done}/{total or '-'}  {rates}{left}", markup=False)


def _in_figures(scores: Scores, combine: Callable[[Scores], float], unit: str) -> str:
    return f"{combine(scores):{'.1f' if unit else '.3g'}}" if np.isfinite(scores).any() else "-"
