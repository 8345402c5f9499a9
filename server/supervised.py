"""A dry run whose server is to be killed: its peers and its page live on, as on a rig, and it is resumed.

On a rig a person says `xdream resume`. Here whoever started the dry run says so and does it, so that a rehearsal can
go on by itself.
"""

import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console

from server import build
from server.build import Built
from server.crashes import Crashes, die, kill_page
from server.database import open_database
from server.engine import Engine, WorkFailed
from server.interrupts import ctrl_c
from server.keyring import rehearsal_address
from server.progress import Terminal
from server.rehearsal import Peers, RehearsalError
from server.router import Router
from server.status.process import beside

TICK_S = 0.1
PATIENCE_S = 60
"""Peers wait for so long for a server that is being resumed."""
HOST = "127.0.0.1"
_SPAWN = multiprocessing.get_context("spawn")


class _Server:
    """The server's process: killed, it can be started again."""

    def __init__(self, path: Path, address: str, quiet: bool) -> None:
        self._arguments = path, address, quiet
        self.words = ""
        """What it said of itself last."""
        self.start()

    def start(self) -> None:
        """Go on with the session."""
        self._pipe, end = _SPAWN.Pipe(duplex=False)
        self._process = _SPAWN.Process(target=_serve, args=(*self._arguments, end), name="server")
        self._process.start()
        end.close()

    def said(self) -> Iterator[str]:
        """Yield what is to be killed beside it, after waiting a moment."""
        try:
            while self._pipe.poll(TICK_S):
                kind, text = self._pipe.recv()
                if kind == "strike":
                    yield text
                else:
                    self.words = text
        except EOFError:
            self._process.join()

    @property
    def status(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.exitcode

    def stop(self, *_: object) -> None:
        """Let it stop after the generation, and the second time now."""
        self._process.terminate()

    def close(self) -> None:
        """End it; all that it has acknowledged is on disk."""
        self._process.kill()
        self._process.join()


def supervise(built: Built, fast: bool, quiet: bool, page: bool, display: str, system: str) -> None:
    """Run a dry run to its end, resuming its server whenever it was killed; raise RehearsalError for what failed."""
    path, config, session = built.file.path, built.config, built.session.session_id
    built.file.close()
    console = Console(quiet=quiet, soft_wrap=True, markup=False)
    address = _concrete(rehearsal_address(config.server.address))
    peers = Peers(config, address, fast, display, system, PATIENCE_S)
    shown = beside(path, address, None) if page else nullcontext()
    measured: set[int] = set()
    n_killed = 0
    console.print(f"{session} listens at {address}, writes {path}")
    with shown as opened, peers, closing(_Server(path, address, quiet)) as server, _interrupts(server):
        if opened is not None:
            console.print(f"status page  {opened.url}")
        close_page = partial(kill_page, opened, console, path, address)
        while (status := _watched(server, peers, close_page)) == -signal.SIGKILL:
            measured, n_killed = measured | _measured(path), n_killed + 1
            console.print(
                f"The server was killed, as by a power cut; {len(measured)} presentations measured are on disk. "
                f"What a person says now: xdream resume {path}", style="bold red", markup=False,
            )  # fmt: skip
            server.start()
    n_kept = len(measured & _measured(path))
    if n_killed:
        times = f"{n_killed} time{'s' * (n_killed > 1)}"
        console.print(f"killed {times}: of {len(measured)} presentations measured until then, {n_kept} count.")
    if status:
        raise RehearsalError(server.words or f"the server stopped with status {status}; what was measured is in {path}")


def _watched(server: _Server, peers: Peers, close_page: Callable[[], None]) -> int:
    """Return how the server ended, having kept its peers alive meanwhile."""
    while server.status is None:
        for what in server.said():
            if what == "crash_page":
                close_page()
            else:
                peers.strike(what)
        peers.check()
    return server.status


@contextmanager
def _interrupts(server: _Server) -> Iterator[None]:
    """Leave Ctrl-C to the server, which has the same terminal; pass a SIGTERM on to it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN), signal.signal(signal.SIGTERM, server.stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def _serve(path: Path, address: str, quiet: bool, pipe: Connection) -> None:
    """Be the server, in a process of its own."""
    console = Console(quiet=quiet, soft_wrap=True, markup=False)
    try:
        with closing((built := build.resume(path, time.time)).file):
            _run(built, address, console, pipe)
    except (WorkFailed, RehearsalError, OSError) as error:
        with suppress(OSError):
            pipe.send(("failed", str(error)))
        raise SystemExit(1) from None


def _run(built: Built, address: str, console: Console, pipe: Connection) -> None:
    router = Router(address)

    def strike(what: str) -> None:
        if what == "crash_server":
            die()
        pipe.send(("strike", what))

    with Terminal.of(built, console) as watch:
        crashes = Crashes(built, watch, strike)
        stale_after_s = built.config.acquisition.stale_after_s
        engine = Engine(
            built.session, built.evolutions, router, built.file, stale_after_s, crashes.watch, _check_parent, hold=False
        )
        with ctrl_c(engine, console):
            engine.run()
        router.close("session ended")


def _check_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise RehearsalError("whoever started this dry run is gone")


def _measured(path: Path) -> set[int]:
    """Return the presentations that count."""
    query = "SELECT presentation_id FROM responses JOIN presentations USING (presentation_id) WHERE measured"
    with closing(open_database(path, "ro")) as file:
        return {presentation for (presentation,) in file.execute(f"{query} AND void IS NULL")}


def _concrete(address: str) -> str:
    """Return an address whose port a server that is resumed finds free again."""
    if not address.endswith(":*"):
        return address
    with closing(socket.create_server((HOST, 0))) as probe:
        return f"tcp://{HOST}:{probe.getsockname()[1]}"
