"""What an operator wants otherwise while a session runs: scored channels, an optimizer's parameters.

A change holds from the next generation of its evolution on, and is on record with that generation, or with the reason
why it was refused. Nothing that was scored before is touched.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from protocol.messages import Control


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A change that waits for the next generation."""

    control_id: str
    evolution: int
    parameters: dict[str, Any]
    """Of the optimizer."""
    channels: tuple[str, ...]
    """Those to score; none = as before."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of a change."""

    control_id: str
    evolution: int
    generation: int
    """The first one it holds for; 0 = it was refused."""
    channels: tuple[str, ...] = ()
    refused: str = ""


def read_change(control: Control, evolutions: Collection[int], offered: Collection[str]) -> Change:
    """Return the change that a control asks for; raise ValueError with a sentence if it makes no sense.

    `offered` are the channels that there are to score; none = not known yet.
    """
    said = control.arguments
    evolution, parameters, channels = said.get("evolution"), said.get("parameters", {}), said.get("channels", [])
    if type(evolution) is not int or evolution not in evolutions:
        raise ValueError(f"there is no evolution {evolution!r}")
    if not isinstance(parameters, dict) or not isinstance(channels, list | tuple) or not (parameters or channels):
        raise ValueError("a change needs parameters, channels, or both")
    if why := no_such_channel(channels, offered):
        raise ValueError(why)
    return Change(control.control_id, evolution, dict(parameters), tuple(map(str, channels)))


def no_such_channel(channels: Iterable[str], offered: Collection[str]) -> str:
    """Return which channel is none of those offered, in words; "" if each of them is, or none are known yet."""
    unknown = next((name for name in channels if offered and name not in offered), None)
    return "" if unknown is None else f"there is no channel {unknown!r}; there are {', '.join(offered)}"
