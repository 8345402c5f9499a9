"""`xdream export nwb`: a session as others read it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from server.damage import naming_damage
from server.database import SessionFileError

export = typer.Typer(no_args_is_help=True, help="Write a session as others read it.")
NEEDED = ("pynwb", "nwbinspector", "h5py", "hdmf")


@export.callback()
def _export() -> None:
    pass


@export.command()
def nwb(
    file: Annotated[Path, typer.Argument(help="The session file: running, finished or crashed.")],
    out: Annotated[
        Path | None, typer.Option("--out", "--to", help="Where to; else beside the session file, .nwb")
    ] = None,
    facts: Annotated[
        Path | None,
        typer.Option(help="A TOML file with tables subject, lab and session that add to the session's own."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Write a session as an NWB file, checked with NWB's own validator and inspector."""
    try:
        from server.export.nwb import export as write
        from server.export.nwb import is_rehearsal
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in NEEDED:
            raise
        raise SessionFileError(f"the NWB export needs {missing.name}: pip install 'xdream[nwb]'") from None
    console, to = Console(quiet=quiet, soft_wrap=True, markup=False), out or file.with_suffix(".nwb")
    with naming_damage(file):
        (findings, missing_facts), rehearsed = write(file, to, facts), is_rehearsal(file)
    if rehearsed:
        findings, missing_facts = [finding for finding in findings if not finding.asks_who], []
        console.print("A rehearsal has no subject, so an archive such as DANDI would refuse it. The file is valid.")
    for finding in findings:
        console.print(str(finding), markup=False, highlight=False)
    if missing_facts:
        console.print("An archive such as DANDI will ask for these; write them in a TOML file, and add --facts FILE:")
        for each in missing_facts:
            console.print(f"  {each}", markup=False, highlight=False)
    console.print(f"NWB file  {to}  ({len(findings)} remarks by its inspection)", highlight=False)
