"""A real window: what stands in its back buffer before a flip is, pixel by pixel, what was sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from stimulus_client.geometry import Box, Monitor, levels, patch_box
from stimulus_client.screen_modes import composited
from tests.display.xvfb import needs_a_window, open_screen

pytestmark = needs_a_window
N_PRESENTATIONS = 10_000
N_IMAGES, N_REPEATS = 50, 4
"""Of a generation, whose images are loaded together, shown, and forgotten together."""
GROWTH_MB = 5.0
"""Textures that are not given back, or the stimuli that hold them, would come to ten times that."""
MONITOR = {"width_cm": 30.0, "distance_cm": 57.0}
PLACES = [(0.0, 0.0), (5.0, 3.0), (-4.3, 2.1), (3.7, -2.9)]


@contextmanager
def a_window(size_px: tuple[int, int]) -> Iterator[Any]:
    open_screen()
    from stimulus_client.psychopy_display import PsychoPyDisplay

    display = PsychoPyDisplay(fast=True, size_px=size_px, today=lambda: date(2026, 3, 2))
    yield display
    display.close()


@pytest.fixture(scope="module")
def display() -> Iterator[Any]:
    with a_window((800, 600)) as display:
        yield display


def noise(box: Box, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (box.height, box.width, 3), np.uint8)


def where(display: Any, settings: dict[str, Any], image_px: tuple[int, int] = (1, 1)) -> Box:
    return Monitor.of(settings).box(settings, image_px, display.size_px)


def cut(frame: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    return frame[box.top : box.top + box.height, box.left : box.left + box.width]


@pytest.mark.parametrize(("x_deg", "y_deg"), PLACES)
@pytest.mark.parametrize("size_deg", [3.0, 4.02])
def test_an_image_is_on_screen_pixel_by_pixel_and_upright(
    display: Any, x_deg: float, y_deg: float, size_deg: float
) -> None:
    settings = {"size_deg": size_deg, "x_deg": x_deg, "y_deg": y_deg, "background": 77, "monitor": MONITOR}
    display.configure(settings)
    box = where(display, settings)
    image = noise(box)
    display.load(1, image)
    display.draw(1)
    frame = display.frame()
    assert np.array_equal(cut(frame, box), image)
    # Nothing else is on screen, and x is to the right, y up.
    cut(frame, box)[:] = 77
    assert (frame == 77).all()
    middle = (box.left + box.width / 2 - display.size_px[0] / 2, display.size_px[1] / 2 - box.top - box.height / 2)
    assert np.sign(np.round(middle)).tolist() == np.sign([x_deg, y_deg]).tolist()


def test_an_image_of_another_size_is_resampled_once_and_shown_as_that(display: Any) -> None:
    settings = {"size_deg": 6.0, "x_deg": 4.0, "monitor": MONITOR}
    display.configure(settings)
    image = np.random.default_rng(3).integers(0, 256, (48, 64, 3), np.uint8)
    box = where(display, settings, (64, 48))
    assert box.height == round(box.width * 48 / 64)
    display.load(1, image)
    display.draw(1)
    wanted = Image.fromarray(image).resize((box.width, box.height), Image.Resampling.LANCZOS)
    assert np.array_equal(cut(display.frame(), box), np.array(wanted))


def test_an_image_in_the_place_of_one_that_is_gone_shows_nothing_of_it(display: Any) -> None:
    settings = {"size_deg": 3.0, "x_deg": 5.0, "monitor": MONITOR}
    display.configure(settings)
    box = where(display, settings)
    for seed in range(5):
        display.load(seed, noise(box, seed))
        display.draw(seed)
        assert np.array_equal(cut(display.frame(), box), noise(box, seed))
        display.forget([seed])


def test_grey_levels_are_made_linear(display: Any, caplog: pytest.LogCaptureFixture) -> None:
    monitor = {**MONITOR, "gamma": 2.2, "gamma_measured": "2026-02-01"}
    settings = {"size_deg": 3.0, "x_deg": 5.0, "background": 128, "monitor": monitor}
    with caplog.at_level("INFO"):
        display.configure(settings)
    assert "gamma 2.20, measured 29 days ago" in caplog.text
    box = where(display, settings)
    display.load(1, noise(box))
    display.draw(1)
    frame = display.frame()
    assert np.array_equal(cut(frame, box), levels(settings)[noise(box)])
    assert frame[0, 0].tolist() == [186] * 3


@pytest.mark.parametrize("corner", ["lower_left", "upper_right"])
def test_the_photodiode_corner_is_white_or_black(display: Any, corner: str) -> None:
    settings = {"photodiode": {"corner": corner, "size_cm": 1.5}, "monitor": MONITOR}
    display.configure(settings)
    box = patch_box(settings, Monitor.of(settings), display.size_px)
    assert box is not None
    for lit in (True, False):
        display.draw(None, patch=lit)
        frame = display.frame()
        assert (cut(frame, box) == (255 if lit else 0)).all()
        assert (frame != 128).any(axis=2).sum() == box.width * box.height
        display.flip(None, patch=lit)


def test_the_fixation_point_is_a_square_in_the_middle(display: Any) -> None:
    display.configure({"fixation_size_deg": 0.3, "monitor": MONITOR})
    display.draw(None, fixation=True)
    rows, columns = np.nonzero((display.frame() == 255).all(axis=2))
    assert (rows.min() + rows.max() + 1, columns.min() + columns.max() + 1) == display.size_px[::-1]
    assert np.ptp(rows) == np.ptp(columns) == 7


def test_words_are_gone_with_the_next_flip(display: Any) -> None:
    display.configure({"monitor": MONITOR})
    display.tell("alarm", "suspended: the adapter has fallen silent")
    display.flip(None)
    display.draw(None)
    assert (display.frame() == 128).all()


def test_keys_that_are_pressed_are_read_once(display: Any) -> None:
    from psychopy import event

    for key in ("SPACE", "ESCAPE", "Q", "R"):
        event._onPygletKey(getattr(event.pyglet.window.key, key), 0)
    assert display.pressed() == ["space", "escape", "q", "r"]
    assert display.pressed() == []


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def test_ten_thousand_presentations_take_no_more_memory_than_a_few() -> None:
    settings = {"size_deg": 10.0, "monitor": MONITOR}
    resident = []
    with a_window((96, 64)) as display:  # small, for a processor does what on a rig the graphics card does
        display.configure(settings)
        images = [noise(where(display, settings), seed) for seed in range(N_IMAGES)]
        for generation in range(N_PRESENTATIONS // N_IMAGES // N_REPEATS):
            ids = range(generation * N_IMAGES, (generation + 1) * N_IMAGES)
            for stimulus_id, image in zip(ids, images, strict=True):
                display.load(stimulus_id, image)
            for stimulus_id in [*ids] * N_REPEATS:
                display.flip(stimulus_id, fixation=True)
            display.forget(ids)
            resident.append(resident_mb())
        assert len(display._spare) == N_IMAGES
    assert resident[-1] - resident[len(resident) // 10] < GROWTH_MB


@pytest.mark.parametrize("screen", [1, 7])
def test_a_screen_that_is_not_there_is_not_replaced_by_another(screen: int) -> None:
    open_screen()
    from stimulus_client.psychopy_display import PsychoPyDisplay, ScreenError

    with pytest.raises(ScreenError, match=f"no screen {screen}: the system has 1"):
        PsychoPyDisplay(screen=screen, windowed=True)


def test_a_full_screen_that_keeps_no_time_is_refused() -> None:
    open_screen()
    from stimulus_client.psychopy_display import PsychoPyDisplay, ScreenError

    display = PsychoPyDisplay()
    try:
        assert display.size_px == (1280, 1024)
        display._synced = False  # as it is here, but on some days Xvfb is steady
        with pytest.raises(ScreenError, match=r"turn vertical sync on.*--windowed rehearses"):
            display.configure({})
    finally:
        display.close()


def test_a_window_that_is_given_another_pace_goes_on_from_this_moment() -> None:
    open_screen()
    from stimulus_client.psychopy_display import PsychoPyDisplay

    now_s, slept_s = [20_000.0], list[float]()

    def clock() -> float:
        now_s[0] += 1e-4  # no refresh of any screen: nothing here waits for one
        return now_s[0]

    def sleep(duration_s: float) -> None:
        slept_s.append(duration_s)
        now_s[0] += duration_s

    display = PsychoPyDisplay(windowed=True, clock=clock, sleep=sleep)
    try:
        display.tell("alarm", "no word from the server")
        for refresh_hz in (59.94, 50.0, 120.0, 30.0):
            slept_s.clear()
            display.configure({"monitor": {"refresh_hz": refresh_hz}})
            times_s = [display.flip(None) for _ in range(5)]
            assert np.diff(times_s) == pytest.approx(1 / refresh_hz, rel=0.1)
            assert max(slept_s) <= 2 / refresh_hz
    finally:
        display.close()


def test_a_compositor_is_noticed() -> None:
    open_screen()
    assert composited() == ""
    connection = pytest.importorskip("Xlib.display").Display()
    owner = connection.screen().root.create_window(0, 0, 1, 1, 0, connection.screen().root_depth)
    owner.set_selection_owner(connection.get_atom("_NET_WM_CM_S0"), 0)
    connection.sync()
    assert composited() == "a compositor"
    connection.close()
    assert composited() == ""
