"""`xdream keys`: make, list and take back the keys with which peers come in from other machines."""

import os
from pathlib import Path
from typing import Annotated

import typer

from protocol.keys import KEY_VARIABLE
from protocol.messages import Role
from server.keyring import FOLDER_VARIABLE, Keyring, default_folder

keys = typer.Typer(no_args_is_help=True, help="Keys for peers on other machines: docs/security.md.")
Folder = Annotated[
    Path | None, typer.Option("--keys", envvar=FOLDER_VARIABLE, help="Their folder; else ~/.config/xdream/keys.")
]
Name = Annotated[str, typer.Argument(help="Of the machine, or of who sits there.")]


@keys.command()
def make(
    name: Name,
    role: Annotated[list[Role], typer.Option(help="What it may be: display, acquisition, operator; repeatable.")],
    public: Annotated[str, typer.Option(help="Its public key, if it has made a pair of its own.")] = "",
    folder: Folder = None,
) -> None:
    """Make a key for one peer, and put it on the server's list; a server that runs lets it in at once."""
    ring = _ring(folder)
    file = ring.make(name, role, public)
    if file is None:
        typer.echo(f"{name} is on the list. It needs the server's public key:\n{ring.server()}")
        return
    typer.echo(
        f"{file}\nCarry it to that machine (a USB stick, scp), let nobody else read it (chmod 600), delete it here, "
        f"and start the peer with --key FILE or {KEY_VARIABLE}=FILE."
    )
    if Role.DISPLAY in role and Role.OPERATOR not in role:
        typer.echo("Keys pressed at the display (pause, a reward) are an operator's: add --role operator for those.")


@keys.command("list")
def list_keys(folder: Folder = None) -> None:
    """Say who is let in, as what."""
    ring = _ring(folder)
    for holder in ring.holders():
        here = "  (its secret is still here: carry it there, delete it here)" if ring.still_here(holder) else ""
        typer.echo(f"{holder.name:20} {', '.join(sorted(holder.roles)):32} {holder.public}{here}")


@keys.command()
def server(folder: Folder = None) -> None:
    """Say the server's public key, by which peers know it; make it if there is none."""
    typer.echo(_ring(folder).server())


@keys.command()
def remove(name: Name, folder: Folder = None) -> None:
    """Take a key back: it opens no new connection. One that stands ends with the server."""
    _ring(folder).remove(name)
    typer.echo(f"{name} is not let in any more.")


def _ring(folder: Path | None) -> Keyring:
    return Keyring(folder or default_folder(os.environ))
