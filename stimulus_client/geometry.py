"""The screen as its subject sees it: degrees to pixels, places of pictures and patch, and grey levels made linear."""

from dataclasses import dataclass
from datetime import date
from math import atan, degrees, radians, tan
from typing import Any

import numpy as np
from numpy.typing import NDArray


class GeometryError(ValueError):
    """Settings of the screen that cannot be; the text says which and what would do."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on screen, in pixels from its upper left corner."""

    left: int
    top: int
    width: int
    height: int

    def centre(self, screen_px: tuple[int, int]) -> tuple[float, float]:
        """Return its centre seen from the centre of a screen of [width, height], right and up."""
        return self.left + self.width / 2 - screen_px[0] / 2, screen_px[1] / 2 - self.top - self.height / 2


@dataclass(frozen=True, slots=True)
class Monitor:
    """A flat screen, looked at square on."""

    width_cm: float
    distance_cm: float
    width_px: int
    """As the settings say; 0 = as it is."""
    height_px: int
    refresh_hz: float
    """As the settings say; 0 = as it is."""

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Monitor":
        """Return the monitor that the display's settings describe; raise GeometryError for an impossible one."""
        given = settings.get("monitor", {})
        monitor = cls(
            float(given.get("width_cm", 52.0)),
            float(given.get("distance_cm", 57.0)),
            int(given.get("width_px", 0)),
            int(given.get("height_px", 0)),
            float(given.get("refresh_hz", 0.0)),
        )
        if monitor.width_cm <= 0 or monitor.distance_cm <= 0:
            raise GeometryError(f"[display.monitor]: width_cm and distance_cm must be above 0, got {given}.")
        return monitor

    def px(self, deg: float, screen_width_px: int) -> float:
        """Return how many pixels from the point straight ahead a direction is."""
        return self.distance_cm * tan(radians(deg)) * screen_width_px / self.width_cm

    def deg(self, px: float, screen_width_px: int) -> float:
        """Return the direction of a point so many pixels from the point straight ahead."""
        return degrees(atan(px * self.width_cm / screen_width_px / self.distance_cm))

    def box(self, settings: dict[str, Any], image_px: tuple[int, int], screen_px: tuple[int, int]) -> Box:
        """Return where an image of [width, height] goes, on whole pixels; raise GeometryError if it does not fit."""
        size_deg, x_deg, y_deg = (float(settings.get(n, d)) for n, d in (("size_deg", 3), ("x_deg", 0), ("y_deg", 0)))
        width = round(2 * self.px(size_deg / 2, screen_px[0]))
        height = round(width * image_px[1] / image_px[0])
        left = round(screen_px[0] / 2 + self.px(x_deg, screen_px[0]) - width / 2)
        top = round(screen_px[1] / 2 - self.px(y_deg, screen_px[0]) - height / 2)
        fits = left >= 0 and top >= 0 and left + width <= screen_px[0] and top + height <= screen_px[1]
        if not (fits and width and height):
            raise GeometryError(
                f"an image of {size_deg:g} deg at ({x_deg:g}, {y_deg:g}) deg would cover {width} x {height} pixels at "
                f"({left}, {top}) of a screen of {screen_px[0]} x {screen_px[1]}: "
                "change size_deg, x_deg or y_deg in [display], or width_cm or distance_cm in [display.monitor]."
            )
        return Box(left, top, width, height)


def patch_box(settings: dict[str, Any], monitor: Monitor, screen_px: tuple[int, int]) -> Box | None:
    """Return where the photodiode's patch is: in a corner such as "lower_left", or nowhere."""
    table = settings.get("photodiode", {})
    corner = str(table.get("corner", ""))
    if not corner:
        return None
    if corner not in {f"{row}_{column}" for row in ("upper", "lower") for column in ("left", "right")}:
        raise GeometryError(f"[display.photodiode], corner: no corner {corner!r}; one is written lower_left.")
    side = round(float(table.get("size_cm", 1.5)) * screen_px[0] / monitor.width_cm)
    left = 0 if corner.endswith("left") else screen_px[0] - side
    return Box(left, 0 if corner.startswith("upper") else screen_px[1] - side, side, side)


def check_apart(image: Box, patch: Box | None) -> None:
    """Raise GeometryError if the photodiode's patch would stand on the images, and spoil them."""
    if patch is None:
        return
    across = image.left < patch.left + patch.width and patch.left < image.left + image.width
    down = image.top < patch.top + patch.height and patch.top < image.top + image.height
    if across and down:
        raise GeometryError(
            "the photodiode's corner would cover a part of the images: "
            "change corner or size_cm in [display.photodiode], or size_deg, x_deg or y_deg in [display]."
        )


def levels(settings: dict[str, Any]) -> NDArray[np.uint8]:
    """Return [256] what is sent to the screen for each grey level, so that its light grows in proportion.

    `gamma` is the exponent that was measured, 1 for a screen that is to be left as it is; `gamma_table`, 256
    levels, takes its place.
    """
    given = settings.get("monitor", {})
    table = np.asarray(given.get("gamma_table", ()), np.float64)
    if table.size:
        if table.shape != (256,) or table.min() < 0 or table.max() > 255:
            raise GeometryError("[display.monitor], gamma_table: must be 256 levels from 0 to 255.")
        return np.rint(table).astype(np.uint8)
    gamma = float(given.get("gamma", 1.0))
    if not 0.2 <= gamma <= 5:
        raise GeometryError(f"[display.monitor], gamma: a screen's lies in 0.2 to 5, got {gamma:g}.")
    return np.rint(255 * (np.arange(256) / 255) ** (1 / gamma)).astype(np.uint8)


def about_gamma(settings: dict[str, Any], today: date) -> str:
    """Say how the grey levels are corrected, and how old the measurement is that it rests on."""
    given = settings.get("monitor", {})
    if not len(given.get("gamma_table", ())) and float(given.get("gamma", 1.0)) == 1.0:
        return "grey levels are sent as they are (gamma = 1 in [display.monitor])"
    how = "a table" if len(given.get("gamma_table", ())) else f"gamma {float(given['gamma']):.2f}"
    measured = str(given.get("gamma_measured", ""))
    if not measured:
        return f"grey levels are corrected by {how}, measured nobody knows when: gamma_measured is missing"
    try:
        age_days = (today - date.fromisoformat(measured)).days
    except ValueError:
        raise GeometryError(f"[display.monitor], gamma_measured: a date is 2026-01-31, got {measured!r}.") from None
    return f"grey levels are corrected by {how}, measured {age_days} days ago"
