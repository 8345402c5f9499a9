"""Sessions with simulated neurons of a preset, summed up as real sessions in monkeys were: docs/simulator.md."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from protocol.ids import presentation_id, stimulus_id, stimulus_key
from protocol.messages import Onsets, Responses, StimulusBatch
from server import build
from server.config import parse_config
from server.ledger import Measurements
from simulator.presets import presets
from simulator.source import SimulatedUnits
from simulator.spiking import Spiking, trend

WINDOW_S, BASELINE_S = (0.05, 0.2), (0.0, 0.045)
UNITS = (5, 9, 18, 21)
LAYERS = {"V1": "conv2", "V4": "conv4", "IT": "fc6"}
"""Of the embedded network, where units like those of the area are looked for."""
GENERATIONS, IMAGES, REFERENCES = 28, 30, 10
SMOOTH_S, STEP_S, MARGIN_S = 0.005, 0.001, 0.01
CONFIG = """
[session]
name = "a_session"
seed = {seed}
[evolution]
[evolution.optimizer]
name = "genetic"
population = {images}
[references]
count = {references}
"""


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """What one evolution with one unit gave."""

    rates_hz: NDArray[np.float64]
    """[n_generations, n_images] of evolved images, without the baseline taken off."""
    reference_hz: NDArray[np.float64]
    """[n_generations, n_references]"""
    baseline_hz: NDArray[np.float64]
    """[n_generations]"""

    @property
    def initial_hz(self) -> float:
        """Mean of the first two generations."""
        return float(self.rates_hz[:2].mean())

    @property
    def final_hz(self) -> float:
        """Mean of the second- and third-last generation."""
        return float(self.rates_hz[-3:-1].mean())

    @property
    def sem(self) -> float:
        """Standard error over a generation's images, as a share of their mean: the median of all generations."""
        n = self.rates_hz.shape[1]
        return float(np.median(self.rates_hz.std(axis=1, ddof=1) / np.sqrt(n) / self.rates_hz.mean(axis=1)))

    @property
    def reference_drift(self) -> float:
        """Slope of the reference images' rate, times the generations, as a share of its mean."""
        return _slope(self.reference_hz.mean(axis=1))

    @property
    def baseline_change(self) -> float:
        """The same of the baseline."""
        return _slope(self.baseline_hz)

    @property
    def above_references(self) -> bool:
        """Whether the final images beat the reference images at the end."""
        return bool(self.final_hz > self.reference_hz[-3:-1].mean())


def a_session(preset: str, unit: int, seed: int, generations: int = GENERATIONS) -> Session:
    """Evolve pictures for one unit of the embedded network, in this process; all units have the preset's own rates."""
    config = parse_config(CONFIG.format(seed=seed, images=IMAGES, references=REFERENCES), "a session")
    [evolution] = build.build_evolutions(config)
    source = SimulatedUnits(
        preset=preset, layer=LAYERS.get(preset, "conv4"), units=str(unit), seed=str(seed), spread="0"
    )
    source.begin({"response_window_s": WINDOW_S, "baseline_window_s": BASELINE_S})
    references = evolution.references
    source.see(StimulusBatch(references.stimulus_ids, references.images))
    rates, reference_rates, baselines = [], [], []
    for generation in range(1, generations + 1):
        proposal = evolution.propose(generation)
        source.see(StimulusBatch(proposal.stimulus_ids, evolution.generator.render(proposal.codes)))
        answer = answered(source, generation, proposal.slots)
        counts = answer.spike_counts, answer.baseline_counts
        evolution.absorb(proposal, Measurements(source.channels, proposal.slots, *counts))
        source.forget(proposal.stimulus_ids.tolist())
        evolved = np.array([stimulus_key(stimulus).evolution > 0 for stimulus in proposal.slots.tolist()])
        rate_hz = answer.spike_counts[:, 0] / (WINDOW_S[1] - WINDOW_S[0])
        rates.append(rate_hz[evolved])
        reference_rates.append(rate_hz[~evolved])
        baselines.append(answer.baseline_counts.mean() / (BASELINE_S[1] - BASELINE_S[0]))
    source.close()
    return Session(np.array(rates), np.array(reference_rates), np.array(baselines))


def answered(source: SimulatedUnits, generation: int, slots: NDArray[np.int64]) -> Responses:
    """Show a generation to the neurons; return their answers."""
    ids = np.array([presentation_id(1, generation, slot, 0) for slot in range(len(slots))])
    source.request(Onsets(generation, ids, slots, np.arange(len(slots)) * 0.2))
    while not (answers := source.poll()):
        time.sleep(0.001)
    return answers[0]


def _slope(values: NDArray[np.float64]) -> float:
    slope, _ = np.polyfit(np.arange(len(values)), values, 1)
    return float(slope * len(values) / values.mean())


@dataclass(frozen=True, slots=True, eq=False)
class Courses:
    """The time courses of many channels of a preset, answering one strong image many times."""

    psth_hz: NDArray[np.float64]
    """[n_channels, n_steps], smoothed, from the onset on."""
    counts: NDArray[np.int32]
    """[n_showings, n_channels] in the response window."""

    @property
    def normalised(self) -> NDArray[np.float64]:
        """[n_channels, n_steps], each 0 at its baseline and 1 at its peak."""
        base = self.psth_hz[:, 5 : round(0.035 / STEP_S)].mean(axis=1, keepdims=True)
        return np.asarray((self.psth_hz - base) / (self.psth_hz.max(axis=1, keepdims=True) - base))

    @property
    def half_rise_ms(self) -> float:
        """Median time at which half of the peak is first reached."""
        return float(np.median(np.argmax(self.normalised >= 0.5, axis=1)) * STEP_S * 1000)

    @property
    def peak_ms(self) -> float:
        """Median time of the peak."""
        return float(np.median(self.psth_hz.argmax(axis=1)) * STEP_S * 1000)

    @property
    def noise_correlation(self) -> float:
        """Mean correlation of two channels' counts."""
        together = np.corrcoef(self.counts.T)
        return float(together[~np.eye(len(together), dtype=bool)].mean())


def courses(preset: str, n_channels: int = 48, n_showings: int = 200, drive: float = 0.5, seed: int = 0) -> Courses:
    """Show one image to an array again and again, in the first generation."""
    kind = replace(presets()[preset], spread=0.0)
    spiking = Spiking(kind, tuple(f"unit {n}" for n in range(n_channels)), seed, (-0.05, 0.3))
    ids = [presentation_id(1, 1, slot, 0) for slot in range(n_showings)]
    baseline, evoked = spiking.rates(np.full((n_showings, n_channels), drive), ids, [stimulus_id(1, 1, 0)] * n_showings)
    trains = spiking.fire(baseline, evoked, ids)
    width, margin = round(SMOOTH_S / STEP_S), round(MARGIN_S / STEP_S)
    edges = (np.arange(n_channels + 1), np.arange(-margin, round(0.25 / STEP_S) + margin + 1) * STEP_S)
    histogram, _, _ = np.histogram2d(trains.channels, trains.times_s, edges)
    smooth = [np.convolve(each, np.ones(width) / width, "same") for each in histogram / (n_showings * STEP_S)]
    return Courses(np.stack(smooth)[:, margin:-margin], trains.counts(WINDOW_S, n_showings, n_channels))


def drifts(preset: str, n_seeds: int = 60, n_channels: int = 8) -> NDArray[np.float64]:
    """Return the drift of the response to a reference image over a run, [n_seeds * n_channels]."""
    kind, generations = replace(presets()[preset], spread=0.0), range(1, GENERATIONS + 1)
    found = []
    for seed in range(n_seeds):
        spiking = Spiking(kind, tuple(f"unit {n}" for n in range(n_channels)), seed, (0.0, 0.01))
        slow = np.array([spiking.drift(g) * spiking.adapted(stimulus_id(0, 0, 0), g) for g in generations])
        base_hz = kind.baseline_hz * np.array([trend(kind.baseline_drift, g) for g in generations])
        rates_hz = base_hz[:, None] + (kind.untuned_hz + 0.5 * kind.tuned_hz) * slow
        found += [_slope(rates_hz[:, channel]) for channel in range(n_channels)]
    return np.array(found)


def summed_up(preset: str, sessions: Sequence[Session]) -> dict[str, float]:
    """Return what docs/simulator.md compares with real sessions: medians."""
    found = courses(preset)
    return {
        "initial rate": float(np.median([each.initial_hz for each in sessions])),
        "final rate": float(np.median([each.final_hz for each in sessions])),
        "final / initial": float(np.median([each.final_hz / each.initial_hz for each in sessions])),
        "SEM / mean": float(np.median([each.sem for each in sessions])),
        "baseline": float(np.median([each.baseline_hz.mean() for each in sessions])),
        "baseline change": trend(presets()[preset].baseline_drift, GENERATIONS) - 1,
        "reference drift": float(np.median(drifts(preset))),
        "PSTH peak": float(np.median(found.psth_hz.max(axis=1))),
        "half-rise": found.half_rise_ms,
        "peak time": found.peak_ms,
        "noise correlation": found.noise_correlation,
    }


def draw(path: Path, sessions: dict[str, list[Session]]) -> None:
    """Draw a row a preset: time courses of its units, and the learning curves of its sessions."""
    from matplotlib.figure import Figure

    figure = Figure((9, 2.6 * len(sessions)), layout="constrained")
    axes = figure.subplots(len(sessions), 2, squeeze=False)
    for (preset, mine), (left, right) in zip(sessions.items(), axes, strict=True):
        course = courses(preset)
        times_ms = np.arange(course.psth_hz.shape[1]) * STEP_S * 1000
        left.plot(times_ms, course.psth_hz[:12].T, color="0.75", lw=0.7)
        left.plot(times_ms, course.psth_hz.mean(axis=0), color="C0", lw=2)
        left.axvspan(50, 200, color="C0", alpha=0.06, lw=0)
        left.set(
            title=f"{preset}: 12 units and the mean of 48", xlabel="ms after the onset", ylabel="Hz", ylim=(0, None)
        )
        for number, each in enumerate(mine):
            named = {"label": "evolved"} if not number else {}
            right.plot(np.arange(1, GENERATIONS + 1), each.rates_hz.mean(axis=1), color="C1", lw=1, **named)
            named = {"label": "reference images"} if not number else {}
            right.plot(np.arange(1, GENERATIONS + 1), each.reference_hz.mean(axis=1), color="0.6", lw=1, **named)
        right.set(
            title=f"{preset}: {len(mine)} evolutions", xlabel="generation", ylabel="Hz, 50 to 200 ms", ylim=(0, None)
        )
        right.legend(frameon=False, fontsize=8)
        for each in (left, right):
            each.set_ylim(0)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run four evolutions a preset, print what they come to, and draw them."""
    sessions = {preset: [a_session(preset, unit, seed) for seed, unit in enumerate(UNITS)] for preset in presets()}
    for preset, mine in sessions.items():
        print(preset, *(f"{name} {value:.3f}" for name, value in summed_up(preset, mine).items()), sep="\n  ")  # noqa: T201
    draw(Path("simulator_presets.png"), sessions)


if __name__ == "__main__":
    main()
