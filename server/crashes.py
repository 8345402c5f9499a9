"""Crashes that a dry run itself brings about: adapter, server or status page are killed, as by a power cut."""

import os
import signal
from collections.abc import Callable

from rich.console import Console

from protocol.ids import presentation_key
from protocol.messages import Control, Responses
from server.actions import Row
from server.build import Built
from server.config_rehearsal import Fault
from server.status.process import StatusPage

CRASHES = ("crash_adapter", "crash_server", "crash_page")
"""What no program of a rehearsal can do by itself: a rig's adapter has no faults, and the server knows none."""


class Crashes:
    """Watches what goes on record: a program dies with the first response of its generation, or when it is drilled.

    What is on disk at the beginning has been had: a session that is resumed in the generation of a crash goes on.
    """

    def __init__(self, built: Built, watch: Callable[[Row], None], strike: Callable[[str], None]) -> None:
        self._due = _due(built)
        self._watch, self._strike = watch, strike

    def watch(self, row: Row) -> None:
        """Let whoever else watches take note, and then kill what is to be killed."""
        self._watch(row)
        match row:
            case Control(action="drill", arguments={"what": str(what)}) if what in CRASHES:
                self._strike(what)
            case Responses() if self._due:
                reached = max(presentation_key(each).generation for each in row.presentation_ids.tolist())
                struck = [fault for fault in self._due if fault.generation <= reached]
                self._due = [fault for fault in self._due if fault.generation > reached]
                for fault in struck:
                    self._strike(fault.what)


def kills_server(built: Built) -> bool:
    """Return whether a session is still to lose its server."""
    return any(fault.what == "crash_server" for fault in _due(built))


def die() -> None:
    """End this program as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_page(page: StatusPage | None, console: Console, path: object, address: str) -> None:
    """End the status page, if there is one; the session does not notice, and nobody brings it again by itself."""
    if page is None:
        return
    page.process.kill()
    console.print(
        f"The status page is killed; the session goes on. Open it again: xdream status {path} --server {address}",
        style="bold red", markup=False,
    )  # fmt: skip


def last_words(console: Console, path: object) -> None:
    """Say what somebody has to do when the server is dead."""
    console.show_cursor()
    console.print(
        f"The server is killed, as by a power cut. What was measured is on disk. Go on with: xdream resume {path}",
        style="bold red", markup=False,
    )  # fmt: skip


def _due(built: Built) -> list[Fault]:
    """Return the crashes of generations that are not begun."""
    reached = max((run.last_generation for run in built.session.runs), default=0)
    return [fault for fault in built.config.simulator.faults if fault.what in CRASHES and fault.generation > reached]
