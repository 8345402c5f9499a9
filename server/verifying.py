"""Whether a session file is whole: every hash, every score, every link from an image to its score and to the next code.

A check yields a sentence for each place where the record does not agree with itself; none means that it does.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from server.export.snapshot import Snapshot, open_snapshot
from server.verifying_images import codes, drawn_again, images
from server.verifying_rows import database, ids, links, schema
from server.verifying_search import scores, seals, snapshots

MOST = 20
"""Sentences a check: one broken disk has thousands of the same kind."""
Check = Callable[[Snapshot], Iterator[str]]
CHECKS: dict[str, tuple[Check, str]] = {
    "database": (database, "SQLite's own integrity check, and every row that points at another one"),
    "schema": (schema, "tables and columns, schema version, configuration"),
    "ids": (ids, "every id says what its row says"),
    "links": (links, "schedule to presentation to response to score, without a gap"),
    "images": (images, "every picture has the pixels of its SHA-256"),
    "codes": (codes, "every code has its length, and every picture a code"),
    "snapshots": (snapshots, "every optimizer wakes up, asks the codes on record, and the next ones by their scores"),
    "scores": (scores, "every score follows from its counts, to the bit"),
    "seals": (seals, "every generation is as it was when it was scored"),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one check."""

    name: str
    what: str
    problems: tuple[str, ...]
    """At most MOST + 1 of them; none = intact."""


def verify(path: Path, draw: bool = False) -> Iterator[Result]:
    """Yield what came of each check; `draw` draws all images anew. Raise SessionFileError if it cannot be opened."""
    with open_snapshot(path) as snapshot:
        for name, (check, what) in CHECKS.items():
            yield Result(name, what, _problems(check, snapshot))
        if draw:
            yield Result("drawing", "every code drawn anew gives its picture", _problems(drawn_again, snapshot))


def _problems(check: Check, snapshot: Snapshot) -> tuple[str, ...]:
    """Return what a check finds; a record so broken that the check cannot go on is a finding."""
    found = []
    try:
        found += list(islice(check(snapshot), MOST + 1))
    except Exception as error:  # whatever a damaged file leads to must be said, and the other checks must be made
        found.append(f"cannot be checked: {type(error).__name__}: {error}")
    return tuple(found)
