"""What a peer gone wrong, or somebody in its place, may say: messages of the right form that should not be said."""

import random
from collections.abc import Iterable
from dataclasses import fields, replace
from math import inf, nan
from typing import Any

import numpy as np

from protocol.codec import DecodeError, decode, encode
from protocol.messages import Message, Onsets, Trial
from server.actions import Action, Send
from tests.builders import a_report
from tests.played import spikes_of

NUMBERS = (0, 1, -1, 2**62, -(2**63), 1_000_000_000)
FLOATS = (nan, inf, -inf, -1.0, 1e30)
WORDS = ("", "x", "\x00", "\x1b[2J", "fixation_broken", "pause", "end", "change", "mark", "x" * 1000)
ARGUMENTS: tuple[dict[str, Any], ...] = (
    {}, {"evolution": "x"}, {"evolution": 1, "channels": ["none such"]}, {"evolution": [], "channels": 3},
    {"evolution": 1, "parameters": {"population": -3}}, {"stimulus_id": [[]], "text": None}, {"evolution": True},
)  # fmt: skip


def answers(actions: Iterable[Action]) -> list[Message]:
    """Return what good peers would answer."""
    said = [action.message for action in actions if isinstance(action, Send)]
    return [a_report(m) if isinstance(m, Trial) else spikes_of(m) for m in said if isinstance(m, Trial | Onsets)]


def bent(luck: random.Random, message: Message) -> Message:
    """Return a message with some fields that are not what they should be; itself, if none would decode so."""
    changes = {f.name: _bent(luck, getattr(message, f.name)) for f in fields(message)}
    try:
        changed: Any = replace(message, **{name: value for name, value in changes.items() if luck.random() < 0.5})
        return decode([bytes(frame) for frame in encode(changed)])
    except (DecodeError, ValueError):
        return message


def _bent(luck: random.Random, value: Any) -> Any:
    match value:
        case np.ndarray() if value.dtype == np.int64 and value.size:
            return np.array([luck.choice((*NUMBERS, *value.tolist())) for _ in value], np.int64)
        case np.ndarray() if value.dtype.kind == "f" and value.size:
            return np.array([luck.choice((*FLOATS, each)) for each in value.tolist()], value.dtype)
        case bool() | np.ndarray():
            return value
        case int():
            return luck.choice(NUMBERS)
        case float():
            return luck.choice(FLOATS)
        case str():
            return luck.choice(WORDS)
        case tuple():
            return tuple(luck.choice(WORDS) for _ in value)
        case dict():
            return luck.choice(ARGUMENTS)
    return value
