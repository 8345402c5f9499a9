"""A PsychoPy window: the one file that imports PsychoPy, and the only display that an animal sees.

Images are resampled, corrected for gamma and uploaded when they are loaded; a flip draws what is on the graphics card
already. Each pixel of a loaded image is one pixel of the screen, unsmoothed.
"""

import logging
import time
from collections.abc import Callable, Iterable
from datetime import date
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stimulus_client.geometry import Box, Monitor, about_gamma, check_apart, levels, patch_box
from stimulus_client.screen_modes import problems

logging.getLogger("numexpr").setLevel(logging.WARNING)  # PsychoPy's; it counts the processors aloud
try:
    from psychopy import core, event, visual
    from psychopy import logging as psychopy_log
except ImportError as missing:
    raise ImportError(f"the PsychoPy display needs PsychoPy: pip install 'xdream[client]' ({missing})") from missing
except Exception as wrong:  # pyglet opens a window when it is imported, and says in its own ways that it cannot
    raise ImportError(f"no window can be opened here: {wrong}. Is this the display PC's own desktop?") from wrong

N_MEASURED = 60
"""Flips that the refresh rate is the median of: a second on most screens."""
PACED_HZ = 60.0
"""What a window without vertical sync pretends to be, where the settings name no refresh rate."""
FASTEST_HZ = 600.0
"""Flips that come faster than that wait for no screen."""
STEADY = 0.1
"""Nor do flips whose intervals differ by more than this share, from the first to the third quartile."""
WORDS_PX = 18
WHITE, BLACK = 255, 0
log = logging.getLogger(__name__)


class ScreenError(OSError):
    """The screen is not fit to be shown to an animal; the text says why, and what to do."""


class PsychoPyDisplay:
    """A full screen, or a window to rehearse in; `fast` jumps from one refresh to the next without waiting."""

    name = "psychopy"

    def __init__(
        self,
        screen: int = 0,
        windowed: bool = False,
        fast: bool = False,
        size_px: tuple[int, int] = (800, 600),
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._windowed, self._fast = windowed or fast, fast
        psychopy_log.console.setLevel(psychopy_log.ERROR)  # it warns of a monitor file that nothing here reads
        self._clock, self._sleep, self._today = clock, sleep, today
        self.window = visual.Window(
            size=size_px, fullscr=not self._windowed, allowGUI=self._windowed, screen=screen, winType="pyglet",
            units="pix", color=(128, 128, 128), colorSpace="rgb255", waitBlanking=True, checkTiming=False,
            multiSample=False, gammaErrorPolicy="ignore", allowStencil=False, title="xdream", autoLog=False,
        )  # fmt: skip
        self._check_there_is(screen)
        self.window.mouseVisible = self._windowed
        if not self._windowed:
            core.rush(True)  # before other programs, where the system allows it
        width, height = (int(n) for n in self.window.size)
        self.size_px = (width, height)
        self._measured_hz, steady = self._measure()
        self._synced = steady and self._measured_hz < FASTEST_HZ and not fast
        self.refresh_hz = self._measured_hz if self._synced else PACED_HZ
        self._settings: dict[str, Any] = {}
        self._monitor = Monitor.of({})
        self._levels = levels({})
        self._stimuli: dict[int, Any] = {}
        self._spare: list[Any] = []
        self._refresh = 0
        self._lit = False
        self._words = visual.TextStim(
            self.window, "", height=WORDS_PX, pos=(0, -height / 2 + 2 * WORDS_PX), wrapWidth=0.9 * width, autoLog=False
        )
        self._point = visual.Rect(self.window, units="pix", lineWidth=0, interpolate=False, autoLog=False)
        self._patch: Any = None
        self._pointer = event.Mouse(win=self.window)
        self._dress({})

    def configure(self, settings: dict[str, Any]) -> None:
        """Take sizes, places and colours; raise ScreenError or GeometryError where they cannot be had."""
        self._monitor = Monitor.of(settings)
        box = self._monitor.box(settings, (1, 1), self.size_px)  # an image that does not fit is refused now
        check_apart(box, patch_box(settings, self._monitor, self.size_px))
        if not self._windowed:
            self._check_screen()
        elif not self._synced:
            self._keep_pace(self._monitor.refresh_hz or PACED_HZ)
            log.warning("this window keeps time by the clock, not by the screen: a rehearsal, no measurement")
        self._settings = settings
        self._levels = levels(settings)
        self._dress(settings)
        log.info("%s; %s", self._sizes_in_words(), about_gamma(settings, self._today()))

    def load(self, stimulus_id: int, image: NDArray[np.uint8]) -> None:
        """Resample an image to its size on screen and put it on the graphics card, in the place of one that is gone."""
        height, width = image.shape[:2]
        box = self._monitor.box(self._settings, (width, height), self.size_px)
        picture = Image.fromarray(image)
        if (box.width, box.height) != (width, height):
            picture = picture.resize((box.width, box.height), Image.Resampling.LANCZOS)
        if not np.array_equal(self._levels, np.arange(256)):
            picture = picture.point(self._levels.tolist() * 3)
        stimulus = self._stimuli.pop(stimulus_id, None) or (self._spare.pop() if self._spare else self._new_stimulus())
        stimulus.image = picture
        stimulus.size = (box.width, box.height)
        stimulus.pos = box.centre(self.size_px)
        self._stimuli[stimulus_id] = stimulus

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Keep what held these images for the next ones."""
        for stimulus_id in stimulus_ids:
            if stimulus_id in self._stimuli:
                self._spare.append(self._stimuli.pop(stimulus_id))

    def draw(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> None:
        """Draw the next frame where nobody sees it yet."""
        if stimulus_id is not None:
            self._stimuli[stimulus_id].draw()
        if fixation:
            self._point.draw()
        self._lit = patch
        self._draw_patch()

    def flip(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> float:
        """Draw a frame and return when the screen began to show it."""
        self.draw(stimulus_id, fixation, patch)
        return self._flip()

    def tell(self, level: str, text: str) -> None:
        """Write it on screen, small and dim, until the next flip, and to the log."""
        log.log(logging.WARNING if level == "alarm" else logging.INFO, "%s", text)
        if text != "running":
            self._words.text = text
            self._words.draw()
        self._draw_patch()
        self._flip()

    def pressed(self) -> list[str]:
        """Return the keys pressed; this also keeps the window alive while nothing is shown."""
        return list(event.getKeys())

    def pointer_deg(self) -> tuple[float, float]:
        """Return where the mouse points."""
        x_px, y_px = self._pointer.getPos()
        return self._monitor.deg(x_px, self.size_px[0]), self._monitor.deg(y_px, self.size_px[0])

    def frame(self) -> NDArray[np.uint8]:
        """Return [height_px, width_px, 3] what was drawn since the last flip, as the screen will show it."""
        picture = self.window.getMovieFrame(buffer="back")
        self.window.movieFrames.clear()
        return np.array(picture, np.uint8)

    def close(self) -> None:
        """Close the window."""
        self.window.close()

    def _flip(self) -> float:
        refresh = self._refresh + 1
        if not self._synced and not self._fast:
            now_s = self._clock()
            refresh = max(refresh, floor(now_s * self.refresh_hz) + 1)
            self._sleep(max(0.0, refresh / self.refresh_hz - now_s))
        self.window.flip()
        now_s = self._clock()
        self._refresh = refresh
        return refresh / self.refresh_hz if self._fast else now_s

    def _keep_pace(self, refresh_hz: float) -> None:
        """Go on from this moment in refreshes of another length: they are counted, and one count means two moments."""
        self._refresh = ceil(self._refresh * refresh_hz / self.refresh_hz)
        self.refresh_hz = refresh_hz

    def _check_screen(self) -> None:
        """Raise ScreenError with all that is wrong with a full screen."""
        found = problems(self._monitor, *self._sizes(), self._measured_hz)
        if not self._synced:
            found.append(f"flips do not wait for it ({self._measured_hz:.0f} Hz); turn vertical sync on")
        if found:
            raise ScreenError(f"the screen cannot be used: {'; '.join(found)}. --windowed rehearses all the same.")

    def _check_there_is(self, screen: int) -> None:
        """Raise ScreenError where PsychoPy took the first screen, and said nothing, for want of the one it was told."""
        display = self.window.winHandle.display
        n_screens = len(display.get_screens())
        if not (screen < n_screens or getattr(display, "x_screen", 0) == screen):
            self.window.close()
            raise ScreenError(
                f"there is no screen {screen}: the system has {n_screens}, and the first one is 0. "
                "Is the animal's screen switched on, and does it extend the desktop rather than mirror it?"
            )

    def _measure(self) -> tuple[float, bool]:
        """Return the rate at which flips come, from their median interval, and whether it is a steady one."""
        times_s = []
        for _ in range(N_MEASURED):
            self.window.flip()
            times_s.append(self._clock())
        low_s, median_s, high_s = np.percentile(np.diff(times_s), (25, 50, 75))
        return float(1 / median_s), bool(high_s - low_s < STEADY * median_s)

    def _new_stimulus(self) -> Any:
        return visual.ImageStim(self.window, units="pix", interpolate=False, autoLog=False)

    def _dress(self, settings: dict[str, Any]) -> None:
        """Set the background, the fixation point and the photodiode's corner."""
        grey = int(self._levels[int(settings.get("background", 128))])
        self.window.setColor((grey,) * 3, colorSpace="rgb255")
        self._words.setColor((80 if grey > 100 else 160,) * 3, colorSpace="rgb255")
        side = 2 * max(1, round(self._monitor.px(float(settings.get("fixation_size_deg", 0.2)) / 2, self.size_px[0])))
        self._point.size = (side, side)
        self._point.setFillColor((WHITE if grey < 192 else BLACK,) * 3, colorSpace="rgb255")
        box = patch_box(settings, self._monitor, self.size_px)
        self._patch = None if box is None else self._new_patch(box)
        for _ in range(2):  # the new background is in both buffers after the second
            self._draw_patch()
            self.window.flip()

    def _new_patch(self, box: Box) -> Any:
        patch = visual.Rect(self.window, units="pix", lineWidth=0, interpolate=False, autoLog=False)
        patch.size, patch.pos = (box.width, box.height), box.centre(self.size_px)
        return patch

    def _draw_patch(self) -> None:
        if self._patch is not None:
            self._patch.setFillColor((WHITE if self._lit else BLACK,) * 3, colorSpace="rgb255")
            self._patch.draw()

    def _sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the window's size in the system's pixels, and that of the buffer it is drawn to."""
        width, height = self.window.winHandle.get_size()
        return (int(width), int(height)), self.size_px

    def _sizes_in_words(self) -> str:
        degree_px = self._monitor.px(1, self.size_px[0])
        return (
            f"screen {self.size_px[0]} x {self.size_px[1]} at {self.refresh_hz:.2f} Hz, 1 deg = {degree_px:.1f} pixels"
        )
