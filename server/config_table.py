"""What every table of a configuration file is: keys that are all known, times written in milliseconds."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict

from server.config_values import Plain


def _key(field: str) -> str:
    """Return how a field is written in the file: times in milliseconds."""
    return re.sub("_s$", "_ms", field)


class Table(BaseModel):
    """A table whose keys are all known, and whose values are what they say."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True,
        alias_generator=_key, use_attribute_docstrings=True,
    )  # fmt: skip


class Open(Table):
    """A table with keys of its own, and any others, which are handed on as they stand."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Plain]

    @property
    def parameters(self) -> dict[str, Any]:
        """The other keys."""
        return dict(self.model_extra or {})
