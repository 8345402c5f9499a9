"""The simulated recording: spikes of units of a network that sees what the subject would see."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from protocol.ids import stimulus_key
from protocol.messages import Onsets, Responses, StimulusBatch
from simulator.arrays import Listens
from simulator.firing import Recorded, Windows
from simulator.looking import Looker
from simulator.neurons import Gain, random_colours
from simulator.options import Options
from simulator.trains import Trains

N_RANDOM_IMAGES = 64
UNKNOWN = "whose image was never seen, or whose activation is no number"


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What came of a batch."""

    stimulus_ids: list[int]
    activations: NDArray[np.float64]
    """[n_images, n_units]"""


class SimulatedUnits:
    """Units as if recorded: what an image does to a unit becomes a rate, and the rate spikes (docs/simulator.md).

    Activations are taken when images are seen, all of a batch in one pass, in a thread of its own. An answer waits for
    the images that were seen before it was asked for, and for nothing else.
    """

    name = "simulator"
    wants_images = True
    __signature__: ClassVar[inspect.Signature] = inspect.signature(Options)

    def __init__(self, **options: str) -> None:
        self._options = Options(**options)
        self._array = self._options.array()
        self.channels = self._array.names
        self._options.firing(self.channels, Windows())
        self._faults = self._options.trouble()
        self._looker = Looker()
        self.begin({})

    def begin(self, settings: dict[str, Any]) -> None:
        """Forget all images and answers, and take the windows."""
        self._looker.forget()
        self._gain = self._options.gain(self._array.mixture.shape[1])
        self._windows = Windows.of(settings)
        self._firing = self._options.firing(self.channels, self._windows)
        self._activations: dict[int, NDArray[np.float64]] = {}
        self._coming: set[int] = set()
        self._asked: list[tuple[int, Onsets]] = []

    def see(self, batch: StimulusBatch) -> None:
        """Begin to look at images that were not seen yet."""
        known = [stimulus in self._activations or stimulus in self._coming for stimulus in batch.stimulus_ids.tolist()]
        new = ~np.array(known, np.bool_)
        if new.any():
            self._coming.update(batch.stimulus_ids[new].tolist())
            unseen = StimulusBatch(batch.stimulus_ids[new], batch.images[new])
            self._looker.begin(partial(_look, self._array.units, self._gain, unseen))

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Drop activations; the best reference image stays known."""
        for stimulus_id in stimulus_ids:
            self._activations.pop(stimulus_id, None)
            self._coming.discard(stimulus_id)

    def request(self, onsets: Onsets) -> None:
        """Take note of what is asked, for the next `poll` that can answer it."""
        if len(onsets.presentation_ids):
            self._faults.reach(onsets.presentation_ids.tolist())
            self._asked.append((self._looker.n_begun, onsets))

    def poll(self) -> list[Responses]:
        """Return the answers to what was asked and seen; none while a stall lasts."""
        for seen in self._looker.done():
            self._take(seen)
        if self._faults.data_age_s:
            return []
        ready = [onsets for n_seen, onsets in self._asked if n_seen <= self._looker.n_done]
        self._asked = self._asked[len(ready) :]
        return [self._answer(onsets) for onsets in ready]

    def drill(self, arguments: Mapping[str, Any]) -> None:
        """Let something go wrong now: `what` of docs/simulator.md's faults, `seconds`, ..."""
        self._faults.drill(arguments)

    def data_age_s(self) -> float:
        """Return 0, unless the recording is made to stand still."""
        return self._faults.data_age_s

    def close(self) -> None:
        """End the thread: there is no recording system."""
        self._looker.close()

    def _take(self, seen: _Seen) -> None:
        for stimulus, activation in zip(seen.stimulus_ids, seen.activations, strict=True):
            if stimulus in self._coming:
                self._coming.discard(stimulus)
                self._activations[stimulus] = activation

    def _answer(self, onsets: Onsets) -> Responses:
        presentations, stimuli = onsets.presentation_ids.tolist(), onsets.stimulus_ids.tolist()
        unknown = np.full(self._array.mixture.shape[1], np.nan)
        activations = np.stack([self._activations.get(stimulus, unknown) for stimulus in stimuli])
        known: NDArray[np.bool_] = np.isfinite(activations.sum(axis=1))
        lost = [self._faults.why_lost(presentation) for presentation in presentations]
        measured = known & np.isfinite(onsets.onsets_s) & np.array([not why for why in lost], np.bool_)
        rows = np.flatnonzero(measured)
        recorded = self._recorded(activations[rows], [(presentations[row], stimuli[row]) for row in rows])
        counts = np.zeros((2, len(measured), len(self.channels)), np.int32)
        counts[0, rows], counts[1, rows] = recorded.spike_counts, recorded.baseline_counts
        trains = recorded.trains
        return Responses(
            onsets.presentation_ids,
            measured,
            counts[0],
            counts[1],
            "simulated",
            trains.times_s,
            rows[trains.rows].astype(np.int32),
            trains.channels,
            reason=_why_not(known, onsets.onsets_s, lost),
        )

    def _recorded(self, activations: NDArray[np.float64], shown: list[tuple[int, int]]) -> Recorded:
        """Return what was recorded of these (presentation, stimulus)."""
        if not shown:
            nothing = np.zeros((0, len(self.channels)), np.int32)
            return Recorded(nothing, nothing, Trains.none())
        drive = self._gain.expected(activations) @ self._array.mixture.T
        presentations = [presentation for presentation, _ in shown]
        recorded = self._firing.record(drive, presentations, [stimulus for _, stimulus in shown])
        return self._faults.spoil(recorded, presentations, self._windows)


def _look(units: Listens, gain: Gain, batch: StimulusBatch) -> _Seen:
    """Return the activations, having learnt from them what they are worth."""
    activations = units.activations(batch.images)
    references = [stimulus_key(stimulus).evolution == 0 for stimulus in batch.stimulus_ids.tolist()]
    gain.learn_references(activations[references])
    if gain.needs_random:
        gain.learn_random(units.activations(random_colours(N_RANDOM_IMAGES, *batch.images.shape[1:3])))
    return _Seen(batch.stimulus_ids.tolist(), activations)


def _why_not(known: NDArray[np.bool_], onsets_s: NDArray[np.float64], lost: list[str]) -> str:
    no_onset = np.count_nonzero(np.isnan(onsets_s))
    unseen = np.count_nonzero(~known)
    reasons = [f"{no_onset} without an onset"] * bool(no_onset)
    reasons += [f"{unseen} {UNKNOWN}"] * bool(unseen)
    reasons += [f"{lost.count(why)} {why}" for why in dict.fromkeys(lost) if why]
    return "; ".join(reasons)
