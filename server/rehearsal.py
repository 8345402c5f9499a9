"""A dry run's other programs: a headless display and a simulator, started beside the server as on a rig."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from server.config import Config
from server.crashes import die
from server.wired_rehearsal import ADAPTER, wired_commands

ANIMAL = "simulator.behaviour:Animal"
"""The subject's eyes."""
PATIENCE_S = 10
"""A peer of a dry run whose server is gone for so long goes too."""


class RehearsalError(RuntimeError):
    """A program of the dry run has failed; the text is what it said last."""


class Peers:
    """The display and the simulator of a dry run, as processes of their own; one that is killed is started again."""

    def __init__(
        self, config: Config, address: str, fast: bool, display: str = "headless", system: str = "",
        patience_s: float = PATIENCE_S,
    ) -> None:  # fmt: skip
        seed = config.session.seed
        self._commands: dict[str, Callable[[int], list[str]]] = {
            "stimulus client": partial(_display, config, address, fast, seed, display, patience_s=patience_s),
            "simulator": partial(_simulator, config, address, seed, patience_s=patience_s),
        }
        if system:
            self._commands = wired_commands(config, address, fast, system, self._commands)
        self._lives = dict.fromkeys(self._commands, 0)
        self._struck: set[str] = set()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._words: dict[str, IO[bytes]] = {}

    def __enter__(self) -> "Peers":
        """Start them."""
        for name in self._commands:
            self._words[name] = tempfile.TemporaryFile()
            self._start(name)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for them to take leave of the server, and end those that do not."""
        for process in self._processes.values():
            try:
                process.wait(timeout=0.1 if kind else 5)
            except subprocess.TimeoutExpired:
                process.terminate()
        for name, process in self._processes.items():
            process.wait()
            self._words[name].close()

    def check(self) -> None:
        """Start again what was killed; raise RehearsalError with the last words of what has failed by itself."""
        for name, process in self._processes.items():
            status = process.poll()
            if status is not None and status < 0:
                # A crash of its own is had when it was had; one from outside leaves those to come.
                self._lives[name] += name not in self._struck
                self._struck.discard(name)
                self._start(name)
            elif status:
                self._words[name].seek(0)
                words = self._words[name].read().decode(errors="replace").strip().splitlines()
                raise RehearsalError(f"the {name} stopped: {words[-1] if words else f'status {status}'}")

    def strike(self, what: str) -> None:
        """Kill the adapter, or this very program, as a power cut would; `check` starts an adapter again."""
        if what == "crash_server":
            die()
        name = ADAPTER if ADAPTER in self._processes else "simulator"
        self._struck.add(name)
        self._processes[name].kill()

    def _start(self, name: str) -> None:
        # A session of their own: a Ctrl-C meant for the server must not end them in the middle of a generation.
        self._processes[name] = subprocess.Popen(
            [sys.executable, "-m", *self._commands[name](self._lives[name])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._words[name],
            start_new_session=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # two networks share the cores with the server
        )


def _display(
    config: Config, address: str, fast: bool, seed: int, display: str, lives: int, patience_s: float = PATIENCE_S
) -> list[str]:
    rehearsal, faults = config.rehearsal, [f.text for f in config.simulator.faults if f.trial]
    habits = rehearsal.model_dump(exclude={"drop_rate"}) | {"faults": "; ".join(faults), "lives": lives, "seed": seed}
    # The rig's tracker, marker port and valve are not for a rehearsal, whatever the configuration says.
    gaze = ",".join([ANIMAL, *(f"{name}={value}" for name, value in habits.items())])
    options = ["--gaze", gaze, "--markers", "none", "--reward", "none", "--seed", str(seed)]
    if display == "headless":
        options += ["--drop-rate", str(rehearsal.drop_rate)]
    command = ["stimulus_client.client", address, "--display", display, "--windowed", "--patience", str(patience_s)]
    return [*command, *options, "--fast"] if fast else [*command, *options]


def _simulator(config: Config, address: str, seed: int, lives: int, patience_s: float = PATIENCE_S) -> list[str]:
    faults = [fault.text for fault in config.simulator.faults if fault.generation]
    options = {"seed": seed, **config.simulator.parameters, "faults": "; ".join(faults), "lives": lives}
    pairs = [word for key, value in options.items() for word in ("-o", f"{key}={_text(value)}")]
    return ["adapters.serve", "simulator", address, "--patience", str(patience_s), *pairs]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
