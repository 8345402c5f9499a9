"""Arrays from an .npz or .npy file that somebody made, or a sentence about what is wrong with it."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class NpzError(ValueError):
    """An .npz or .npy file that does not hold what is asked for; says which file, and why."""


def read_array(content: bytes, path: Path) -> NDArray[Any]:
    """Return the array of an .npy file of that content; raise NpzError if it is none, or would run code."""
    try:
        held: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)  # type: ignore[no-untyped-call]
        return held
    except Exception as wrong:  # NumPy's reader of headers has many names for what is damaged
        raise NpzError(f"{path} is no .npy file of numbers: {wrong}.") from wrong


def read_npz(content: bytes, path: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of an .npz file of that content; raise NpzError if it is none, or would run code."""
    try:
        with np.load(BytesIO(content), allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except Exception as wrong:  # as above, and zipfile's and zlib's
        raise NpzError(f"{path} is no .npz file of numbers: {wrong}.") from wrong


def content_of(path: Path) -> bytes:
    """Return what a file holds; raise NpzError if it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError as wrong:
        raise NpzError(f"there is no file {path}.") from wrong
    except OSError as wrong:
        raise NpzError(f"{path} cannot be read: {wrong.strerror or wrong}.") from wrong


def named(arrays: dict[str, NDArray[Any]], needed: Sequence[str], path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of these names as float64; raise NpzError if one is missing, or is not of finite numbers."""
    for name in needed:
        if name not in arrays:
            held = ", ".join(arrays) or "none"
            raise NpzError(f'{path} has no array "{name}"; it holds {held}.')
        if arrays[name].dtype.kind not in "fiub" or not np.isfinite(arrays[name]).all():
            raise NpzError(f'{path}: the array "{name}" must hold finite numbers.')
    return {name: np.asarray(arrays[name], np.float64) for name in needed}
