"""The images that the client has: received, and made ready for the screen between trials."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from protocol.messages import StimulusBatch
from stimulus_client.display import Display


class Library:
    """Knows which images the display has, and gives it those that have arrived."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._loaded: set[int] = set()
        self._arrived: dict[int, NDArray[np.uint8]] = {}

    def add(self, batch: StimulusBatch) -> None:
        """Take in images; one that the display has already is not loaded again."""
        for stimulus_id, image in zip(batch.stimulus_ids.tolist(), batch.images, strict=True):
            if stimulus_id not in self._loaded:
                self._arrived[stimulus_id] = image

    def load(self) -> None:
        """Make ready for the screen what has arrived."""
        for stimulus_id, image in self._arrived.items():
            self._display.load(stimulus_id, image)
        self._loaded.update(self._arrived)
        self._arrived.clear()

    def has(self, stimulus_ids: Iterable[int]) -> bool:
        """Return whether all these images can be shown now."""
        return self._loaded.issuperset(stimulus_ids)

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Let these images go."""
        gone = set(stimulus_ids)
        self._loaded -= gone
        for stimulus_id in gone:
            self._arrived.pop(stimulus_id, None)
        self._display.forget(gone)

    def clear(self) -> None:
        """Let all images go."""
        self.forget({*self._loaded, *self._arrived})
