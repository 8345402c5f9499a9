"""What pydantic finds wrong in a configuration, in words for whoever wrote the file."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from protocol.plugins import nearest
from server.config_table import Table
from server.config_tables import Config

LONGEST_VALUE = 60
"""A wrong value is quoted up to here: enough to find it by."""
_WORDS = {
    "string_type": "must be text in quotes",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "tuple_type": "must be a list",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}
_SHORTER = {
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
    " after validation": "",
}


def sentence(file: str, problem: ErrorDetails, document: Mapping[str, Any]) -> str:
    """Return one problem as one line: file, table, key, what is wrong and what would do."""
    table, names, key = _split(problem["loc"])
    where = _where(file, names, document)
    match problem["type"]:
        case "extra_forbidden":
            what = _unknown(table, key)
        case "missing":
            what = f"{key or 'this table'} is missing{_needed(table, key)}"
        case _:
            what = _wrong(problem, key)
    return f"{where}: {what.rstrip('.')}."


def key_of(field: FieldInfo) -> str:
    """Return how a field is written in the file."""
    return str(field.alias)


def tables_in(table: type[Table]) -> dict[str, type[Table]]:
    """Return the tables inside a table, by their names in the file."""
    found = {}
    for field in table.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Table):
                found[key_of(field)] = kind
    return found


def all_tables(path: str = "", table: type[Table] = Config) -> Iterator[tuple[str, type[Table]]]:
    """Yield every table of the file with its name in full: `evolution`, `evolution.optimizer`, ..."""
    for name, inner in tables_in(table).items():
        yield f"{path}{name}", inner
        yield from all_tables(f"{path}{name}.", inner)


def _split(place: Sequence[int | str]) -> tuple[type[Table], list[int | str], str]:
    """Return the innermost table of a place, the names that lead to it, and the key in it."""
    table: type[Table] = Config
    names, rest = list[int | str](), list(place)
    while rest and (rest[0] in tables_in(table) or (names and isinstance(rest[0], int))):
        name = rest.pop(0)
        names.append(name)
        table = table if isinstance(name, int) else tables_in(table)[name]
    return table, names, "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in rest)[1:]


def _where(file: str, names: Sequence[int | str], document: Mapping[str, Any]) -> str:
    """Return "FILE, [table]", with the place of an evolution among several."""
    place = next((each for each in names if isinstance(each, int)), None)
    path = ".".join(each for each in names if isinstance(each, str))
    if place is None or len(document["evolution"]) == 1:
        return f"{file}, [{path}]" if path else file
    inner = f", [{path}]" if "." in path else ""
    return f"{file}, [[evolution]] {place + 1}{inner}"


def _unknown(table: type[Table], key: str) -> str:
    known = [key_of(field) for field in table.model_fields.values()]
    owners = [f"[{path}]" for path, each in all_tables() if key in map(key_of, each.model_fields.values())]
    mend = f" It belongs in {' or '.join(owners)}." if owners else nearest(key, known)
    return f"no {'table' if table is Config else 'key'} {key!r}.{mend} Known: {', '.join(known)}"


def _needed(table: type[Table], key: str) -> str:
    required = [key_of(field) for field in table.model_fields.values() if field.is_required()]
    return f"; it must give {', '.join(required)}" if required and not key else ""


def _wrong(problem: ErrorDetails, key: str) -> str:
    """Return "KEY must be ..., got ...", or the sentence of whoever refused the value."""
    if problem["type"] == "value_error":
        text = problem["msg"].removeprefix("Value error, ")
        return f"{key} {text}" if text.startswith("must ") else text
    text = re.sub(r"^\w+ should ", "must ", problem["msg"])
    for theirs, ours in _SHORTER.items():
        text = text.replace(theirs, ours)
    shown = repr(problem["input"])
    cut = shown if len(shown) <= LONGEST_VALUE else f"{shown[:LONGEST_VALUE]}..."
    return f"{key or 'it'} {_WORDS.get(problem['type'], text)}, got {cut}"
