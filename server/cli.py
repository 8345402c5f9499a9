"""The `xdream` command: run a session, resume one, rehearse one, look at what there is."""

import json
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from protocol.keys import KeyProblem, is_local
from protocol.messages import Control
from protocol.plugins import PluginError, load
from protocol.software import software
from server import build
from server.config import Config, ConfigError, load_config
from server.crashes import Crashes, kill_page, kills_server, last_words
from server.damage import naming_damage
from server.database import SessionFileError
from server.engine import Engine, WorkFailed
from server.export.command import export
from server.generators import GeneratorError
from server.generators.commands import weights
from server.initial_codes import InitialCodesError
from server.interrupts import ctrl_c
from server.keyring import lock_for, page_key, rehearsal_address
from server.keys_command import keys
from server.looking import Insecure, KeysPath, check, conformance, layers, picture, rescore_file, truth
from server.planning_command import plan_session
from server.progress import Terminal
from server.recommend_command import recommend
from server.rehearsal import Peers, RehearsalError
from server.report.command import report
from server.router import Router
from server.status.command import status
from server.status.process import PORT, beside
from server.study_command import study
from server.summing_up import sum_up
from server.supervised import supervise
from server.twin_command import twin
from server.verify_command import verify
from server.wired_rehearsal import overlap

DRY_RUN = Path(__file__).with_name("dry_run.toml")
WIRED_DRY_RUN = Path(__file__).with_name("wired_dry_run.toml")
MISTAKES = (
    GeneratorError,
    InitialCodesError,
    ConfigError,
    SessionFileError,
    RehearsalError,
    WorkFailed,
    OSError,
    KeyProblem,
    PluginError,
)
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
app.add_typer(export, name="export")
app.add_typer(keys, name="keys")
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing but errors.")]
Fast = Annotated[bool, typer.Option("--fast", help="Do not keep real time on the simulated display.")]
Screen = Annotated[
    str, typer.Option("--display", help="What shows images: headless, psychopy (a window), or package.module:Class.")
]
System = Annotated[
    str, typer.Option("--as", help="Let the simulator speak as open_ephys, bridge, ... to the adapter of that name.")
]
Generations = Annotated[int | None, typer.Option(min=1, help="Stop after so many; else as the configuration says.")]
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
    keys: KeysPath = None,
    insecure: Insecure = False,
) -> None:
    """Run a session on a rig: wait for the display and the acquisition side, then evolve."""
    loaded = load_config(config)
    router = _listen(loaded, keys, insecure)  # before a file is made: keys may be missing, or the port taken
    path = session or _new_path(loaded.session.folder, loaded.session.name)
    built = build.begin(loaded, build.Changes(generations=generations), path, time.time)
    _carry_through(built, lambda: router, None, quiet, page, hold=hold)


@app.command()
def resume(
    file: Annotated[Path, typer.Argument(help="The session file, NAME.xdream.")],
    generations: Generations = None,
    fast: Fast = False,
    quiet: Quiet = False,
    page: Page = True,
    keys: KeysPath = None,
    insecure: Insecure = False,
) -> None:
    """Go on with a session where it was left, inside the generation; a dry run brings its peers again."""
    with naming_damage(file, *MISTAKES):
        _go_on(file, generations, fast, quiet, page, keys, insecure)


def _go_on(
    file: Path, generations: int | None, fast: bool, quiet: bool, page: bool, keys: Path | None, insecure: bool
) -> None:
    built = build.resume(file, time.time, generations)
    rehearsal = json.loads(built.file.facts().get("rehearsal", "null"))
    if rehearsal is None:
        _carry_through(built, partial(_listen, built.config, keys, insecure), None, quiet, page)
    else:
        fast, display, system = fast or rehearsal["fast"], rehearsal.get("display", "headless"), rehearsal.get("as", "")
        _carry_through(built, partial(_listen_here, built.config), fast, quiet, page, display, system)


@app.command("dry-run")
def dry_run(
    config: Annotated[Path, typer.Argument(help="The configuration to rehearse.")] = DRY_RUN,
    generations: Generations = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Where all random numbers start.")] = None,
    session: SessionPath = None,
    display: Screen = "headless",
    system: System = "",
    fast: Fast = False,
    quiet: Quiet = False,
    page: Page = True,
) -> None:
    """Rehearse a session on this machine: a simulated display, a simulated neuron, everything else real."""
    if system:
        load("simulator.wires:find_wire")(system)  # before a file is made
    loaded = load_config(WIRED_DRY_RUN if system and config == DRY_RUN else config)
    if system and (caution := overlap(loaded)) and not quiet:
        Console(soft_wrap=True, markup=False).print(caution)
    path = session or _new_path(loaded.session.folder, loaded.session.name)
    changes = build.Changes(seed, generations)
    rehearsal = json.dumps({"fast": fast, "display": display, "as": system})
    built = build.begin(loaded, changes, path, time.time, rehearsal=rehearsal)
    _carry_through(built, partial(_listen_here, loaded), fast, quiet, page, display, system)


for command in (check, layers, truth, conformance, picture, study, report, recommend, verify, twin, status):
    app.command()(command)
app.command("rescore")(rescore_file)
app.command("plan")(plan_session)


def main() -> None:
    """Run the command line; say a mistake that a person can mend in a sentence, with exit status 1."""
    try:
        app()
    except MISTAKES as error:
        Console(stderr=True, soft_wrap=True).print(f"xdream: {error}", markup=False, highlight=False)
        raise SystemExit(1) from None


def _listen(config: Config, keys: Path | None, insecure: bool) -> Router:
    """Return a router at the address of a configuration, locked if it is to be."""
    address = config.server.address
    return Router(address, lock=lock_for(address, keys, insecure, os.environ))


def _listen_here(config: Config) -> Router:
    """Return a router for a rehearsal, which nobody else can reach."""
    return Router(rehearsal_address(config.server.address))


def _carry_through(
    built: build.Built, listen: Callable[[], Router], fast: bool | None, quiet: bool, page: bool,
    display: str = "headless", system: str = "", hold: bool = False,
) -> None:  # fmt: skip
    """Run a session to its end, with the peers of a dry run unless `fast` is None; then sum it up."""
    if fast is not None and kills_server(built):
        supervise(built, fast, quiet, page, display, system)
        sum_up(built.file.path, Console(quiet=quiet, soft_wrap=True, markup=False))
        return
    console = Console(quiet=quiet, soft_wrap=True, markup=False)
    try:
        router = listen()
        peers = nullcontext() if fast is None else Peers(built.config, router.address, fast, display, system)
        console.print(f"{built.session.session_id} listens at {router.address}, writes {built.file.path}")
        if router.lock is None and not is_local(router.address):
            _say_loudly(router.address)
        port = PORT if fast is None else None
        shown = beside(built.file.path, router.address, port, page_key(router.lock)) if page else nullcontext()
        with shown as opened, Terminal.of(built, console) as watch, peers as started:
            if opened is not None:
                console.print(f"status page  {opened.url}")
            close = partial(kill_page, opened, console, built.file.path, router.address)
            crashes = (
                Crashes(built, watch, partial(_strike, started, close, console, built.file.path)) if started else None
            )
            engine = Engine(
                built.session, built.evolutions, router, built.file, built.config.acquisition.stale_after_s,
                crashes.watch if crashes else watch, started.check if started else lambda: None, hold=fast is None,
            )  # fmt: skip
            if hold:
                engine.ask(Control(uuid4().hex, "pause", "--hold"))
            with ctrl_c(engine, console):
                engine.run()
            router.close("session ended")
    finally:
        built.file.close()
    sum_up(built.file.path, console)


def _strike(peers: Peers, close_page: Callable[[], None], console: Console, path: Path, what: str) -> None:
    if what == "crash_page":
        return close_page()
    if what == "crash_server":
        last_words(console, path)
    peers.strike(what)


def _say_loudly(address: str) -> None:
    words = (
        f"INSECURE: whoever reaches {address} can take the place of the display, of the spikes, of you. No keys asked."
    )
    Console(stderr=True, soft_wrap=True).print(words, style="bold red")


def _new_path(folder: str, name: str) -> Path:
    return Path(folder) / f"{name}_{datetime.now():%Y%m%d_%H%M%S}.xdream"
