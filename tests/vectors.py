"""docs/vectors.json: the example messages with their bytes, for whoever writes a client in another language."""

import json
from dataclasses import fields
from math import isnan
from typing import Any

import numpy as np
from example_messages import EXAMPLES

from protocol.codec import encode
from protocol.messages import Message


def vectors() -> str:
    """Return the text of docs/vectors.json, one line a message."""
    lines = ",\n".join(json.dumps(vector(message)) for message in EXAMPLES)
    return f"[\n{lines}\n]\n"


def vector(message: Message) -> dict[str, Any]:
    """Return a message in words and in bytes: {type, fields, arrays, frames}, frames in hexadecimal."""
    values = {f.name: getattr(message, f.name) for f in fields(message)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    return {
        "type": type(message).__name__,
        "fields": {name: _in_words(value) for name, value in values.items() if name not in arrays},
        "arrays": {
            name: {"dtype": array.dtype.name, "shape": list(array.shape), "values": _in_words(array.tolist())}
            for name, array in arrays.items()
        },
        "frames": [bytes(frame).hex() for frame in encode(message)],
    }


def _in_words(value: Any) -> Any:
    """Return a value as JSON has it; NaN, which it has not, as text."""
    if isinstance(value, list | tuple):
        return [_in_words(each) for each in value]
    return "NaN" if isinstance(value, float) and isnan(value) else value
