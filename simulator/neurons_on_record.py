"""Neurons behind a recording: any source that answers by what it saw, asked at each onset for the spikes to come."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from adapters.source import ResponseSource, SourceError
from protocol.messages import Onsets, Responses, StimulusBatch

Seconds = NDArray[np.float64]
Columns = NDArray[np.int32]
Window = tuple[float, float]
LOOK_S = 0.0005
PATIENCE_S = 50.0
"""Less than a screen waits for the recording."""


class SeeingNeurons:
    """Answers a showing with spikes: their times from its onset, and the column of each.

    They lie in the windows that are counted in, and between them: a showing must not fire into the next one's windows
    where the source alone would not have counted it.
    """

    def __init__(
        self,
        source: ResponseSource,
        response_s: Window,
        baseline_s: Window,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self.channels = source.channels
        self._source = source
        self._windows_s = (response_s, baseline_s)
        self._unseen: dict[int, NDArray[np.uint8]] = {}
        self._known: set[int] = set()
        source.begin({"response_window_s": list(response_s), "baseline_window_s": list(baseline_s)})

    def see(self, stimulus_id: int, image: NDArray[np.uint8]) -> None:
        """Take in an image that may be shown."""
        self._unseen[stimulus_id] = image
        self._known.add(stimulus_id)

    def forget(self, stimulus_ids: Sequence[int]) -> None:
        """Drop images."""
        self._known.difference_update(stimulus_ids)
        for stimulus_id in stimulus_ids:
            self._unseen.pop(stimulus_id, None)
        self._source.forget(stimulus_ids)

    def knows(self, stimulus_id: int) -> bool:
        """Return whether an image has been seen."""
        return stimulus_id in self._known

    def respond(self, presentation_id: int, stimulus_id: int, onset_s: float) -> tuple[Seconds, Columns] | None:
        """Return [n_spikes] times from the onset and columns; None if the source has lost the showing."""
        self._look()
        ids = np.array([presentation_id], np.int64)
        self._source.request(Onsets(0, ids, np.array([stimulus_id], np.int64), np.array([onset_s])))
        times_s, columns = [np.zeros(0)], [np.zeros(0, np.int32)]
        for answer in self._answers():
            if not answer.measured.all():
                return None
            untimed = not len(answer.spike_times_s) and answer.spike_counts.any()
            timed = self._scattered(answer) if untimed else answer
            times_s.append(timed.spike_times_s.astype(np.float64))
            columns.append(timed.spike_channels)
        return self._inside(np.concatenate(times_s), np.concatenate(columns))

    def _answers(self) -> list[Responses]:
        """Return what the source says to one showing; a recording whose neurons stand still stands still too."""
        give_up_s = self._clock() + PATIENCE_S
        while not (answers := self._source.poll()):
            if self._clock() > give_up_s:
                raise SourceError(f"{self._source.name} has not said for {PATIENCE_S:g} s what a showing did to it.")
            self._sleep(LOOK_S)
        return answers

    def _inside(self, times_s: Seconds, columns: Columns) -> tuple[Seconds, Columns]:
        edges_s = [edge_s for window_s in self._windows_s for edge_s in window_s]
        inside = (times_s >= min(edges_s)) & (times_s < max(edges_s))
        return times_s[inside], columns[inside]

    def _look(self) -> None:
        """Look at all images that have come since the last showing: in one pass, as a source does that sees batches."""
        shapes = {image.shape for image in self._unseen.values()}
        for shape in shapes:
            of_one_size = {number: image for number, image in self._unseen.items() if image.shape == shape}
            ids = np.array(list(of_one_size), np.int64)
            self._source.see(StimulusBatch(ids, np.stack(list(of_one_size.values()))))
        self._unseen.clear()

    def _scattered(self, responses: Responses) -> Responses:
        """Return the answer of a source that says no times, with times anywhere in the windows."""
        response_s, baseline_s = self._windows_s
        if response_s[0] < baseline_s[1] and baseline_s[0] < response_s[1]:
            raise SourceError(
                f"the windows {response_s} and {baseline_s} s overlap, and {self._source.name} says counts and no "
                "times: no spikes can fit both. Let the baseline end where the response begins."
            )
        random = np.random.default_rng(int(responses.presentation_ids[0]))
        counts = (responses.spike_counts[0], responses.baseline_counts[0])
        columns = [np.repeat(np.arange(len(each), dtype=np.int32), each) for each in counts]
        times_s = [random.uniform(*w, len(c)) for w, c in zip(self._windows_s, columns, strict=True)]
        both = np.concatenate(columns)
        return Responses(
            responses.presentation_ids,
            responses.measured,
            responses.spike_counts,
            responses.baseline_counts,
            responses.onset_source,
            np.concatenate(times_s).astype(np.float32),
            np.zeros(len(both), np.int32),
            both,
        )
