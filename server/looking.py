"""Commands that look at what there is: a configuration, a network, a peer, a finished session."""

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from protocol.plugins import load
from server import build
from server.config import load_config
from server.damage import naming_damage
from server.database import SessionFileError
from server.export.wanted import for_rehearsals, wanted
from server.keyring import lock_for
from server.reading import Reader

WindowMs = Annotated[tuple[float, float] | None, typer.Option(metavar="START END", help="Recount in these ms.")]
KeysPath = Annotated[
    Path | None, typer.Option("--keys", help="Let in peers with a key alone; beyond this machine: always.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Beyond this machine too, let in whoever comes.")]


def check(config: Annotated[Path, typer.Argument(help="The configuration file to look over.")]) -> None:
    """Look a configuration over: every key, the weights, the reference images; say what it comes to."""
    console, loaded = Console(markup=False), load_config(config)
    evolutions = build.build_evolutions(loaded)
    build.check_sizes(evolutions)
    for evolution, table in zip(evolutions, loaded.evolutions, strict=True):
        shape = " x ".join(map(str, evolution.generator.code_shape))
        n_codes = len(evolution.optimizer.ask())
        n_shown = table.repeats * (n_codes + len(evolution.references.stimulus_ids))
        console.print(
            f"{evolution.name}: {table.optimizer.name} searches the {shape} numbers of {table.generator.name}; "
            f"{n_codes} codes and {len(evolution.references.stimulus_ids)} reference images, "
            f"{n_shown} presentations a generation"
        )
    console.print(f"{config} is in order.")
    missing = wanted(loaded)
    if for_rehearsals(loaded):
        console.print(
            "It names no animal and no lab, as is right for a rehearsal: a session wants [subject] and [lab]."
        )
    elif missing:
        console.print("An archive such as DANDI will ask for these, now or at xdream export nwb --facts FILE:")
        for each in missing:
            console.print(f"  {each}", markup=False, highlight=False)


def layers(
    network: Annotated[str, typer.Argument(help='"embedded", or package.module:callable of your own.')] = "embedded",
    size_px: Annotated[
        int, typer.Option("--size", metavar="PX", min=0, help="Side of the images; else the first usual one it takes.")
    ] = 0,
) -> None:
    """List the layers of a network that a simulated unit can be taken from, with their shapes."""
    # The server knows no simulator: it is asked as any other program is.
    raise SystemExit(subprocess.call([sys.executable, "-m", "simulator", network, str(size_px)]))


def truth(file: Annotated[Path, typer.Argument(help="The session file of a dry run.")]) -> None:
    """Say how close a dry run came to the best images of neurons whose best image is known: docs/simulator.md."""
    raise SystemExit(subprocess.call([sys.executable, "-m", "simulator", "truth", str(file)]))


def conformance(
    address: Annotated[str, typer.Argument(help="Where to listen for the peer, such as tcp://127.0.0.1:5670.")],
    keys: KeysPath = None,
    insecure: Insecure = False,
) -> None:
    """Try a display or an acquisition side that a lab has written, and say what it gets right."""
    raise typer.Exit(load("adapters.conformance:main")(address, lock_for(address, keys, insecure, os.environ)))


def picture(
    file: Annotated[Path, typer.Argument(help="The session file.")],
    to: Annotated[
        Path | None, typer.Option("--to", "--out", help="Where to; else beside the session file, .png")
    ] = None,
) -> None:
    """Draw a session: its evolution curve with the references, and its best images."""
    from server.picture import draw

    with naming_damage(file), closing(Reader(file)) as reader:
        draw(reader, to or file.with_suffix(".png"))


def rescore_file(
    file: Annotated[Path, typer.Argument(help="The session file.")],
    window: WindowMs = None,
    baseline_window: WindowMs = None,
    channels: Annotated[str | None, typer.Option(help="Score these instead: names with commas between.")] = None,
    evolution: Annotated[int | None, typer.Option(min=1, help="This one alone, by its number.")] = None,
) -> None:
    """Compute every score again from the record: with no options it must be the live one, to the bit."""
    from server.course import in_words
    from server.recounting import Windows
    from server.rescoring import Wishes, overall, rescore
    from server.rescoring import report as table_of

    windows = Windows.of_ms(window, baseline_window)
    wishes = Wishes(windows, tuple(filter(None, (channels or "").split(","))), evolution)
    console = Console(soft_wrap=True, markup=False)
    with naming_damage(file):
        found = rescore(file, wishes)
    if not found:
        which = "" if evolution is None else f" of evolution {evolution}"
        raise SessionFileError(f"{file}: nothing{which} was scored, so there is nothing to compute again")
    console.print(table_of(found))
    console.print(f"{len(found)} generations, rank correlation with the live scores {overall(found):.4f}")
    for sentence in in_words(found) if wishes.differ else ():
        console.print(sentence)
    first = next(filter(None, (each.first_difference() for each in found)), "")
    if first and not wishes.differ:
        raise SessionFileError(f"{file}: the record does not give the live scores. {first}")
