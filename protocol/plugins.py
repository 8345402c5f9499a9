"""Parts by name: a table of names, `package.module:Class` for a part of one's own, and sentences for typing errors."""

import importlib
import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

DEVICES = ("marker port", "gaze source")
"""Kinds of parts that are written NAME,key=value."""


class PluginError(ValueError):
    """A part that cannot be had as it was asked for; says which, why, and what would do instead."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean 'NAME'?" with the known name that is most like this one, or nothing."""
    by_lower_case = {each.lower(): each for each in known}
    matches = get_close_matches(name.lower(), by_lower_case, n=1)
    return f" Did you mean {by_lower_case[matches[0]]!r}?" if matches else ""


def load(path: str) -> Any:
    """Return what `package.module:Class` stands for; raise PluginError where there is no such thing."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as wrong:
        raise PluginError(f"{path!r} cannot be imported: {wrong}.") from wrong


def find(kind: str, name: str, table: Mapping[str, str]) -> Any:
    """Return the class of that name in the table, or of that `package.module:Class`."""
    check_name(kind, name, table)
    try:
        return load(table.get(name, name))
    except PluginError as wrong:
        raise PluginError(f"{kind} {name!r}: {wrong}") from wrong


def create(kind: str, name: str, table: Mapping[str, str], *given: Any, **parameters: Any) -> Any:
    """Return a new part of that name, made of what is given and of the parameters that its user named."""
    part = find(kind, name, table)
    signature = inspect.signature(part)
    _check_parameters(f"{kind} {name!r}", signature, len(given), parameters)
    if missing := _missing(signature, len(given), parameters):
        raise PluginError(f"{kind} {name!r} needs {' and '.join(missing)}: {_how(kind, name, missing)}")
    try:
        signature.bind(*given, **parameters)
    except TypeError as wrong:
        raise PluginError(f"{kind} {name!r}: {wrong}.") from None
    return part(*given, **parameters)


def check_name(kind: str, name: str, table: Mapping[str, str]) -> None:
    """Raise PluginError unless the name stands in the table or looks like a `package.module:Class`."""
    if name not in table and ":" not in name:
        raise PluginError(
            f"no {kind} named {name!r}.{nearest(name, table)} Known: {', '.join(table)}. "
            "A class of your own is written package.module:Class."
        )


def _check_parameters(part: str, signature: inspect.Signature, n_given: int, parameters: Mapping[str, Any]) -> None:
    """Raise PluginError for a parameter that the signature has no place for."""
    free = list(signature.parameters.values())[n_given:]
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in free):
        return
    known = [each.name for each in free if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    for name in parameters:
        if name not in known:
            listed = f"Known: {', '.join(known)}." if known else "It has none."
            raise PluginError(f"{part}: no parameter {name!r}.{nearest(name, known)} {listed}")


def _missing(signature: inspect.Signature, n_given: int, parameters: Mapping[str, Any]) -> list[str]:
    """Return the parameters that must be named, and are not."""
    free = list(signature.parameters.values())[n_given:]
    named = [each for each in free if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    return [each.name for each in named if each.default is each.empty and each.name not in parameters]


def _how(kind: str, name: str, missing: Iterable[str]) -> str:
    """Return what to type: sources are told on the command line, devices in a line, all else in a table."""
    if kind == "source":
        return f"add {' '.join(f'-o {each}=...' for each in missing)}"
    if kind in DEVICES:
        return f"write {','.join([name, *(f'{each}=...' for each in missing)])}"
    return f"write {', '.join(f'{each} = ...' for each in missing)} in its table of the configuration"
