"""From activations to spike trains: rates with a time course, gains that vary, spikes that keep their distance.

Whatever is random belongs to the identity of a showing (seed, unit, evolution, generation, slot), never to the order in
which showings come or to a clock: a showing that is repeated draws the same spikes, and a resumed session those that an
undisturbed one had drawn. Drift is a function of the generation, adaptation of the generation and of whether the image
is a reference image, which is shown in each.

Spikes are a renewal process in the time that the rate makes pass (Barbieri et al. 2001, J Neurosci Methods 105:25):
intervals are gamma-distributed there, after a dead time in ours.
"""

from math import inf, isinf

import numpy as np
from numpy.typing import NDArray

from protocol.ids import presentation_key, stimulus_key
from simulator.presets import RUN_GENERATIONS, Preset
from simulator.streams import Streams
from simulator.trains import STEP_S, Array, Trains, renewal

FASTEST = 0.8
"""A rate cannot come nearer to the one that the refractory period allows, as a share of it."""
DRIFT_ENDS = 100.0
"""After so many generations a trend has mostly levelled off: no neuron falls silent for ever."""
ADAPTS_IN = 4.0
"""Generations in which reference images lose 63 % of what they will lose."""
PERIODS = (40.0, 200.0)
N_WAVES = 3
WINDOW_S = (0.05, 0.2)
"""Rates of presets are means over this window."""
SHAPE_CORRELATION_S = 0.012
ARTEFACT_SPIKES = (8, 20)
ARTEFACT_S = 0.04


class Spiking:
    """The channels of a recording: what a drive, showing by showing, makes them fire."""

    SHARED = "all channels"

    def __init__(self, preset: Preset, names: tuple[str, ...], seed: int, span_s: tuple[float, float]) -> None:
        self.preset, self.names = preset, names
        self._streams = Streams(seed)
        start_s, end_s = span_s
        self._edges_s = start_s + STEP_S * np.arange(round((end_s - start_s) / STEP_S) + 1)
        self._shapes = np.stack([self._shape(name) for name in names])
        self.scale = np.array([self._spread(name) for name in names])
        """[n_channels] how many times the preset's rates each channel has; 0 = a dead one."""
        waves = [self._streams.constant(name) for name in (*names, self.SHARED)]
        # Frequencies, phases: [n_names + 1, 2, N_WAVES]
        self._waves = np.stack([_wave(each) for each in waves])

    def drive(self, activations: Array) -> Array:
        """Return what relative activations add to the rate beyond any image's part, as a share of `tuned_hz`.

        1 for the best reference image's activation of 1; it saturates at 1 + half.
        """
        relative = np.maximum(activations, 0.0)
        half = self.preset.half
        return relative if isinf(half) else relative * (1 + half) / (relative + half)

    def rates(self, drive: Array, presentations: list[int], stimuli: list[int]) -> tuple[Array, Array]:
        """Return the baseline rates and what images add to them, [n_showings, n_channels], showing by showing."""
        preset = self.preset
        evoked = (preset.untuned_hz + preset.tuned_hz * drive) * self.scale
        baseline = np.full(drive.shape, float(preset.baseline_hz)) * self.scale
        for row, (presentation, stimulus) in enumerate(zip(presentations, stimuli, strict=True)):
            generation = presentation_key(presentation).generation
            evoked[row] *= self.drift(generation) * self.adapted(stimulus, generation) * self._gain(presentation)
            baseline[row] *= trend(preset.baseline_drift, generation)
        return baseline, evoked

    def drift(self, generation: int) -> Array:
        """Return the slow gain, [n_channels]: 1 in the first generation."""
        preset = self.preset
        if not preset.drift_sd:
            return np.full(len(self.names), trend(preset.drift, generation))
        frequency, phase = self._waves[:, 0], self._waves[:, 1]
        swing = np.cos(frequency * generation + phase) - np.cos(frequency + phase)
        waves = swing.sum(axis=1) * np.sqrt(2 / N_WAVES)
        slow = np.sqrt(1 - preset.drift_shared) * waves[:-1] + np.sqrt(preset.drift_shared) * waves[-1]
        return np.asarray(trend(preset.drift, generation) * np.exp(preset.drift_sd * slow))

    def adapted(self, stimulus: int, generation: int) -> float:
        """Return the share of its response that an image keeps: reference images are shown in every generation."""
        if stimulus_key(stimulus).evolution:
            return 1.0
        return float(1 - self.preset.adaptation * (1 - np.exp(-max(0, generation - 1) / ADAPTS_IN)))

    def fire(self, baseline: Array, evoked: Array, presentations: list[int]) -> Trains:
        """Return spikes at these rates, [n_showings, n_channels] each; the evoked ones have each unit's time course."""
        n_rows, n_channels = evoked.shape
        rates = baseline[..., None] + evoked[..., None] * self._shapes
        rates = rates.reshape(n_rows * n_channels, -1) / (1 + self.preset.bursts)
        dead_s = self.preset.refractory_ms / 1000
        if dead_s:
            rates = np.minimum(rates, FASTEST / dead_s)
            rates = rates / (1 - rates * dead_s)
        passed = np.concatenate([np.zeros((len(rates), 1)), np.cumsum(rates * STEP_S, axis=1)], axis=1)
        gaps, echoes = self._draw(passed[:, -1].reshape(n_rows, n_channels), presentations)
        times_s, places = renewal(passed, gaps, dead_s)
        times_s, places = self._burst(times_s, places, echoes)
        rows, channels = places // n_channels, places % n_channels
        trains = Trains(
            (self._edges_s[0] + times_s).astype(np.float32), rows.astype(np.int32), channels.astype(np.int32)
        )
        return self._with_artefacts(trains, presentations)

    def _draw(self, expected: Array, presentations: list[int]) -> tuple[Array, Array]:
        """Return intervals in units of their mean, and uniform numbers for bursts, [n_showings * n_channels, n]."""
        needed = np.ceil(expected + 6 * np.sqrt(expected) + 8).astype(np.int64)
        longest = int(needed.max(initial=0))
        gaps = np.full((*expected.shape, longest), inf)
        echoes = np.ones((*expected.shape, longest if self.preset.bursts else 0))
        order = self.preset.regularity
        for row, presentation in enumerate(presentations):
            for column, name in enumerate(self.names):
                n = needed[row, column]
                if isinf(order):
                    gaps[row, column, :n] = 1.0
                    gaps[row, column, 0] = 0.5
                    continue
                random = self._streams.showing(name, presentation)
                random.standard_normal()  # the gain's
                # The process has been going on for ever: the first interval began before we look.
                gaps[row, column, 0] = random.random() * random.standard_gamma(order + 1) / order
                gaps[row, column, 1:n] = random.standard_gamma(order, n - 1) / order
                if self.preset.bursts:
                    echoes[row, column, :n] = random.random(n)
        return gaps.reshape(-1, longest), echoes.reshape(len(gaps) * len(self.names), -1)

    def _burst(self, times_s: Array, places: NDArray[np.int64], echoes: Array) -> tuple[Array, NDArray[np.int64]]:
        """Add a spike 2 to 4 ms after some."""
        if not self.preset.bursts:
            return times_s, places
        first = np.searchsorted(places, places)
        luck = echoes[places, np.arange(len(places)) - first]
        chosen = luck < self.preset.bursts
        later_s = times_s[chosen] + 0.002 + 0.002 * luck[chosen] / self.preset.bursts
        inside = later_s < self._edges_s[-1] - self._edges_s[0]
        times_s, places = np.append(times_s, later_s[inside]), np.append(places, places[chosen][inside])
        order = np.lexsort((times_s, places))
        times_s, places = times_s[order], places[order]
        near = (np.diff(times_s, prepend=-inf) < self.preset.refractory_ms / 1000) & (np.diff(places, prepend=-1) == 0)
        return times_s[~near], places[~near]

    def _gain(self, presentation: int) -> Array:
        """Return how strong responses are in a showing, [n_channels]; 1 on average."""
        spread, shared = self.preset.gain_sd, self.preset.gain_shared
        if not spread:
            return np.ones(len(self.names))
        common = self._streams.showing(self.SHARED, presentation).standard_normal()
        own = np.array([self._streams.showing(name, presentation).standard_normal() for name in self.names])
        mixed = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        return np.asarray(np.exp(spread * mixed - spread**2 / 2))

    def _with_artefacts(self, trains: Trains, presentations: list[int]) -> Trains:
        for row, presentation in enumerate(presentations if self.preset.artefacts else []):
            random = self._streams.showing(self.SHARED, presentation)
            random.standard_normal()  # the gain's
            if random.random() < self.preset.artefacts:
                moment_s = random.uniform(self._edges_s[0], self._edges_s[-1] - ARTEFACT_S)
                storm_s = moment_s + ARTEFACT_S * np.sort(random.random(int(random.integers(*ARTEFACT_SPIKES))))
                trains = trains.with_storm(row, len(self.names), storm_s)
        return trains

    def _spread(self, name: str) -> float:
        random = self._streams.constant(f"{name}, its rate")
        return float(np.exp(self.preset.spread * np.clip(random.standard_normal(), -2, 2)))

    def _shape(self, name: str) -> Array:
        """Return a unit's time course at the middle of each step, of mean 1 over the window of presets."""
        preset, random = self.preset, self._streams.constant(f"{name}, its time course")
        middle_s = self._edges_s[:-1] + STEP_S / 2
        shift_s = preset.latency_sd_ms / 1000 * random.standard_normal()
        grid_s = np.arange(-0.1, 1.0, STEP_S)
        course = np.interp(grid_s - shift_s, np.array(preset.psth_ms) / 1000, preset.psth, left=0.0, right=0.0)
        if preset.shape_sd:
            course = course * np.exp(preset.shape_sd * _smooth_noise(random, len(grid_s)))
        inside = (grid_s >= WINDOW_S[0]) & (grid_s < WINDOW_S[1])
        return np.asarray(np.interp(middle_s, grid_s, course / course[inside].mean()))


def trend(change: float, generation: int) -> float:
    """Return the gain that changes by so much in a run's length, and then levels off."""

    def passed(generations: float) -> float:
        return DRIFT_ENDS * float(-np.expm1(-generations / DRIFT_ENDS))

    return float((1 + change) ** (passed(max(0, generation - 1)) / passed(RUN_GENERATIONS)))


def _wave(random: np.random.Generator) -> Array:
    low, high = np.log(PERIODS)
    return np.stack([2 * np.pi / np.exp(random.uniform(low, high, N_WAVES)), random.uniform(0, 2 * np.pi, N_WAVES)])


def _smooth_noise(random: np.random.Generator, n_steps: int) -> Array:
    """Return noise of standard deviation 1 that changes within `SHAPE_CORRELATION_S`."""
    reach = round(3 * SHAPE_CORRELATION_S / STEP_S)
    kernel = np.exp(-((np.arange(-reach, reach + 1) * STEP_S / SHAPE_CORRELATION_S) ** 2) / 2)
    noise = random.standard_normal(n_steps + 2 * reach)
    return np.asarray(np.convolve(noise, kernel / np.sqrt(np.sum(kernel**2)), "valid"))
