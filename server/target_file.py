"""A population target kept in a file: read when a session begins, on record with it, and had from there ever after.

[evolution.scorer]
name = "target"
file = "target.npz"      # arrays target, mean, sd, mask: [n_channels] each, in the order of the channels
"""

import json
from hashlib import sha256
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from server.config_tables import Config, ScorerPart
from server.npz import NpzError, content_of, named, read_npz
from server.scoring import ScorerError

ARRAYS = {"target": "target", "means": "mean", "sds": "sd", "mask": "mask"}
"""The keys of the scorer, and what the file calls them."""


def with_target(part: ScorerPart) -> ScorerPart:
    """Return a scorer's table with the lists of its file beside the file's name and SHA-256; raise ScorerError.

    A table without a file, or with lists already, is returned as it is.
    """
    if not _from_file(part) or "target" in part.parameters:
        return part
    try:
        lists, found = _lists(Path(part.parameters["file"]))
    except NpzError as wrong:
        raise ScorerError(str(wrong)) from wrong
    wanted = part.parameters.get("file_sha256", found)
    if wanted != found:
        raise ScorerError(f"{part.parameters['file']} is not what it was: its SHA-256 is {found}, and not {wanted}.")
    return part.model_copy(update={**lists, "file_sha256": found})


def as_recorded(config: Config, connection: Connection) -> Config:
    """Return a session's configuration with the targets that it was begun with, whatever became of their files."""
    if not any(_from_file(table.scorer) for table in config.evolutions):
        return config
    facts = {row[0]: json.loads(row[1]) for row in connection.execute("SELECT evolution, facts FROM evolutions")}
    tables = []
    for number, table in enumerate(config.evolutions, 1):
        recorded = facts.get(number, {}).get("scorer", {}) if _from_file(table.scorer) else {}
        scorer = table.scorer.model_copy(update={key: recorded[key] for key in recorded if key != "name"})
        tables.append(table.model_copy(update={"scorer": scorer}))
    return config.model_copy(update={"evolutions": tuple(tables)})


def _from_file(part: ScorerPart) -> bool:
    file = part.parameters.get("file")
    return part.name == "target" and isinstance(file, str) and bool(file)


def _lists(path: Path) -> tuple[dict[str, list[Any]], str]:
    """Return the scorer's lists in a file, and the file's SHA-256."""
    content = content_of(path)
    arrays = read_npz(content, path)
    for name in arrays:
        if name not in ARRAYS.values():
            raise NpzError(f'{path} holds an array "{name}"; known are {", ".join(ARRAYS.values())}.')
    held = {key: name for key, name in ARRAYS.items() if name in arrays or name == "target"}
    numbers = named(arrays, list(held.values()), path)
    for name, array in numbers.items():
        if array.ndim != 1:
            raise NpzError(f'{path}: the array "{name}" must be a row, one number a channel, not {list(array.shape)}.')
    lists: dict[str, list[Any]] = {key: numbers[name].tolist() for key, name in held.items()}
    if not set(lists.get("mask", ())) <= {0.0, 1.0}:
        raise NpzError(f'{path}: the array "mask" must hold true or false, 1 or 0.')
    return lists | {"mask": [each == 1 for each in lists.get("mask", ())]}, sha256(content).hexdigest()
