"""`xdream recommend`: the picture that a search believes in, as a PNG, and its code beside it."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from server.damage import naming_damage
from server.database import SessionFileError
from server.export.snapshot import Snapshot, open_snapshot
from server.pictures import to_png
from server.recommending import Recommendation
from server.recommending import recommend as ask


def recommend(
    file: Annotated[Path, typer.Argument(help="The session file: running, finished or crashed.")],
    out: Annotated[
        Path | None, typer.Argument(metavar="OUT.png", help="Where to; else beside FILE, NAME_recommended.png")
    ] = None,
    evolution: Annotated[int | None, typer.Option(min=1, help="This one alone, by its number.")] = None,
) -> None:
    """Draw what each search recommends: its centre, not its luckiest image. The session is only read."""
    if out is not None and out.suffix.lower() != ".png":
        raise SessionFileError(f"the picture is a PNG, and {out} should end in .png; the code goes beside it as .npy")
    console = Console(soft_wrap=True, markup=False, highlight=False)
    with naming_damage(file), open_snapshot(file) as snapshot:
        names = snapshot.reader.evolutions()
        if evolution is None and out is not None and len(names) > 1:
            known = ", ".join(f"{number} ({name})" for number, name in names.items())
            raise SessionFileError(f"{file} has several evolutions: say which with --evolution, one of {known}")
        for number in names if evolution is None else [evolution]:
            suffix = f"_{number}" if len(names) > 1 else ""
            _recommend(snapshot, number, out or file.with_name(f"{file.stem}_recommended{suffix}.png"), console)


def _recommend(snapshot: Snapshot, number: int, out: Path, console: Console) -> None:
    found = ask(snapshot, number)
    _write(found, out)
    console.print(f"recommended  {out}  (its code: {out.with_suffix('.npy')})")
    after = f"after {found.n_generations} generation{'' if found.n_generations == 1 else 's'}"
    console.print(f"{found.name}, {after}: {found.words}; {found.figures}")


def _write(found: Recommendation, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    np.save(out.with_suffix(".npy"), found.code, allow_pickle=False)
    out.write_bytes(to_png(found.image))
