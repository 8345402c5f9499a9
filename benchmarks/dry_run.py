"""Pace: presentations a second of `xdream dry-run --fast`, beside the same search with nothing between its parts."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from adapters.source import create_source
from benchmarks.figures import Comparison
from protocol.messages import Onsets, StimulusBatch
from server import build
from server.cli import DRY_RUN
from server.config import Config, load_config
from server.ledger import Measurements

PACE = """
    SELECT (SELECT COUNT(*) FROM responses WHERE measured)
        / ((SELECT MAX(received_at) FROM responses) - (SELECT MIN(sent_at) FROM trials))
"""
"""From the first trial sent to the last spikes received: starting the programs is left out."""


def compare_paces(folder: Path, generations: int, config: Path = DRY_RUN) -> Comparison:
    """Return the pace of a dry run of three processes beside that of a bare loop in this one, before and after."""
    bare = BareLoop(load_config(config))
    before = bare.pace(generations)
    here = dry_run_pace(config, folder / "dry_run.xdream", generations)
    there = (before + bare.pace(generations)) / 2
    return Comparison(
        f"dry run --fast, {generations} generations",
        f"{here:.0f} presentations/s",
        "bare loop: optimizer, generator, neuron",
        f"{there:.0f} presentations/s",
        here / there,
    )


def dry_run_pace(config: Path, session: Path, generations: int) -> float:
    """Run `xdream dry-run --fast`; return its measured presentations a second, read from the session file."""
    command = [sys.executable, "-m", "server", "dry-run", str(config), "--fast", "--quiet", "--no-page"]
    subprocess.run([*command, "--generations", str(generations), "--session", str(session)], check=True)
    with closing(sqlite3.connect(session)) as connection:
        return float(connection.execute(PACE).fetchone()[0])


class BareLoop:
    """The optimizer, generator and neuron of a configuration, called one after the other."""

    def __init__(self, config: Config) -> None:
        [self.evolution] = build.build_evolutions(config)
        options = {key: _text(value) for key, value in config.simulator.parameters.items()}
        self.source = create_source("simulator", options)
        self.source.begin(config.acquisition_settings())
        references = self.evolution.references
        self.source.see(StimulusBatch(references.stimulus_ids, references.images))
        self.generation = 0

    def pace(self, generations: int) -> float:
        """Go on for so many generations; return the presentations a second."""
        began_s = time.perf_counter()
        n_shown = sum(self.turn() for _ in range(generations))
        return n_shown / (time.perf_counter() - began_s)

    def turn(self) -> int:
        """Propose, render, count and absorb; return how many presentations that was."""
        self.generation += 1
        proposal = self.evolution.propose(self.generation)
        images = self.evolution.generator.render(proposal.codes)
        self.source.see(StimulusBatch(proposal.stimulus_ids, images))
        n_shown = len(proposal.slots)
        self.source.request(Onsets(self.generation, np.arange(n_shown), proposal.slots, np.zeros(n_shown)))
        while not (answers := self.source.poll()):
            time.sleep(0.001)
        [answer] = answers
        self.source.forget(proposal.stimulus_ids.tolist())
        counts = answer.spike_counts, answer.baseline_counts
        self.evolution.absorb(proposal, Measurements(self.source.channels, proposal.slots, *counts))
        return n_shown


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
