"""`xdream weights`: weights of generators from a file, from the network, and what there is."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

if TYPE_CHECKING:
    from server.generators.store import Record

weights = typer.Typer(no_args_is_help=True, help="Weights of generators: import, fetch and list them.")
Folder = Annotated[
    Path | None, typer.Option(envvar="XDREAM_WEIGHTS", help="Where weights are kept; else among the user's data.")
]


@weights.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="A .pt, .safetensors or .caffemodel file.")],
    name: Annotated[str, typer.Option(help="Whose weights they are; else as their shapes say.")] = "",
    folder: Folder = None,
) -> None:
    """Keep the weights in a file, as safetensors, for the generator that they fit."""
    from server.generators import store  # torch takes seconds to import, which no other command must wait for

    _say(store.take_in(file, name, folder or store.default_folder()))


@weights.command("fetch")
def fetch_(
    name: Annotated[str, typer.Argument(help="A generator, such as deepsim-fc6.")],
    address: Annotated[str, typer.Option("--from", help="An address other than the published one.")] = "",
    folder: Folder = None,
) -> None:
    """Download a generator's weights; a download that broke off is gone on with."""
    from server.generators.fetch import fetch, source
    from server.generators.store import default_folder

    address = source(name, address)  # a wrong one is said before a bar is drawn
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total)

        record = fetch(name, folder or default_folder(), show, address)
    _say(record)


@weights.command("list")
def list_(folder: Folder = None) -> None:
    """List the weights that there are, with where they came from."""
    from server.generators import store

    place = folder or store.default_folder()
    records = store.kept(place)
    for record in records:
        _say(record)
    if not records:
        Console(soft_wrap=True, markup=False).print(
            f"no weights in {place} yet: xdream weights fetch deepsim-fc6", highlight=False
        )


def _say(record: "Record") -> None:
    text = f"{record.name}  SHA-256 {record.sha256}  from {record.source}"
    Console(soft_wrap=True).print(text, markup=False, highlight=False)
