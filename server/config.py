"""The configuration file, from TOML to frozen models; what is wrong in it is said in one sentence a problem."""

import tomllib
from pathlib import Path

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from server.config_problems import all_tables, key_of, sentence, tables_in
from server.config_table import Table
from server.config_tables import Config

__all__ = ["Config", "ConfigError", "load_config", "parse_config", "reference"]


class ConfigError(ValueError):
    """What is wrong in a configuration file: one line, and one sentence, a problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_config(path: str | Path) -> Config:
    """Return the configuration in a file; raise ConfigError with all its problems."""
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError as wrong:
        raise ConfigError(f"{path}: not a text file in UTF-8.") from wrong
    except OSError as wrong:
        raise ConfigError(f"{path}: cannot be read: {wrong.strerror or wrong}.") from wrong
    return parse_config(text, str(path))


def parse_config(text: str, name: str) -> Config:
    """Return the configuration in a text; `name` is what its problems call the file."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as wrong:
        raise ConfigError(f"{name}: not TOML: {wrong}.") from wrong
    if isinstance(document.get("evolution"), dict):
        document["evolution"] = [document["evolution"]]
    try:
        return Config.model_validate(document, context=text)
    except ValidationError as wrong:
        raise ConfigError(*(sentence(name, each, document) for each in wrong.errors())) from None


def reference() -> str:
    """Return all tables and keys as Markdown: the middle of docs/config.md."""
    return "\n\n".join(_described(path, table) for path, table in all_tables())


def _described(path: str, table: type[Table]) -> str:
    fields = [field for field in table.model_fields.values() if key_of(field) not in tables_in(table)]
    rows = [f"| `{key_of(field)}` | {_default(field)} | {field.description} |" for field in fields]
    head = ["| key | if not given | meaning |", "|---|---|---|"] if rows else []
    title = f"## `[[{path}]]`" if path in ("evolution", "simulator.faults") else f"## `[{path}]`"
    return "\n".join([title, "", table.__doc__ or "", *([""] if rows else []), *head, *rows])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be given"
    return "not known" if field.default is None else f"`{_toml(field.default)}`"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else f"{value}"
