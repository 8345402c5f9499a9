"""What runs came to, on record: a line for each, added when it ends, so that only what is missing is ever run."""

import csv
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path

from benchmarks.optimizers.runs import Key, Result

COLUMNS = ("seed", "search", "condition", "unit", "activation", "contrast")


class Store:
    """A CSV file of results that is only ever added to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Result]:
        """Return all results; a last line that was cut short counts for nothing."""
        return [
            Result(
                Key(int(row["seed"]), row["search"], row["condition"], row["unit"]),
                float(row["activation"]),
                float(row["contrast"]),
            )
            for row in csv.DictReader(self._whole_lines())
        ]

    def add(self, results: Iterable[Result]) -> None:
        """Add results, all of them in one write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = [] if self._whole_lines() else [list(COLUMNS)]
        lines += [[*map(str, astuple(each.key)), f"{each.activation:.4f}", f"{each.contrast:.4f}"] for each in results]
        self._drop_what_was_cut_short()
        with self.path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)

    def _whole_lines(self) -> list[str]:
        text = self.path.read_text() if self.path.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()

    def _drop_what_was_cut_short(self) -> None:
        if self.path.exists():
            content = self.path.read_bytes()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                self.path.write_bytes(content[:whole])
