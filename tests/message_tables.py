"""The tables of docs/protocol.md: every message and field, read from the dataclasses and the text under each field."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from itertools import pairwise
from textwrap import wrap
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
from example_messages import EXAMPLES
from numpy.typing import NDArray

from protocol import messages
from protocol.codec import encode
from protocol.messages import Message

DIRECTIONS = {
    "Hello": "any peer → server",
    "Welcome": "server → any peer",
    "Farewell": "both ways",
    "Heartbeat": "both ways",
    "StimulusBatch": "server → display, and to an acquisition side that wants images",
    "Trial": "server → display",
    "Recall": "server → display",
    "Release": "server → display, and to an acquisition side that wants images",
    "TrialReport": "display → server",
    "Onsets": "server → acquisition",
    "Responses": "acquisition → server",
    "Condition": "display or acquisition → server",
    "Acknowledge": "server → any peer",
    "Control": "operator → server",
    "Notice": "server → any peer",
    "Vitals": "server → operator",
}
WORDS = {
    "role": '"display", "acquisition" or "operator"',
    "protocol_version": "the version of this page that the peer speaks",
    "software": "name and version of the program, for the record",
    "session_id": "unique to the session; everything kept belongs to one",
    "reason": "a sentence for people",
    "now": "True: break off the trial that runs",
    "trial": "number of the trial, unique in the session",
    "stimulus_ids": "ids of the images",
    "presentation_ids": "ids of the showings",
    "author": "who wants it",
    "text": "a sentence for people",
}
"""What the code need not say, for the names speak there."""
WIDTH = 120


def message_tables() -> str:
    """Return a section a message: who sends it to whom, what for, and its fields."""
    return "\n\n".join(_section(kind) for kind in get_args(Message))


def byte_examples() -> str:
    """Return the frames of two messages, byte by byte: one of plain fields, one with an array."""
    chosen = [next(each for each in EXAMPLES if type(each).__name__ == name) for name in ("Recall", "Release")]
    return "\n\n".join(_dump(message) for message in chosen)


def _section(kind: type[Message]) -> str:
    texts, hints = _texts(kind), get_type_hints(kind)
    rows = [_row(each, hints[each.name], texts.get(each.name, "")) for each in fields(kind)]
    head = ["| field | type | shape | if absent | meaning |", "|---|---|---|---|---|"]
    about = f"*{DIRECTIONS[kind.__name__]}.* {inspect.getdoc(kind)}"
    return "\n".join([f"### {kind.__name__}", "", *wrap(about, WIDTH), "", *head, *rows])


def _row(field: "Field[Any]", hint: Any, text: str) -> str:
    shape, meaning = "", " ".join(text.split())
    found = re.search(r"(\[[^\]]*\]) ?", meaning)
    if get_origin(hint) in (np.ndarray, tuple):
        shape = f"`{found[1]}`" if found else "`[n]`"
        meaning = meaning.replace(found[0], "", 1) if found else meaning
    meaning = meaning.removeprefix("uint8 ").rstrip(".") or WORDS[field.name]
    return f"| `{field.name}` | {_type(hint)} | {shape} | {_default(field)} | {meaning[0].upper()}{meaning[1:]} |"


def _type(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is np.ndarray:
        [dtype] = get_args(get_args(hint)[1])
        return f"array of {np.dtype(dtype).name}"
    return {tuple: "list of str", dict: "map"}.get(origin) or str(hint.__name__)


def _default(field: "Field[Any]") -> str:
    if field.default is MISSING and field.default_factory is MISSING:
        return "must be there"
    default = field.default_factory() if field.default_factory is not MISSING else field.default
    if isinstance(default, np.ndarray | tuple | dict):
        return "empty"
    return f'"{default}"' if isinstance(default, str) else str(default)


def _texts(kind: type) -> dict[str, str]:
    """Return the text that stands under each field of a class."""
    [body] = [node.body for node in _classes() if node.name == kind.__name__]
    texts = {}
    for above, below in pairwise(body):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = text
    return texts


def _classes() -> Iterator[ast.ClassDef]:
    return (node for node in ast.parse(inspect.getsource(messages)).body if isinstance(node, ast.ClassDef))


def _dump(message: Message) -> str:
    """Return a message's frames as a dump: offset, bytes, characters."""
    lines = []
    for place, frame in enumerate(encode(message)):
        data = np.frombuffer(frame, np.uint8)
        lines.append(f"frame {place}, {len(data)} bytes")
        lines += [_dump_line(start, data[start : start + 16]) for start in range(0, len(data), 16)]
    values = {f.name: getattr(message, f.name) for f in fields(message)}
    said = ", ".join(f"{name}={np.asarray(value).tolist()!r}" for name, value in values.items())
    return "\n".join([f"`{type(message).__name__}({said})`", "", "```text", *lines, "```"])


def _dump_line(start: int, data: NDArray[np.uint8]) -> str:
    characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)
    return f"  {start:04x}  {bytes(data).hex(' '):<47}  {characters}"
