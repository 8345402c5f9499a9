"""The `xdream` command: run a session, resume one, rehearse one, look at what there is."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from protocol.messages import Control
from protocol.plugins import load
from protocol.software import software
from server import build
from server.config import ConfigError, load_config
from server.engine import Engine
from server.generators import GeneratorError
from server.generators.commands import weights
from server.initial_codes import InitialCodesError
from server.progress import Terminal
from server.reading import Reader
from server.rehearsal import Peers, RehearsalError
from server.router import Router
from server.session_file import SessionFileError
from server.status.command import status
from server.status.process import PORT, beside
from server.worker import WorkerError

DRY_RUN = Path(__file__).with_name("dry_run.toml")
MISTAKES = (GeneratorError, InitialCodesError, ConfigError, SessionFileError, RehearsalError, WorkerError, OSError)
"""What a person can mend: said in a sentence, without a traceback."""
app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Let neurons choose their own images: closed-loop, gradient-free activation maximization.\n\n"
    "To see one session from beginning to end, on this machine alone: xdream dry-run --fast\n\n"
    "On a rig: write a configuration (docs/config.md), look it over with xdream check, start xdream run, "
    "then xdream-client on the display PC and xdream-adapter beside the amplifier. "
    "Ctrl-C stops after the generation, twice ends now; either way xdream resume goes on later.",
)
app.add_typer(weights, name="weights")
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Fast = Annotated[bool, typer.Option("--fast", help="Do not keep real time on the simulated display.")]
Screen = Annotated[
    str, typer.Option("--display", help="What shows images: headless, psychopy (a window), or package.module:Class.")
]
Generations = Annotated[int | None, typer.Option(min=1, help="Stop after so many; else as the configuration says.")]
WindowMs = Annotated[tuple[float, float] | None, typer.Option(metavar="START END", help="Recount in these ms.")]
Page = Annotated[bool, typer.Option("--page/--no-page", help="Open the status page beside the session.")]
SessionPath = Annotated[Path | None, typer.Option("--session", help="The session file to write.")]


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(software())
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is, and end."),
    ] = False,
) -> None:
    pass


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="A configuration file, as docs/config.md describes it.")],
    session: SessionPath = None,
    generations: Generations = None,
    quiet: Quiet = False,
    page: Page = True,
    hold: Annotated[
        bool, typer.Option("--hold", help="Show nothing before somebody presses Start on the page.")
    ] = False,
) -> None:
    """Run a session on a rig: wait for the display and the acquisition side, then evolve."""
    loaded = load_config(config)
    path = session or _new_path(loaded.session.folder, loaded.session.name)
    built = build.begin(loaded, build.Changes(generations=generations), path, time.time)
    _carry_through(built, None, quiet, page, hold=hold)


@app.command()
def resume(
    file: Annotated[Path, typer.Argument(help="The session file, NAME.xdream.")],
    generations: Generations = None,
    fast: Fast = False,
    quiet: Quiet = False,
    page: Page = True,
) -> None:
    """Go on with a session where it was left, inside the generation; a dry run brings its peers again."""
    built = build.resume(file, time.time, generations)
    rehearsal = json.loads(built.file.facts().get("rehearsal", "null"))
    if rehearsal is None:
        _carry_through(built, None, quiet, page)
    else:
        _carry_through(built, fast or rehearsal["fast"], quiet, page, rehearsal.get("display", "headless"))


@app.command("dry-run")
def dry_run(
    config: Annotated[Path, typer.Argument(help="The configuration to rehearse.")] = DRY_RUN,
    generations: Generations = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Where all random numbers start.")] = None,
    session: SessionPath = None,
    display: Screen = "headless",
    fast: Fast = False,
    quiet: Quiet = False,
    page: Page = True,
) -> None:
    """Rehearse a session on this machine: a simulated display, a simulated neuron, everything else real."""
    loaded = load_config(config)
    path = session or _new_path(loaded.session.folder, loaded.session.name)
    changes = build.Changes(seed, generations)
    built = build.begin(loaded, changes, path, time.time, rehearsal=json.dumps({"fast": fast, "display": display}))
    _carry_through(built, fast, quiet, page, display)


@app.command()
def check(config: Annotated[Path, typer.Argument(help="The configuration file to look over.")]) -> None:
    """Look a configuration over: every key, the weights, the reference images; say what it comes to."""
    console, loaded = Console(), load_config(config)
    evolutions = build.build_evolutions(loaded)
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


@app.command()
def layers(
    network: Annotated[str, typer.Argument(help='"embedded", or package.module:callable of your own.')] = "embedded",
) -> None:
    """List the layers of a network that a simulated unit can be taken from, with their shapes."""
    # The server knows no simulator: it is asked as any other program is.
    import subprocess

    raise SystemExit(subprocess.call([sys.executable, "-m", "simulator", network]))


@app.command()
def conformance(
    address: Annotated[str, typer.Argument(help="Where to listen for the peer, such as tcp://127.0.0.1:5670.")],
) -> None:
    """Try a display or an acquisition side that a lab has written, and say what it gets right."""
    raise typer.Exit(load("adapters.conformance:main")(address))


@app.command()
def picture(
    file: Annotated[Path, typer.Argument(help="The session file.")],
    to: Annotated[Path | None, typer.Option(help="Where to; else beside the session file, .png")] = None,
) -> None:
    """Draw a session: its evolution curve with the references, and its best images."""
    from server.picture import draw

    reader = Reader(file)
    try:
        draw(reader, to or file.with_suffix(".png"))
    except ValueError as error:
        raise SessionFileError(str(error)) from error
    finally:
        reader.close()


@app.command("rescore")
def rescore_file(
    file: Annotated[Path, typer.Argument(help="The session file.")],
    window: WindowMs = None,
    baseline_window: WindowMs = None,
    channels: Annotated[str | None, typer.Option(help="Score these instead: names with commas between.")] = None,
    evolution: Annotated[int | None, typer.Option(min=1, help="This one alone, by its number.")] = None,
) -> None:
    """Compute every score again from the record: with no options it must be the live one, to the bit."""
    from server.recounting import Windows
    from server.rescoring import Wishes, overall, report, rescore

    windows = Windows.of_ms(window, baseline_window)
    wishes = Wishes(windows, tuple(filter(None, (channels or "").split(","))), evolution)
    console, found = Console(soft_wrap=True), rescore(file, wishes)
    console.print(report(found))
    console.print(f"{len(found)} generations, rank correlation with the live scores {overall(found):.4f}")
    first = next(filter(None, (each.first_difference() for each in found)), "")
    if first and not wishes.differ:
        raise SessionFileError(f"{file}: the record does not give the live scores. {first}")


app.command()(status)


def main() -> None:
    """Run the command line; say a mistake that a person can mend in a sentence, with exit status 1."""
    try:
        app()
    except MISTAKES as error:
        Console(stderr=True, soft_wrap=True).print(f"xdream: {error}", markup=False, highlight=False)
        raise SystemExit(1) from None


def _carry_through(
    built: build.Built, fast: bool | None, quiet: bool, page: bool, display: str = "headless", hold: bool = False
) -> None:
    """Run a session to its end, with the peers of a dry run unless `fast` is None; then sum it up."""
    console = Console(quiet=quiet, soft_wrap=True)
    names = {evolution.number: evolution.name for evolution in built.evolutions}
    limits = {number: table.generations for number, table in enumerate(built.config.evolutions, 1)}
    try:
        router = Router(built.config.server.address)
        peers = nullcontext() if fast is None else Peers(built.config, router.address, fast, display)
        console.print(f"{built.session.session_id} listens at {router.address}, writes {built.file.path}")
        port = PORT if fast is None else None
        shown = beside(built.file.path, router.address, port) if page else nullcontext()
        with shown as opened, Terminal(console, names, limits) as watch, peers as started:
            if opened is not None:
                console.print(f"status page  {opened.url}")
            engine = Engine(
                built.session, built.evolutions, router, built.file, built.config.acquisition.stale_after_s,
                watch, started.check if started else lambda: None,
            )  # fmt: skip
            if hold:
                engine.ask(Control(uuid4().hex, "pause", "--hold"))
            with _ctrl_c(engine, console):
                engine.run()
            router.close("session ended")
    finally:
        built.file.close()
    _sum_up(built.file.path, console)


@contextmanager
def _ctrl_c(engine: Engine, console: Console) -> Iterator[None]:
    """The first Ctrl-C stops after the generation, the second now."""
    actions = iter(("stop", "end"))

    def obey(*_: object) -> None:
        action = next(actions, None)
        if action is None:
            raise KeyboardInterrupt
        if action == "stop":
            console.print("Stopping after this generation. Press Ctrl-C again to stop now.")
        engine.ask(Control(uuid4().hex, action, "Ctrl-C"))

    before = {number: signal.signal(number, obey) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sum_up(path: Path, console: Console) -> None:
    """Say what the session came to, and where it is."""
    from server.picture import draw  # takes a second to import, which a resumed session must not wait for

    reader = Reader(path)
    try:
        measured, void = reader.count("measured"), reader.count("void")
        console.print(f"\n{measured} presentations measured, {void} void (shown again).")
        for number, name in reader.evolutions().items():
            effect = reader.effect(number)
            if effect is not None:
                low, high = effect.interval_hz
                console.print(
                    f"{name}: evolved images {effect.evolved_hz:.1f} Hz (mean of the last generation), best reference "
                    f"image {effect.reference_hz:.1f} Hz: {effect.ratio:.2f} times, "
                    f"{effect.evolved_hz - effect.reference_hz:+.1f} Hz (95 % interval {low:+.1f} to {high:+.1f})"
                )
        try:
            draw(reader, path.with_suffix(".png"))
            console.print(f"picture  {path.with_suffix('.png')}")
        except ValueError:
            console.print("no generation was finished, so there is no picture yet")
    finally:
        reader.close()
    console.print(f"session  {path}  (go on: xdream resume {path})")


def _new_path(folder: str, name: str) -> Path:
    return Path(folder) / f"{name}_{datetime.now():%Y%m%d_%H%M%S}.xdream"
