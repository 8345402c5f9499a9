"""`xdream twin`: asks the simulator, which the server does not know, to fit itself to a recorded session."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def twin(
    file: Annotated[Path, typer.Argument(help="The session file, NAME.xdream.")],
    evolution: Annotated[int, typer.Option(min=1, help="Which one, by its number.")] = 1,
    to: Annotated[
        Path | None, typer.Option("--to", "--out", help="Where to; else beside the session file, .twin.toml")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws that intervals come from.")] = 0,
) -> None:
    """Fit the simulator to a recorded neuron, and say how its session would go on."""
    options = ["--evolution", str(evolution), "--seed", str(seed), *(["--to", str(to)] if to else [])]
    raise SystemExit(subprocess.call([sys.executable, "-m", "simulator.twin", str(file), *options]))
