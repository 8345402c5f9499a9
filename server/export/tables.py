"""Tables of NWB made column by column."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from hdmf.common import DynamicTable, VectorData
from numpy.typing import NDArray

Table = TypeVar("Table", bound=DynamicTable)
Row = Mapping[str, Any]


def a_table(
    kind: type[Table], name: str, description: str, rows: Sequence[Row], columns: Mapping[str, str], **special: Any
) -> Table:
    """Return a table of these rows; `columns` says what each key is, `special` has columns of a type of their own.

    NWB has no empty cell: text that is missing is "", a number NaN. A table without rows cannot be written; do not ask.
    """
    made = [
        special.get(key) or VectorData(name=key, description=said, data=column(rows, key))
        for key, said in columns.items()
    ]
    table: Table = kind(name=name, description=description, columns=made, colnames=list(columns))
    return table


def column(rows: Sequence[Row], key: str) -> NDArray[Any] | list[str]:
    """Return one column; a number that is missing makes it one of floats, with NaN."""
    values = [row[key] for row in rows]
    if any(isinstance(value, str) for value in values):
        return ["" if value is None else str(value) for value in values]
    if any(value is None for value in values):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    return np.asarray(values)
