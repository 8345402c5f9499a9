"""A window that keeps what it shows: `--display tests.display.witness:Witness`, for a whole session watched."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stimulus_client.psychopy_display import PsychoPyDisplay

N_SCREENSHOTS = 3


class Witness(PsychoPyDisplay):
    """Writes down, for each image that comes on, its id and the fingerprint of its pixels on screen."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # The folder that it writes to: the client has no option for that.
        self._folder = Path(os.environ["XDREAM_WITNESS"])
        self._shown: int | None = None
        self._n = 0

    def draw(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> None:
        """Draw, and look at what was drawn when an image comes on."""
        super().draw(stimulus_id, fixation, patch)
        if stimulus_id is not None and stimulus_id != self._shown:
            self._write_down(stimulus_id, self.frame())
        self._shown = stimulus_id

    def _write_down(self, stimulus_id: int, frame: NDArray[np.uint8]) -> None:
        height, width = (int(n) for n in self._stimuli[stimulus_id].size[::-1])
        box = self._monitor.box(self._settings, (width, height), self.size_px)
        pixels = np.ascontiguousarray(frame[box.top : box.top + box.height, box.left : box.left + box.width])
        with (self._folder / "shown.txt").open("a") as ledger:
            ledger.write(f"{stimulus_id} {hashlib.sha256(pixels.tobytes()).hexdigest()}\n")
        if self._n < N_SCREENSHOTS:
            Image.fromarray(frame).save(self._folder / f"screen{self._n}.png")
        self._n += 1
