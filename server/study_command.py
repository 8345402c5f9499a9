"""`xdream study`: a grid of evolutions in silico, on all cores or a cluster, as the papers' figures are made."""

from pathlib import Path
from typing import Annotated

import typer

from protocol.plugins import load


def study(
    file: Annotated[str, typer.Argument(help="A study file (docs/studies.md), or one that comes with XDream.")] = "",
    listing: Annotated[bool, typer.Option("--list", help="List the studies that come with XDream.")] = False,
    store: Annotated[Path | None, typer.Option(help="Where results go, and are looked for; else NAME.study")] = None,
    laid_over: Annotated[
        list[str] | None, typer.Option("--with", metavar="FILE", help="Tables in the place of the study's own.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Processes here: one a core unless told, on a GPU none; 0 = this one alone.",
        ),
    ] = None,
    scheduler: Annotated[str, typer.Option(help="Use the workers of this Dask scheduler, tcp://HOST:PORT.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")] = False,
) -> None:
    """Run a study in silico; killed and started again, it runs what is missing."""
    # The server knows no simulator: the study is a part by name, as any lab's own.
    main = load("simulator.study.command:main")
    raise typer.Exit(main(file, store, laid_over or (), workers, scheduler, listing, quiet))
