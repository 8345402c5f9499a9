"""Study files: those that come with XDream, or a lab's own; other tables laid over them; what is wrong with them."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from protocol.plugins import nearest
from server.config import ConfigError
from server.config_problems import key_of, tables_in
from server.config_table import Table
from simulator.study.labels import check_labels
from simulator.study.tables import Study

SHIPPED = Path(__file__).with_name("studies")
OVERLAYS = SHIPPED / "overlays"
_WORDS = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
_ONCE = ("study", "references")
"""Tables that a study file has once."""


def load_study(file: str, laid_over: Sequence[str] = ()) -> Study:
    """Return the study in a file, or of that name among those that come with XDream; raise ConfigError.

    Files laid over it have the last word: keys of [study] and [references] one by one, other tables as a whole.
    """
    documents = [_read(path, folder) for path, folder in _paths(file, laid_over)]
    merged: dict[str, Any] = {}
    for document in documents:
        for key, value in document.items():
            both = key in _ONCE and isinstance(value, dict) and isinstance(merged.get(key, {}), dict)
            merged[key] = {**merged.get(key, {}), **value} if both else value
    names = ", ".join((file, *laid_over))
    try:
        study = Study.model_validate(merged)
    except ValidationError as wrong:
        raise ConfigError(*(_sentence(names, each) for each in wrong.errors())) from None
    problems = check_labels(study)
    if problems:
        raise ConfigError(*(f"{names}, {each}" for each in problems))
    return study


def shipped() -> Iterator[tuple[str, str]]:
    """Yield the name of each study that comes with XDream, and what it is about."""
    for path in sorted(SHIPPED.glob("*.toml")):
        yield path.stem, load_study(path.stem).study.about


def _paths(file: str, laid_over: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return the files to merge, each with the folder of those like it that come with XDream.

    After a file that comes with XDream to be laid over its studies goes what it has for this one study besides, if any.
    """
    study = _find(file, SHIPPED)
    found = [(study, SHIPPED)]
    for name in laid_over:
        over = _find(name, OVERLAYS)
        besides = OVERLAYS / over.stem / study.name
        found.append((over, OVERLAYS))
        if (study.parent, over.parent) == (SHIPPED, OVERLAYS) and besides.is_file():
            found.append((besides, OVERLAYS))
    return found


def _find(name: str, folder: Path) -> Path:
    """Return the file of that name; or, where there is none, the one that comes with XDream."""
    path, ours = Path(name), folder / f"{name}.toml"
    return path if path.is_file() or not ours.is_file() else ours


def _read(path: Path, folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, RecursionError, UnicodeDecodeError) as wrong:
        raise ConfigError(f"{path}: not TOML: {wrong}.") from wrong
    except OSError as wrong:
        known = ", ".join(each.stem for each in sorted(folder.glob("*.toml")))
        what = "Studies" if folder == SHIPPED else "Files to lay over a study"
        raise ConfigError(
            f"{path}: cannot be read: {wrong.strerror or wrong}. {what} that come with XDream: {known}."
        ) from wrong


def _sentence(file: str, problem: ErrorDetails) -> str:
    """Return one problem as one line: file, table, key, what is wrong and what would do."""
    table: type[Table] = Study
    names, rest = list[int | str](), list(problem["loc"])
    while rest and (isinstance(rest[0], int) or rest[0] in tables_in(table)):
        name = rest.pop(0)
        names.append(name)
        table = table if isinstance(name, int) else tables_in(table)[name]
    key = ".".join(map(str, rest))
    path = ".".join(each for each in names if isinstance(each, str))
    place = next((f" number {each + 1}" for each in names if isinstance(each, int)), "")
    where = f"{file}, [{path}]{place}" if path else file
    return f"{where}: {_what(problem, table, key)}."


def _what(problem: ErrorDetails, table: type[Table], key: str) -> str:
    known = [key_of(field) for field in table.model_fields.values()]
    if problem["type"] == "extra_forbidden":
        return f"no key {key!r}.{nearest(key, known)} Known: {', '.join(known)}"
    if problem["type"] == "missing":
        return f"{key} is missing"
    if problem["type"] == "value_error":
        text = problem["msg"].removeprefix("Value error, ").rstrip(".")
        return f"{key} {text}" if text.startswith("must ") else text
    text = _WORDS.get(problem["type"], re.sub(r"^\w+ should ", "must ", problem["msg"]))
    return f"{key or 'it'} {text}, got {_short(problem['input'])}"


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def text_of(study: Study) -> Mapping[str, Any]:
    """Return a study as plain values, every default written out: what its store keeps of it."""
    plain: dict[str, Any] = study.model_dump(mode="json", by_alias=True)
    return plain
