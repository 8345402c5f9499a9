"""Snapshots of optimizers to bytes and back: plain values as JSON, arrays beside them, never pickle."""

import io
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pack(snapshot: dict[str, Any]) -> bytes:
    """Return a snapshot of plain values, arrays, lists and dicts as one .npz file."""
    arrays: dict[str, NDArray[Any]] = {}
    tree = json.dumps(_lift(snapshot, arrays))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, tree=np.frombuffer(tree.encode(), np.uint8), **arrays)
    return buffer.getvalue()


def unpack(packed: bytes) -> dict[str, Any]:
    """Return the snapshot that `pack` was given."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        tree = json.loads(arrays["tree"].tobytes())
        snapshot: dict[str, Any] = _lower(tree, arrays)
        return snapshot


def _lift(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, np.ndarray):
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"$array": name}
    if isinstance(value, dict):
        return {key: _lift(child, arrays) for key, child in value.items()}
    return [_lift(child, arrays) for child in value] if isinstance(value, list | tuple) else value


def _lower(value: Any, arrays: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$array"}:
            return arrays[value["$array"]]
        return {key: _lower(child, arrays) for key, child in value.items()}
    return [_lower(child, arrays) for child in value] if isinstance(value, list) else value
