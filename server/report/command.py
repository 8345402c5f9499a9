"""`xdream report`: one page a session, or a study."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from protocol.plugins import PluginError, load
from server.damage import naming_damage
from server.database import SessionFileError

SESSION = ".xdream"
"""A file of that name is a session: the simulator, slow to start, need not be asked."""
STUDY_STORE = "simulator.study.store:is_store"
STUDY_REPORT = "simulator.study.report:write"


def report(
    file: Annotated[Path, typer.Argument(metavar="FILE|STORE", help="A session file, or the results of a study.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "--to", help="Where to: a page, or for a study its folder; else beside FILE."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Write a session on one page that needs nothing beside it, or a study's page with its figures in a folder."""
    console = Console(quiet=quiet, soft_wrap=True, markup=False)
    if not file.exists():
        raise SessionFileError(f"there is no session file and no store of studies {file}")
    if file.suffix != SESSION and _is_store(file):
        made = _write_study(file, out or file.with_name(f"{file.stem}_report"))
    else:
        made = out or file.with_suffix(".html")
        _write_session(file, made)
    console.print(f"report  {made}  (print it from any browser)", highlight=False)


def _write_session(file: Path, out: Path) -> None:
    try:
        from server.report.page import write
    except ModuleNotFoundError as missing:
        if missing.name not in ("jinja2", "markupsafe", "matplotlib"):
            raise
        raise SessionFileError(f"the report needs {missing.name}: pip install 'xdream[server]'") from None
    with naming_damage(file):
        write(file, out)


def _is_store(path: Path) -> bool:
    """Return whether this is what a study leaves behind; asked of the simulator, where one is installed."""
    try:
        is_store: Any = load(STUDY_STORE)
    except PluginError:
        return False
    return bool(is_store(path))


def _write_study(store: Path, folder: Path) -> Path:
    try:
        write: Any = load(STUDY_REPORT)
    except PluginError as wrong:
        raise SessionFileError(f"{store} holds a study, and its report cannot be had: {wrong}") from wrong
    return Path(write(store, folder))
