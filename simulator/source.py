"""The simulated recording: spikes of units of a network that sees what the subject would see."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.source import SourceError
from protocol.ids import stimulus_key
from protocol.messages import Onsets, Responses, StimulusBatch
from simulator.models import create_network
from simulator.neurons import Exact, Gain, Poisson, random_colours
from simulator.units import LayerUnits, parse_units

NOISES = ("poisson", "none")
ZEROS = ("0", "worst_reference")
N_RANDOM_IMAGES = 64


class SimulatedUnits:
    """Units of one layer as if recorded: rectified activation, scaled to spikes, plus a baseline, counted with noise.

    `zero_at` is the activation that is worth no spikes: "0", or for logits rather "worst_reference".

    Activations are taken when images are seen, all of a batch in one pass, so an answer takes no time. With
    noise "none" a count is the expected one, rounded: let `spikes_at_best_reference` be large then.
    """

    name = "simulator"
    wants_images = True

    def __init__(
        self,
        network: str = "embedded",
        weights: str = "",
        layer: str = "output",
        units: str = "0",
        spikes_at_best_reference: str = "20",
        zero_at: str = "0",
        noise: str = "poisson",
        baseline_hz: str = "0",
        seed: str = "0",
    ) -> None:
        self._units = LayerUnits(create_network(network, weights), layer, parse_units(units))
        self.channels = self._units.names
        self._spikes = _number("spikes_at_best_reference", spikes_at_best_reference)
        self._baseline_hz = _number("baseline_hz", baseline_hz)
        if zero_at not in ZEROS:
            raise SourceError(f"zero_at must be {' or '.join(ZEROS)}, got {zero_at!r}.")
        self._zero_at_worst_reference = zero_at == "worst_reference"
        if noise not in NOISES:
            raise SourceError(f"no noise named {noise!r}. Known: {', '.join(NOISES)}.")
        self._noise = Exact() if noise == "none" else Poisson(_whole("seed", seed), self.channels)
        self.begin({})

    def begin(self, settings: dict[str, Any]) -> None:
        """Forget all images and answers, and take the windows' lengths."""
        self._window_s = _length_s(settings.get("response_window_s", (0.05, 0.2)))
        self._baseline_window_s = _length_s(settings.get("baseline_window_s", (0.0, 0.05)))
        self._gain = Gain(self._spikes, len(self.channels), self._zero_at_worst_reference)
        self._activations: dict[int, NDArray[np.float64]] = {}
        self._size_px = (0, 0)
        self._answers: list[Responses] = []

    def see(self, batch: StimulusBatch) -> None:
        """Take the units' activations by images that were not seen yet."""
        ids = batch.stimulus_ids.tolist()
        new = [row for row, stimulus_id in enumerate(ids) if stimulus_id not in self._activations]
        if not new:
            return
        self._size_px = batch.images.shape[1:3]
        activations = self._units.activations(batch.images[new])
        self._activations.update((ids[row], each) for row, each in zip(new, activations, strict=True))
        references = [stimulus_key(ids[row]).evolution == 0 for row in new]
        self._gain.learn_references(activations[references])

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Drop activations; the best reference image stays known."""
        for stimulus_id in stimulus_ids:
            self._activations.pop(stimulus_id, None)

    def request(self, onsets: Onsets) -> None:
        """Answer at once, for the next `poll`."""
        unknown = np.full(len(self.channels), np.nan)
        seen = [self._activations.get(stimulus_id, unknown) for stimulus_id in onsets.stimulus_ids.tolist()]
        if seen:
            self._answers.append(self._answer(onsets, np.stack(seen)))

    def poll(self) -> list[Responses]:
        """Return the answers since the last call."""
        answers, self._answers = self._answers, []
        return answers

    def data_age_s(self) -> float:
        """Return 0: a simulated recording never falls behind."""
        return 0.0

    def close(self) -> None:
        """Do nothing: there is no recording system."""

    def _answer(self, onsets: Onsets, activations: NDArray[np.float64]) -> Responses:
        known: NDArray[np.bool_] = np.isfinite(activations.sum(axis=1))
        measured = known & np.isfinite(onsets.onsets_s)
        expected = self._expected(np.where(known[:, None], activations, 0.0))
        baseline = np.full(len(self.channels), self._baseline_hz * self._baseline_window_s)
        spike_counts = np.zeros(activations.shape, np.int32)
        baseline_counts = np.zeros(activations.shape, np.int32)
        for row in np.flatnonzero(measured):
            presentation = int(onsets.presentation_ids[row])
            spike_counts[row], baseline_counts[row] = self._noise.draw(presentation, expected[row], baseline)
        return Responses(
            onsets.presentation_ids,
            measured,
            spike_counts,
            baseline_counts,
            "simulated",
            reason=_why_not(known, onsets.onsets_s),
        )

    def _expected(self, activations: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the spikes to expect in the response window, [n, n_units]."""
        if self._gain.needs_random and min(self._size_px) > 0:
            self._gain.learn_random(self._units.activations(random_colours(N_RANDOM_IMAGES, *self._size_px)))
        return self._gain.expected(activations) + self._baseline_hz * self._window_s


def _why_not(known: NDArray[np.bool_], onsets_s: NDArray[np.float64]) -> str:
    no_onset = np.count_nonzero(np.isnan(onsets_s))
    unseen = np.count_nonzero(~known)
    reasons = [f"{no_onset} without an onset"] * bool(no_onset)
    reasons += [f"{unseen} whose image was never seen, or whose activation is no number"] * bool(unseen)
    return "; ".join(reasons)


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < np.inf:
        raise SourceError(f"{name} must be a number from 0 up, got {text!r}.")
    return value


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        raise SourceError(f"{name} must be a whole number from 0 up, got {text!r}.")
    return int(text)


def _length_s(window_s: Any) -> float:
    start_s, end_s = window_s
    return float(end_s) - float(start_s)
