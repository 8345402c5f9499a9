"""A neuron that needs no network, for tests that start processes: it likes one picture, and counts with noise."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from protocol.ids import MAX_ATTEMPTS
from protocol.messages import Onsets, Responses, StimulusBatch


class PixelNeuron:
    """An acquisition source, `tests.neurons:PixelNeuron`: the nearer an image is to its template, the more spikes."""

    name = "pixel_neuron"
    channels = ("pixel/0", "pixel/1")
    wants_images = True

    def __init__(self, seed: str = "0") -> None:
        self._seed = int(seed)
        self._rates: dict[int, float] = {}
        self._answers: list[Responses] = []

    def begin(self, settings: dict[str, Any]) -> None:
        self._rates, self._answers = {}, []

    def see(self, batch: StimulusBatch) -> None:
        for stimulus, image in zip(batch.stimulus_ids.tolist(), batch.images, strict=True):
            template = np.linspace(0, 255, image.size).reshape(image.shape)
            self._rates[stimulus] = 30 * float(np.exp(-np.mean(((image - template) / 128) ** 2)))

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        for stimulus in stimulus_ids:
            self._rates.pop(stimulus, None)

    def request(self, onsets: Onsets) -> None:
        rows = list(zip(onsets.presentation_ids.tolist(), onsets.stimulus_ids.tolist(), strict=True))
        measured = np.array([stimulus in self._rates for _, stimulus in rows], np.bool_) & ~np.isnan(onsets.onsets_s)
        counts = np.zeros((len(rows), 2), np.int32)
        for row, (presentation, stimulus) in enumerate(rows):
            if measured[row]:
                random = np.random.default_rng((self._seed, presentation // MAX_ATTEMPTS))
                counts[row] = random.poisson(self._rates[stimulus], 2)
        self._answers.append(Responses(onsets.presentation_ids, measured, counts, np.zeros_like(counts), "simulated"))

    def poll(self) -> list[Responses]:
        answers, self._answers = self._answers, []
        return answers

    def data_age_s(self) -> float:
        return 0.0

    def close(self) -> None:
        pass
