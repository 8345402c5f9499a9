"""`xdream verify`: is this session file whole, and does it agree with itself?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from server.verifying import MOST, Result
from server.verifying import verify as check


def verify(
    file: Annotated[Path, typer.Argument(help="The session file: running, finished or crashed.")],
    draw: Annotated[bool, typer.Option("--draw", help="Draw every image anew from its code as well: slow.")] = False,
) -> None:
    """Check every image, every score and every link of a session file; exit status 1 where it is not intact."""
    console, n_problems = Console(soft_wrap=True, highlight=False, markup=False), 0
    for result in check(file, draw):
        n_problems += len(result.problems)
        for line in _lines(result):
            console.print(line, markup=False)
    if n_problems:
        console.print(f"{file} is not intact.", markup=False)
        raise typer.Exit(1)
    console.print(f"{file} is intact.", markup=False)


def _lines(result: Result) -> list[str]:
    if not result.problems:
        return [f"intact   {result.name}: {result.what}"]
    lines = [f"DAMAGED  {result.name}: {problem}" for problem in result.problems[:MOST]]
    return lines + ([f"DAMAGED  {result.name}: and more"] if len(result.problems) > MOST else [])
