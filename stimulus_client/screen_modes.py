"""What can be found out about a screen that would spoil its timing or its pixels: scaling, a compositor, no sync.

What the graphics driver, a scaler in the monitor or its own image processing do cannot be seen from here: that is
what the photodiode is for.
"""

import ctypes
import ctypes.util
import os
import sys
from typing import Any

from stimulus_client.geometry import Monitor


def problems(monitor: Monitor, window_px: tuple[int, int], drawn_px: tuple[int, int], measured_hz: float) -> list[str]:
    """Return what is wrong with a full screen, a sentence each; nothing if nothing was found.

    `window_px` is the size in the system's pixels, `drawn_px` that of the buffer that is drawn to.
    """
    found = []
    if window_px != drawn_px:
        found.append(
            f"the system scales the screen: {_by(window_px)} pixels stand for {_by(drawn_px)}; set it to 100 %"
        )
    wanted_px = (monitor.width_px, monitor.height_px)
    if all(wanted_px) and wanted_px != drawn_px:
        found.append(
            f"the screen has {_by(drawn_px)} pixels, [display.monitor] says {_by(wanted_px)}; change one of them"
        )
    if monitor.refresh_hz and abs(measured_hz / monitor.refresh_hz - 1) > 0.02:
        found.append(
            f"the screen refreshes at {measured_hz:.2f} Hz, [display.monitor] says {monitor.refresh_hz:g} Hz; "
            "set one of them right, and vertical sync on"
        )
    if compositor := composited():
        found.append(f"{compositor} draws the screen, so flips are not the screen's; turn it off for the session")
    if scaling := scaled_percent():
        found.append(f"the system's display scaling is {scaling} %; set it to 100 %")
    return found


def composited() -> str:
    """Return what puts windows together before the screen shows them, "" if nothing is known to."""
    if sys.platform == "win32" or sys.platform == "darwin":
        return ""  # Windows leaves a full screen alone; what macOS does cannot be found out
    if os.environ.get("XDG_SESSION_TYPE") == "wayland" or os.environ.get("WAYLAND_DISPLAY"):
        return "Wayland"
    return "a compositor" if _x11_compositor() else ""


def scaled_percent() -> int:
    """Return the scaling of Windows if it is not 100 %, else 0."""
    if sys.platform != "win32":
        return 0
    percent = round(ctypes.windll.user32.GetDpiForSystem() / 96 * 100)  # type: ignore[attr-defined,unused-ignore]
    return 0 if percent == 100 else percent


def _x11_compositor() -> bool:
    """Whether somebody owns the selection that compositing managers take, _NET_WM_CM_S0."""
    name = ctypes.util.find_library("X11")
    if name is None:
        return False
    x11: Any = ctypes.CDLL(name)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = x11.XGetSelectionOwner.restype = ctypes.c_ulong
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not display:
        return False
    try:
        atom = x11.XInternAtom(display, b"_NET_WM_CM_S0", 0)
        return bool(x11.XGetSelectionOwner(display, ctypes.c_ulong(atom)))
    finally:
        x11.XCloseDisplay(display)


def _by(size_px: tuple[int, int]) -> str:
    return f"{size_px[0]} x {size_px[1]}"
