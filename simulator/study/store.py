"""The store of studies: one SQLite file, a row an experiment, written as soon as it is known and never again."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.software import software
from server.config import ConfigError
from simulator.study.experiment import Experiment, Labels, Planned, Result
from simulator.study.references import Reference, Seen

SCHEMA = Path(__file__).with_name("schema.sql")
APPLICATION_ID = 0x58445354
"""Bytes 68 to 71 of the file: "XDST"."""
FORMAT = 1
_COLUMNS = [each.name for each in fields(Result)]


def is_store(path: str | Path) -> bool:
    """Tell whether a file is a store of studies, by its first hundred bytes."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(4, "big")


class Store:
    """A store, open for writing by one program at a time, and for reading by any number."""

    def __init__(self, path: str | Path, read_only: bool = False) -> None:
        """Open the store, or begin a new one; raise ConfigError if the file is something else."""
        self.path = Path(path)
        if self.path.exists() and self.path.stat().st_size and not is_store(self.path):
            raise ConfigError(f"{path} is no store of studies. Name another file for it, or a new one.")
        if read_only and not is_store(self.path):
            raise ConfigError(f"there is no store of studies at {path}. xdream study FILE makes one.")
        where = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        try:
            self.connection = sqlite3.connect(where, uri=True, isolation_level=None, timeout=30)
            self._begin(read_only)
        except (sqlite3.Error, UnicodeDecodeError) as wrong:
            raise ConfigError(f"{path} cannot be opened as a store of studies: {wrong}.") from wrong

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what is written inside, or nothing."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def add_study(self, name: str, study: Any, planned: Iterable[Planned]) -> None:
        """Write down what a study consists of, in the place of what it consisted of before."""
        with self.transaction():
            self.connection.execute("DELETE FROM planned WHERE study = ?", (name,))
            self.connection.execute(
                "INSERT INTO studies VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET study = excluded.study",
                (name, json.dumps(study), software(), _now()),
            )
            rows = [(name, e.hash, *_of(e.labels), e.reference.best, e.reference.expected_best) for e in planned]
            self.connection.executemany(f"INSERT INTO planned VALUES ({_marks(10)})", rows)

    def add_results(self, planned: Iterable[Planned], results: Iterable[Result]) -> None:
        """Write down the results of a batch, all or none."""
        experiments = {each.hash: each.experiment.text for each in planned}
        rows = [(each.hash, experiments[each.hash], *_values(each), _now()) for each in results]
        with self.transaction():
            self.connection.executemany(f"INSERT OR IGNORE INTO experiments VALUES ({_marks(len(_COLUMNS) + 2)})", rows)

    def done(self) -> set[str]:
        """Return the hashes of all experiments whose results are here."""
        return {row[0] for row in self.connection.execute("SELECT hash FROM experiments")}

    def add_reference(self, key: tuple[str, str, str, str, int, int, int], reference: Reference, png: bytes) -> None:
        """Write down what a reference set does to a unit."""
        found = reference.best, reference.expected_best, reference.median, reference.n_images
        self.connection.execute(
            f"INSERT OR REPLACE INTO targets VALUES ({_marks(13)})", (*key, *found, json.dumps(reference.ranked), png)
        )

    def reference(self, key: tuple[str, str, str, str, int, int, int]) -> Reference | None:
        """Return what a reference set does to a unit, if it is known."""
        found = self.connection.execute(
            "SELECT best, expected_best, median, n_images, ranked FROM targets WHERE (network, layer, unit, images,"
            " height_px, width_px, budget) = (?, ?, ?, ?, ?, ?, ?)", key,
        ).fetchone()  # fmt: skip
        if found is None:
            return None
        best, expected, median, n_images, ranked = found
        return Reference(best, expected, median, n_images, json.loads(ranked))

    def add_seen(self, scan: str, seen: Seen) -> None:
        """Write down what some images of a reference set did, until all are known."""
        activations = np.ascontiguousarray(seen.activations, np.float32).tobytes()
        values = (scan, seen.start, activations, json.dumps(seen.unreadable))
        self.connection.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?)", values)

    def starts_seen(self, scan: str) -> set[int]:
        """Return the first numbers of those images that need not be shown again."""
        return {row[0] for row in self.connection.execute("SELECT start FROM seen WHERE scan = ?", (scan,))}

    def seen(self, scan: str, n_targets: int) -> Iterator[Seen]:
        """Yield what was written down of a scan, in the images' order."""
        rows = self.connection.execute(
            "SELECT start, activations, unreadable FROM seen WHERE scan = ? ORDER BY start", (scan,)
        )
        for start, activations, unreadable in rows:
            values = np.frombuffer(activations, np.float32).reshape(-1, n_targets)
            yield Seen(start, values, {int(number): why for number, why in json.loads(unreadable).items()})

    def forget_seen(self, scan: str) -> None:
        """Give the room of a finished scan back."""
        self.connection.execute("DELETE FROM seen WHERE scan = ?", (scan,))
        self.connection.executescript("PRAGMA incremental_vacuum")  # execute() would give back one page

    def add_unreadable(self, images: str, pictures: Iterable[tuple[str, str]]) -> None:
        """Write down which pictures of a set were left out, and why."""
        rows = [(images, *each) for each in pictures]
        self.connection.executemany("INSERT OR REPLACE INTO unreadable VALUES (?, ?, ?)", rows)

    def unreadable(self, images: str) -> list[tuple[str, str]]:
        """Return which pictures of a set were left out, and why; none of a store older than this table."""
        if not self.connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'unreadable'").fetchone():
            return []
        query = "SELECT picture, why FROM unreadable WHERE images = ? ORDER BY picture"
        return self.connection.execute(query, (images,)).fetchall()

    def add_line(self, first: str, second: str, positions: NDArray[np.float32], activations: NDArray[Any]) -> None:
        """Write down what was found on the line between two optima."""
        values = (first, second, positions.tobytes(), np.asarray(activations, np.float32).tobytes())
        self.connection.execute("INSERT OR IGNORE INTO lines VALUES (?, ?, ?, ?)", values)

    def lines(self) -> Iterator[tuple[str, str, NDArray[np.float32], NDArray[np.float32]]]:
        """Yield the two hashes, the positions and the activations of every line between two optima."""
        for first, second, positions, activations in self.connection.execute("SELECT * FROM lines"):
            yield first, second, np.frombuffer(positions, np.float32), np.frombuffer(activations, np.float32)

    def code(self, hash_: str) -> NDArray[np.float32]:
        """Return the code of an experiment's strongest image, laid flat."""
        [found] = self.connection.execute("SELECT code FROM experiments WHERE hash = ?", (hash_,)).fetchone()
        return np.frombuffer(found, np.float32)

    def _begin(self, read_only: bool) -> None:
        [version] = self.connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            raise ConfigError(f"{self.path} was written by another xdream (format {version}, here {FORMAT}).")
        if read_only:
            return
        if not version:
            self.connection.execute("PRAGMA page_size = 8192")
            self.connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self.connection.executescript(
            f"BEGIN; PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
            f"{SCHEMA.read_text('utf-8')} COMMIT;"
        )


def experiment_of(text: str) -> Experiment:
    """Return the experiment that a row holds as JSON."""
    return Experiment(**json.loads(text))


def _of(labels: Labels) -> tuple[Any, ...]:
    return tuple(asdict(labels).values())


def _values(result: Result) -> list[Any]:
    return [getattr(result, name) for name in _COLUMNS if name != "hash"]


def _marks(n: int) -> str:
    return ", ".join("?" * n)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
