"""Messages to frames and back: a msgpack header, then one raw frame an array.

Frame 0 is `{"type": name, "fields": {...}, "arrays": [{"name", "dtype", "shape"}, ...]}`; every array follows as
its bytes, C order, little-endian, in the order of the list. What does not decode into exactly one known
message, whoever sent it, is a DecodeError: sizes, depths and dtypes are bounded and nothing is ever executed.
"""

import math
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, get_args, get_origin, get_type_hints

import msgpack
import numpy as np
from numpy.typing import NDArray

from protocol.messages import Message

MAX_HEADER_BYTES = 1 << 20
"""A header holds settings at most; a megabyte is a hundred times that."""
MAX_ARRAY_BYTES = 1 << 28
"""256 MiB: 1,300 images of 256 x 256 in one message."""
MAX_REPORT_BYTES = 1 << 26
"""64 MiB, the most that goes to the server in one array: it shows images, it is not sent any."""
MAX_DEPTH = 8
MAX_DIMENSIONS = 4
MAX_TEXT = 65_536
MAX_ITEMS = 65_536
"""In one list or map of a header: a name for each channel of the largest arrays there are."""
_DTYPES = {"bool", "uint8", "int32", "int64", "float32", "float64"}
_TYPES: dict[str, type[Message]] = {kind.__name__: kind for kind in get_args(Message)}
_HINTS: dict[type[Message], dict[str, Any]] = {kind: get_type_hints(kind) for kind in _TYPES.values()}


class DecodeError(ValueError):
    """Frames that are not one of our messages."""


def encode(message: Message) -> list[bytes | memoryview]:
    """Return the frames of a message: the header, then one frame an array (not copied)."""
    values = {f.name: getattr(message, f.name) for f in fields(message)}
    arrays = {name: _wire(value) for name, value in values.items() if isinstance(value, np.ndarray)}
    header = {
        "type": type(message).__name__,
        "fields": {name: value for name, value in values.items() if name not in arrays},
        "arrays": [{"name": k, "dtype": a.dtype.name, "shape": list(a.shape)} for k, a in arrays.items()],
    }
    packed: bytes = msgpack.packb(header, use_bin_type=True)
    return [packed, *(a.reshape(-1).view(np.uint8).data for a in arrays.values())]


def decode(frames: Sequence[bytes | memoryview]) -> Message:
    """Return the message that the frames hold; its arrays are read-only views. Raise DecodeError otherwise."""
    try:
        return _decode(frames)
    except DecodeError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise DecodeError(f"not a message: {error or type(error).__name__}") from error


def _decode(frames: Sequence[bytes | memoryview]) -> Message:
    header = _header(frames)
    kind = _TYPES.get(_text(header["type"], "type"))
    if kind is None:
        raise DecodeError(f"no message type {header['type']!r}")
    values = dict(header["fields"])
    for place, (spec, frame) in enumerate(zip(header["arrays"], frames[1:], strict=True)):
        name = _text(spec["name"], f"arrays[{place}].name")
        if name in values:
            raise DecodeError(f"{kind.__name__}.{name} stands twice")
        values[name] = _array(name, spec, frame)
    return _message(kind, values)


def _header(frames: Sequence[bytes | memoryview]) -> dict[str, Any]:
    if not frames:
        raise DecodeError("no frames")
    if len(frames[0]) > MAX_HEADER_BYTES:
        raise DecodeError(f"header of {len(frames[0])} bytes; at most {MAX_HEADER_BYTES}")
    header = msgpack.unpackb(
        frames[0], raw=False, strict_map_key=True, max_str_len=MAX_TEXT, max_bin_len=MAX_TEXT, max_ext_len=0,
        max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS,
    )  # fmt: skip
    if not isinstance(header, dict) or header.keys() != {"type", "fields", "arrays"}:
        raise DecodeError("the header must hold type, fields and arrays")
    if not isinstance(header["fields"], dict) or not isinstance(header["arrays"], list):
        raise DecodeError("fields must be a map and arrays a list")
    _check_plain(header["fields"])
    return header


def _array(name: str, spec: dict[str, Any], frame: bytes | memoryview) -> NDArray[Any]:
    dtype, shape = spec["dtype"], spec["shape"]
    if spec.keys() != {"name", "dtype", "shape"} or dtype not in _DTYPES:
        raise DecodeError(f"array {name}: dtype {dtype!r} is not one of {', '.join(sorted(_DTYPES))}")
    if len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise DecodeError(f"array {name}: shape {shape!r}")
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size > MAX_ARRAY_BYTES or size != len(frame):
        raise DecodeError(f"array {name}: {dtype} {shape} is {size} bytes, the frame has {len(frame)}")
    if dtype == "bool" and size and max(frame) > 1:
        raise DecodeError(f"array {name}: a bool is 0 or 1")
    return np.frombuffer(frame, np.dtype(dtype).newbyteorder("<")).reshape(shape)


def _message(kind: type[Message], values: dict[str, Any]) -> Message:
    hints = _HINTS[kind]
    unknown = values.keys() - hints.keys()
    if unknown:
        raise DecodeError(f"{kind.__name__} has no field {sorted(unknown)[0]!r}")
    missing = [f.name for f in fields(kind) if f.name not in values and not _has_default(f)]
    if missing:
        raise DecodeError(f"{kind.__name__} lacks {', '.join(missing)}")
    return kind(**{name: _value(f"{kind.__name__}.{name}", value, hints[name]) for name, value in values.items()})


def _value(name: str, value: Any, hint: Any) -> Any:
    """Return a field's value in the type that the dataclass gives it, or raise DecodeError."""
    if get_origin(hint) is tuple and isinstance(value, list):
        return tuple(_text(item, name) for item in value)
    if get_origin(hint) is dict and isinstance(value, dict):
        return value
    if hint is float and type(value) in (int, float):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    if get_origin(hint) is np.ndarray and isinstance(value, np.ndarray):
        return value
    raise DecodeError(f"{name} cannot be {type(value).__name__}")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise DecodeError(f"{name} must be text, not {type(value).__name__}")
    return value


def _check_plain(value: Any, depth: int = 0) -> None:
    """Raise DecodeError for what JSON or SQLite could not hold: deep nests, bytes, numbers past int64."""
    if depth > MAX_DEPTH:
        raise DecodeError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, dict):
        for name, child in value.items():
            _text(name, "a key")
            _check_plain(child, depth + 1)
    elif isinstance(value, list):
        for child in value:
            _check_plain(child, depth + 1)
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise DecodeError(f"{value} is no int64")
    elif not isinstance(value, int | float | str | None):
        raise DecodeError(f"a field cannot hold {type(value).__name__}")


def _wire(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)


def _has_default(f: "Field[Any]") -> bool:
    return f.default is not MISSING or f.default_factory is not MISSING
