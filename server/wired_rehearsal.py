"""A dry run whose simulator speaks as a recording system: which programs it takes is the simulator's to say."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from server.config import Config, ConfigError

ADAPTER = "acquisition adapter"
Command = Callable[[int], list[str]]
"""What to run after `python -m`, by how often it was started before."""


def wired_commands(
    config: Config, address: str, fast: bool, system: str, direct: Mapping[str, Command]
) -> dict[str, Command]:
    """Return the programs of a rig whose recording system is simulated, in the order to start them in.

    `direct` are the "stimulus client" and the "simulator" that a dry run has else: the client gets a cable, and the
    simulator's options are the neurons'. Raise ConfigError for what cannot be had.
    """
    client, simulator = direct["stimulus client"], direct["simulator"]
    wishes: dict[str, Any] = {
        "neurons": _options(simulator(0)),
        "channels": list(dict.fromkeys(name for each in config.evolutions for name in _channels(each))),
        "settings": config.acquisition_settings(),
        "fast": fast,
    }
    programs = _asked(system, address, wishes)
    screen, *wired = programs["stimulus client"]
    return {
        "simulated recording": lambda lives: [*programs["simulated recording"], *_neurons(simulator(lives))],
        "stimulus client": lambda lives: [screen, *client(lives)[1:], *wired],
        ADAPTER: lambda _: [*programs[ADAPTER], *_patience(simulator(0))],
    }


def overlap(config: Config) -> str:
    """Return what is to be said where an image's windows are not over before the next image comes; else ""."""
    edges_s = (*config.acquisition.response_window_s, *config.acquisition.baseline_window_s)
    span_ms, apart_ms = 1000 * (max(edges_s) - min(edges_s)), 1000 * (config.display.on_s + config.display.off_s)
    if config.display.images_per_trial < 2 or apart_ms > span_ms - 0.5:
        return ""
    return (
        f"An image comes every {apart_ms:.0f} ms and its windows span {span_ms:.0f} ms: over a wire spikes of its "
        "neighbours count too, as they would on a rig, so rates will be higher than in a dry run without --as. "
        f"To keep images apart let on_ms + off_ms of [display] be {span_ms:.0f} or more."
    )


def _asked(system: str, address: str, wishes: dict[str, Any]) -> dict[str, list[str]]:
    asked = [sys.executable, "-m", "simulator.programs", system, address]
    told = subprocess.run(asked, input=json.dumps(wishes), capture_output=True, text=True, check=False)
    if told.returncode:
        lines = told.stderr.strip().splitlines()
        raise ConfigError(f"a rehearsal as {system}: {lines[-1] if lines else 'the simulator said nothing'}")
    programs: dict[str, list[str]] = json.loads(told.stdout)
    return programs


def _channels(evolution: Any) -> list[str]:
    return [*evolution.channels, *evolution.scorer.parameters.get("squeeze", ())]


def _options(command: list[str]) -> dict[str, str]:
    """Return the options that follow -o in a command."""
    pairs = (text.partition("=") for flag, text in pairwise(command) if flag == "-o")
    return {key: value for key, _, value in pairs}


def _neurons(command: list[str]) -> list[str]:
    return [word for key, value in _options(command).items() for word in ("-n", f"{key}={value}")]


def _patience(command: list[str]) -> list[str]:
    return next([flag, value] for flag, value in pairwise(command) if flag == "--patience")
