"""A pair of neurons with spike times, for pages that draw them: each likes one picture, and fires in time."""

import numpy as np

from protocol.ids import MAX_ATTEMPTS
from protocol.messages import Onsets, Responses, StimulusBatch
from tests.neurons import PixelNeuron

N_CHANNELS = 6
LATENCY_S = 0.065


class SpikingNeuron(PixelNeuron):
    """An acquisition source, `tests.page.spiking:SpikingNeuron`: like PixelNeuron, with times and more channels."""

    name = "spiking_neuron"
    channels = tuple(f"pixel/{n}" for n in range(N_CHANNELS))

    def see(self, batch: StimulusBatch) -> None:
        for stimulus, image in zip(batch.stimulus_ids.tolist(), batch.images, strict=True):
            self._rates[stimulus] = 14 * float(np.exp(4 * (_likeness(image) - 0.8)))

    def request(self, onsets: Onsets) -> None:
        ids = onsets.presentation_ids.tolist()
        times, rows, places = [], [], []
        counts, baseline = np.zeros((len(ids), N_CHANNELS), np.int32), np.zeros((len(ids), N_CHANNELS), np.int32)
        for row, (presentation, stimulus) in enumerate(zip(ids, onsets.stimulus_ids.tolist(), strict=True)):
            random = np.random.default_rng((self._seed, presentation // MAX_ATTEMPTS))
            for channel in range(N_CHANNELS):
                fired = self._fire(random, self._rates.get(stimulus, 0.0) / (1 + 0.6 * channel))
                counts[row, channel] = np.count_nonzero((fired >= 0.05) & (fired < 0.2))
                baseline[row, channel] = np.count_nonzero((fired >= 0) & (fired < 0.05))
                times.append(fired)
                rows += [row] * len(fired)
                places += [channel] * len(fired)
        self._answers.append(
            Responses(
                onsets.presentation_ids, np.ones(len(ids), np.bool_), counts, baseline, "photodiode",
                np.concatenate([np.zeros(0, np.float32), *times]).astype(np.float32),
                np.array(rows, np.int32), np.array(places, np.int32),
            )
        )  # fmt: skip

    def _fire(self, random: np.random.Generator, n_expected: float) -> np.ndarray:
        """Return spike times: a burst after the latency, on a floor of 8 spikes per second."""
        burst = LATENCY_S + random.gamma(2.0, 0.022, random.poisson(n_expected))
        return np.concatenate([burst, random.uniform(-0.1, 0.3, random.poisson(3.2))])


def _likeness(image: np.ndarray) -> float:
    """Return the correlation of an image with a warm spot on a cold ground."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width] / (max(height, width) - 1) - 0.5
    spot = np.exp(-8 * (x**2 + y**2))
    template = np.stack([spot, 0.4 * spot, -0.6 * spot], axis=-1)
    return float(np.corrcoef(image.ravel(), template.ravel())[0, 1]) if image.std() > 0 else 0.0
