"""What a value in a configuration file may be: checked as its user wrote it, and times turned from ms to s."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from protocol.plugins import check_name
from server.generators import GENERATORS
from server.optimizers import OPTIMIZERS

LONGEST_MS = 60_000
"""A time beyond a minute is a slip of the unit."""


def _seconds(time_ms: float) -> float:
    return time_ms / 1000


def _window(window_ms: tuple[float, float]) -> tuple[float, float]:
    start_ms, end_ms = window_ms
    if not start_ms < end_ms:
        raise ValueError(f"must start before it ends, got [{start_ms:g}, {end_ms:g}]")
    if max(-start_ms, end_ms) > LONGEST_MS:
        raise ValueError(f"must lie within {LONGEST_MS} ms of the onset, got [{start_ms:g}, {end_ms:g}]")
    return start_ms / 1000, end_ms / 1000


def _file_safe(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9._-]{0,98}[A-Za-z0-9_-])?", name):
        raise ValueError(f"must do as a file's name: letters, digits, '_', '-' and '.', at most 100, got {name!r}")
    return name


def _address(address: str) -> str:
    port = re.fullmatch(r"tcp://[^\s:/]+:(\d{1,5}|\*)|tcp://\[[0-9a-fA-F:.]+\]:(\d{1,5}|\*)", address)
    number = (port[1] or port[2]) if port else "0"
    if number != "*" and not 0 < int(number) < 65536:
        raise ValueError(f"must be written tcp://HOST:PORT, such as tcp://127.0.0.1:5670, got {address!r}")
    return address


def _age(age: str) -> str:
    years = r"P\d+(\.\d+)?[YMWD]"
    if not re.fullmatch(f"({years}(/{years})?)?", age):
        raise ValueError(f"must be an ISO 8601 duration, such as P8Y or P9Y/P10Y, got {age!r}")
    return age


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"must not repeat itself, but names {name!r} {names.count(name)} times")
    return names


def _combine(value: Any) -> Any:
    if value == "mean":
        return value
    if not isinstance(value, list) or not all(type(weight) in (int, float) for weight in value):
        raise ValueError(f'must be "mean" or a list of weights, one a channel, got {value!r}')
    if not 0 < sum(value) < float("inf"):
        raise ValueError(f"must have weights of a sum above 0, got {sum(value):g}")
    return tuple(float(weight) for weight in value)


def _plain(value: Any) -> Any:
    """Return a free value if a message can carry it; TOML has dates, which none can."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"must be text, a number, true, false or a list of them; put quotes around {value}")
    return value


def _optimizer(name: str) -> str:
    check_name("optimizer", name, OPTIMIZERS)
    return name


def _generator(name: str) -> str:
    check_name("generator", name, GENERATORS)
    return name


FromMs = Annotated[float, Field(ge=0, le=LONGEST_MS), AfterValidator(_seconds)]
AtLeastOneMs = Annotated[float, Field(ge=1, le=LONGEST_MS), AfterValidator(_seconds)]
WindowFromMs = Annotated[tuple[float, float], Field(strict=False), AfterValidator(_window)]
FileName = Annotated[str, AfterValidator(_file_safe)]
Address = Annotated[str, AfterValidator(_address)]
OptimizerName = Annotated[str, AfterValidator(_optimizer)]
GeneratorName = Annotated[str, AfterValidator(_generator)]
Age = Annotated[str, AfterValidator(_age)]
Combine = Annotated[Literal["mean"] | tuple[float, ...], PlainValidator(_combine)]
Names = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_different)]
Plain = Annotated[Any, PlainValidator(_plain)]
Share = Annotated[float, Field(ge=0, le=1)]
