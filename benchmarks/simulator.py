"""What rehearsals cost: showings a second of the simulator alone, and what the protocol takes of a whole dry run."""

import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from adapters.source import ResponseSource, create_source
from benchmarks.dry_run import compare_paces
from benchmarks.figures import Comparison, print_table
from protocol.arrays import Ids
from protocol.ids import presentation_id, stimulus_id
from protocol.messages import Onsets, StimulusBatch

SETTINGS = {"response_window_s": (0.05, 0.2), "baseline_window_s": (0.0, 0.05)}
TRIAL = 10
"""Showings that are asked about at once."""
KINDS = {"no preset": "", "ideal": "ideal", "poisson": "poisson", "V1": "V1", "IT": "IT"}


def main(console: Console | None = None, seconds: float = 2.0, generations: int = 40) -> None:
    """Time the neurons of each preset, alone and in arrays, and a dry run beside a bare loop; print tables."""
    console = console or Console(width=160)
    rows = [compare_neurons(name, n, seconds) for n in (1, 32) for name in KINDS if name != "no preset"]
    print_table(console, "Spikes alone, the images having been seen", rows)
    with tempfile.TemporaryDirectory() as folder:
        print_table(console, "A whole session", [compare_paces(Path(folder), generations)])


def compare_neurons(preset: str, n_channels: int, seconds: float) -> Comparison:
    """Return how many showings a second a preset answers, beside those of counts without one."""
    mine, plain = (pace(KINDS[name], n_channels, seconds) for name in (preset, "no preset"))
    return Comparison(
        f"{preset}, {n_channels} channels",
        f"{mine:.0f} showings/s",
        "no preset",
        f"{plain:.0f} showings/s",
        mine / plain,
    )


def pace(preset: str, n_channels: int, seconds: float) -> float:
    """Return how many showings a second are answered, on this many channels, a trial at a time."""
    units = ",".join(map(str, range(n_channels)))
    source = create_source("simulator", {"units": units, "preset": preset, "layer": "conv4"})
    source.begin(SETTINGS)
    images = np.random.default_rng(0).integers(0, 256, (TRIAL, 64, 64, 3), np.uint8)
    ids = np.array([stimulus_id(0, 0, place) for place in range(TRIAL)])
    source.see(StimulusBatch(ids, images))
    _ask(source, 0, ids)
    n_trials, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < seconds:
        n_trials += 1
        _ask(source, n_trials, ids)
    lasted_s = time.perf_counter() - began_s
    source.close()
    return n_trials * TRIAL / lasted_s


def _ask(source: ResponseSource, trial: int, stimulus_ids: Ids) -> None:
    slots = range(trial * TRIAL, (trial + 1) * TRIAL)
    asked = np.array([presentation_id(1, 1 + slot // 1000, slot % 1000, 0) for slot in slots])
    source.request(Onsets(trial, asked, stimulus_ids, np.arange(TRIAL) * 0.2))
    while not source.poll():
        time.sleep(0.001)


if __name__ == "__main__":
    main()
