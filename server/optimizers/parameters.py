"""Parameters of an optimizer: a frozen dataclass, each of its fields a `parameter` with its range."""

import types
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from numbers import Integral, Real
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np

from protocol.plugins import nearest

P = TypeVar("P")
SETTLED = ("initial_codes", "subspace")
"""The parameters that every optimizer has beside those of its own, given at the beginning."""


class OptimizerError(ValueError):
    """Something an optimizer cannot do; says which optimizer, what, and what would do instead."""


@dataclass(frozen=True)
class Range:
    """The values a parameter may take."""

    at_least: float = -np.inf
    above: float = -np.inf
    at_most: float = np.inf
    below: float = np.inf
    one_of: tuple[str, ...] = ()
    live: bool = True
    """Whether it may change while the optimizer runs."""

    def holds(self, value: float) -> bool:
        """Tell whether a number lies inside."""
        return self.at_least <= value <= self.at_most and self.above < value < self.below

    def __str__(self) -> str:
        ends = {
            "at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        return " and ".join(f"{word} {end:g}" for word, end in ends.items() if np.isfinite(end))


def parameter(default: Any, **range_: Any) -> Any:
    """Return a dataclass field with a default and a `Range`."""
    return field(default=default, metadata={"range": Range(**range_)})


def checked(kind: type[P], optimizer: str, given: Mapping[str, Any]) -> P:
    """Return the parameters of that kind with the given values, or raise a sentence."""
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    for name in given:
        if name not in known:
            raise OptimizerError(_unknown(optimizer, name, list(known)))
    values = {name: _value(optimizer, known[name], hints[name], value) for name, value in given.items()}
    try:
        return kind(**values)
    except OptimizerError as wrong:
        raise OptimizerError(f"optimizer {optimizer!r}: {wrong}") from None


def changed(parameters: P, optimizer: str, changes: Mapping[str, Any]) -> P:
    """Return the parameters with some of them changed, or raise a sentence."""
    for name in SETTLED:
        if name in changes:
            raise OptimizerError(f"optimizer {optimizer!r}: {name} cannot change while it runs.")
    new = checked(type(parameters), optimizer, {**vars(parameters), **changes})
    for each in fields(parameters):  # type: ignore[arg-type]
        settled = not each.metadata["range"].live
        if settled and getattr(new, each.name) != getattr(parameters, each.name):
            raise OptimizerError(f"optimizer {optimizer!r}: {each.name} cannot change while it runs.")
    return new


def _unknown(optimizer: str, name: str, known: list[str]) -> str:
    known = [*known, *SETTLED]
    return f"optimizer {optimizer!r}: no parameter {name!r}.{nearest(name, known)} Known: {', '.join(known)}."


def _value(optimizer: str, of: Field[Any], hint: Any, value: Any) -> Any:
    """Return the value as the plain Python type of its field, or raise a sentence."""
    range_: Range = of.metadata["range"]
    kinds = get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in kinds:
        return None
    if bool in kinds and isinstance(value, bool | np.bool_):
        return bool(value)
    if str in kinds and value in range_.one_of:
        return str(value)
    number = isinstance(value, Real) and not isinstance(value, bool)
    if int in kinds and number and isinstance(value, Integral) and range_.holds(int(value)):
        return int(value)
    if float in kinds and number and np.isfinite(value) and range_.holds(float(value)):
        return float(value)
    wanted = _wanted(kinds, range_)
    raise OptimizerError(f"optimizer {optimizer!r}: {of.name} must be {wanted}, got {value!r}.")


def _wanted(kinds: tuple[Any, ...], range_: Range) -> str:
    """Return in words what a field takes."""
    if bool in kinds:
        return "true or false"
    if str in kinds:
        return f"one of {', '.join(range_.one_of)}"
    return f"{'a whole number' if int in kinds else 'a number'} {range_}".strip()
