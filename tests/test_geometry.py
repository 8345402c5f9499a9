"""Degrees to pixels, grey levels to light, and what is found out about a screen."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from stimulus_client import screen_modes
from stimulus_client.geometry import Box, GeometryError, Monitor, about_gamma, check_apart, levels, patch_box

SCREEN_PX = (1920, 1080)
MONITOR = Monitor.of({"monitor": {"width_cm": 53.0, "distance_cm": 57.3}})
TODAY = date(2026, 11, 23)


def test_a_degree_at_57_cm_is_a_centimetre() -> None:
    assert MONITOR.px(1.0, 1920) == pytest.approx(1920 / 53, rel=0.001)
    for deg in (-20.0, 0.0, 0.3, 15.0):
        assert MONITOR.deg(MONITOR.px(deg, 1920), 1920) == pytest.approx(deg)


def test_an_image_is_centred_where_it_should_be_to_half_a_pixel() -> None:
    for x_deg, y_deg in ((0.0, 0.0), (3.0, -2.0), (-7.5, 4.2)):
        box = MONITOR.box({"size_deg": 3.1, "x_deg": x_deg, "y_deg": y_deg}, (1, 1), SCREEN_PX)
        x_px, y_px = box.centre(SCREEN_PX)
        assert x_px == pytest.approx(MONITOR.px(x_deg, 1920), abs=0.5)
        assert y_px == pytest.approx(MONITOR.px(y_deg, 1920), abs=0.5)
        assert box.width == round(2 * MONITOR.px(1.55, 1920))


def test_what_does_not_fit_on_the_screen_is_refused_with_its_place() -> None:
    with pytest.raises(GeometryError, match=r"image of 3 deg at \(26, 0\) deg would cover 109 x 109 pixels"):
        MONITOR.box({"size_deg": 3, "x_deg": 26}, (1, 1), SCREEN_PX)


@pytest.mark.parametrize(("x_deg", "fits"), [(0.0, True), (-20.0, False)])
def test_a_patch_that_would_stand_on_the_images_is_refused(x_deg: float, fits: bool) -> None:
    settings = {"size_deg": 8.0, "x_deg": x_deg, "y_deg": -10.0, "photodiode": {"corner": "lower_left", "size_cm": 4.0}}
    boxes = MONITOR.box(settings, (1, 1), SCREEN_PX), patch_box(settings, MONITOR, SCREEN_PX)
    if fits:
        check_apart(*boxes)
    else:
        with pytest.raises(GeometryError, match="would cover a part of the images"):
            check_apart(*boxes)


def test_patches_stand_in_their_corners() -> None:
    table: dict[str, Any] = {"size_cm": 53 / 1920 * 40}
    boxes = {
        corner: patch_box({"photodiode": {**table, "corner": corner}}, MONITOR, SCREEN_PX)
        for corner in ("upper_left", "lower_right", "")
    }
    assert boxes == {"upper_left": Box(0, 0, 40, 40), "lower_right": Box(1880, 1040, 40, 40), "": None}
    with pytest.raises(GeometryError, match="no corner 'top'"):
        patch_box({"photodiode": {"corner": "top"}}, MONITOR, SCREEN_PX)


def test_light_grows_in_proportion_to_the_grey_level() -> None:
    sent = levels({"monitor": {"gamma": 2.2}})
    np.testing.assert_allclose((sent / 255) ** 2.2, np.arange(256) / 255, atol=0.005)
    assert np.array_equal(levels({}), np.arange(256))
    assert np.array_equal(levels({"monitor": {"gamma_table": list(range(255, -1, -1))}}), np.arange(255, -1, -1))


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ({}, "sent as they are"),
        ({"gamma": 2.0, "gamma_measured": "2026-11-03"}, "gamma 2.00, measured 20 days ago"),
        ({"gamma_table": [0.0] * 256}, "a table, measured nobody knows when"),
    ],
)
def test_the_age_of_the_calibration_is_said(monitor: dict[str, Any], said: str) -> None:
    assert said in about_gamma({"monitor": monitor}, TODAY)


@pytest.mark.parametrize(
    "monitor", [{"width_cm": 0}, {"gamma": 0.0}, {"gamma_table": [1.0]}, {"gamma": 2, "gamma_measured": "May"}]
)
def test_an_impossible_screen_is_refused_in_a_sentence(monitor: dict[str, Any]) -> None:
    settings = {"monitor": monitor}
    with pytest.raises(GeometryError, match=r"^\[display.monitor\]"):
        Monitor.of(settings)
        levels(settings)
        about_gamma(settings, TODAY)


def test_a_screen_that_is_not_as_it_should_be_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Monitor.of({"monitor": {"width_px": 1920, "height_px": 1080, "refresh_hz": 120}})
    monkeypatch.setattr(screen_modes, "composited", lambda: "")
    assert screen_modes.problems(wanted, SCREEN_PX, SCREEN_PX, 119.9) == []
    monkeypatch.setattr(screen_modes, "composited", lambda: "Wayland")
    monkeypatch.setattr(screen_modes, "scaled_percent", lambda: 125)
    found = screen_modes.problems(wanted, (1280, 720), (2560, 1440), 60.0)
    for said in (
        "1280 x 720 pixels stand for 2560 x 1440",
        "has 2560 x 1440 pixels, [display.monitor] says 1920 x 1080",
        "refreshes at 60.00 Hz, [display.monitor] says 120 Hz",
        "Wayland draws the screen",
        "scaling is 125 %",
    ):
        assert any(said in each for each in found)
    assert len(found) == 5
