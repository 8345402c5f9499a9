"""What the client needs of a screen, the screens it knows by name, and one without a window."""

import logging
import time
from collections.abc import Callable, Iterable
from math import floor
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from protocol.plugins import create

log = logging.getLogger(__name__)

DISPLAYS = {
    "psychopy": "stimulus_client.psychopy_display:PsychoPyDisplay",
    "headless": "stimulus_client.display:HeadlessDisplay",
}


class Display(Protocol):
    """A screen that changes at its refresh and says when it did.

    `flip` is the only call that waits, and the only one made while a trial runs; the images of a trial are
    loaded before it begins.
    """

    name: str
    refresh_hz: float
    size_px: tuple[int, int]
    """Width and height of the screen."""

    def configure(self, settings: dict[str, Any]) -> None:
        """Take the table that the server's Welcome brought: `size_deg`, `x_deg`, `background`, ..."""

    def load(self, stimulus_id: int, image: NDArray[np.uint8]) -> None:
        """Make an image, [height_px, width_px, 3] RGB, ready to be shown without delay."""

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Drop images; those it does not have are no error."""

    def flip(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> float:
        """Put this image, or none, on screen at the next refresh; return when that was, on its monotonic clock.

        `patch` is whether the photodiode's corner is white, where it has one.
        """

    def tell(self, level: str, text: str) -> None:
        """Let the person at this screen read this, until the next flip; never called while a trial runs."""

    def pressed(self) -> list[str]:
        """Return the keys pressed since this was last asked, such as "space", "escape", "q"; never waits."""

    def pointer_deg(self) -> tuple[float, float]:
        """Return where the mouse points, right and up from the fixation point."""

    def close(self) -> None:
        """Give the screen back."""


class HeadlessDisplay:
    """A screen that nobody sees: it keeps its refresh on the clock, or with `fast` jumps from one to the next.

    `drop_rate` is the share of images whose first frame stays on for two.
    """

    name = "headless"
    size_px = (1280, 1024)

    def __init__(
        self,
        fast: bool = False,
        drop_rate: float = 0.0,
        seed: int = 0,
        refresh_hz: float = 60.0,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.refresh_hz = refresh_hz
        self.images: dict[int, NDArray[np.uint8]] = {}
        self._drop_rate = drop_rate
        self._random = np.random.default_rng((seed, 1))
        self._wait_for = self._jump_to if fast else self._sleep_until
        self._clock, self._sleep = clock, sleep
        self._refresh = 0
        self._on_screen: int | None = None
        self._drops_next = False

    def configure(self, settings: dict[str, Any]) -> None:
        """Change nothing: there is no size, no place and no background to set."""

    def load(self, stimulus_id: int, image: NDArray[np.uint8]) -> None:
        """Keep an image."""
        self.images[stimulus_id] = image

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Drop images."""
        for stimulus_id in stimulus_ids:
            self.images.pop(stimulus_id, None)

    def flip(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> float:
        """Wait for the next refresh and return its time."""
        if stimulus_id is not None and stimulus_id not in self.images:
            raise KeyError(f"image {stimulus_id} was never loaded")
        self._refresh = self._wait_for(self._refresh + 1 + self._drops_next)
        begins = stimulus_id is not None and stimulus_id != self._on_screen
        self._drops_next = begins and self._drop_rate > 0 and self._random.random() < self._drop_rate
        self._on_screen = stimulus_id
        return self._refresh / self.refresh_hz

    def tell(self, level: str, text: str) -> None:
        """Write it to the log."""
        log.log(logging.WARNING if level == "alarm" else logging.INFO, "%s", text)

    def pressed(self) -> list[str]:
        """Return none: there is no keyboard."""
        return []

    def pointer_deg(self) -> tuple[float, float]:
        """Return the fixation point: there is no mouse."""
        return 0.0, 0.0

    def close(self) -> None:
        """Do nothing: there is no window."""

    def _jump_to(self, refresh: int) -> int:
        return refresh

    def _sleep_until(self, refresh: int) -> int:
        """Return the first refresh, this one or a later one, that is still to come, when it has come."""
        now_s = self._clock()
        refresh = max(refresh, floor(now_s * self.refresh_hz) + 1)
        self._sleep(refresh / self.refresh_hz - now_s)
        return refresh


def create_display(name: str, options: dict[str, Any]) -> Display:
    """Return the display of that name, or of that `package.module:Class`; raise PluginError for what is unknown."""
    return cast(Display, create("display", name, DISPLAYS, **options))
