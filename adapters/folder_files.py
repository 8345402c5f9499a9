"""Tables of numbers and lists of names in the files that MATLAB writes, of any version, and in .h5 files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.source import SourceError

MAX_BYTES = 1 << 28
Numbers = dict[str, NDArray[np.float64]]
Names = dict[str, list[str]]


def read(path: Path, numbers: tuple[str, ...], names: tuple[str, ...]) -> tuple[Numbers, Names]:
    """Return those of these variables that a file holds; raise SourceError for one that is something else."""
    if path.stat().st_size > MAX_BYTES:
        raise SourceError("it is too large")
    if path.suffix == ".mat" and path.read_bytes()[:19] != b"MATLAB 7.3 MAT-file":
        from scipy.io import loadmat

        loaded = loadmat(path, variable_names=[*numbers, *names])
        tables = {name: _table(name, loaded[name]) for name in numbers if name in loaded}
        return tables, {name: _cells(name, loaded[name]) for name in names if name in loaded}
    import h5py

    with h5py.File(path, "r") as file:
        # MATLAB writes columns first, so its tables come transposed.
        tables = {name: _table(name, file[name]).T for name in numbers if name in file}
        return tables, {name: _references(name, file) for name in names if name in file}


def _table(name: str, values: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(values, np.float64)
    except (ValueError, TypeError) as error:
        raise SourceError(f"{name} must be a matrix of numbers") from error


def _cells(name: str, values: Any) -> list[str]:
    """Return a cell array of texts, or the rows of a char matrix."""
    if values.dtype.kind == "U":
        return [str(each).rstrip() for each in values.ravel()]
    cells = [np.asarray(each).ravel() for each in values.ravel()] if values.dtype.kind == "O" else [np.zeros(0)]
    if not all(len(cell) == 1 and cell.dtype.kind == "U" for cell in cells):
        raise SourceError(f"{name} must be a cell array of texts: a string array becomes one by cellstr")
    return [str(cell[0]) for cell in cells]


def _references(name: str, file: Any) -> list[str]:
    """Return the texts that version 7.3 keeps elsewhere, as 16-bit characters, or texts as h5py writes them."""
    values = np.asarray(file[name][()]).ravel()
    try:
        return [each.decode() if isinstance(each, bytes) else _characters(file[each][()]) for each in values.tolist()]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{name} must be a cell array of texts: a string array becomes one by cellstr") from error


def _characters(codes: NDArray[Any]) -> str:
    return np.asarray(codes).astype("<u2", casting="safe").ravel().tobytes().decode("utf-16-le")
