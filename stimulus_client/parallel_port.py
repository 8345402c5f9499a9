"""Markers through a parallel port: eight data lines that carry a presentation's code for five milliseconds.

On Linux the port is a file (`/dev/parport0`; be in the group `lp`); on Windows an address (such as 0x3FF8, from the
device manager), reached through InpOut32's driver, inpoutx64.dll.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

from stimulus_client.markers import PULSE_S, code
from stimulus_client.serial_port import PortError

CLAIM, RELEASE, WRITE_DATA = 0x708B, 0x708C, 0x40017086
"""Requests of the Linux kernel's ppdev: PPCLAIM, PPRELEASE, PPWDATA."""


class ParallelMarkers:
    """Puts a code on the data lines at each onset, and takes it off again. `open` returns (write, close)."""

    name = "parallel"

    def __init__(
        self,
        port: str = "/dev/parport0",
        open: "Callable[[str], tuple[Callable[[int], None], Callable[[], None]]] | None" = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.output = port
        self._sleep = sleep
        opener = open or (_open_windows if sys.platform == "win32" else _open_linux)
        try:
            self._write, self._close = opener(port)
        except (OSError, ValueError) as wrong:
            raise PortError(f"the parallel port {port!r} cannot be opened: {wrong}.") from wrong
        self._write(0)

    def send(self, presentation_id: int) -> None:
        """Put the code on the lines for 5 ms."""
        try:
            self._write(code(presentation_id))
            self._sleep(PULSE_S)
        finally:
            self._write(0)

    def close(self) -> None:
        """Take the lines down and let the port go."""
        self._write(0)
        self._close()


def _open_linux(port: str) -> tuple[Callable[[int], None], Callable[[], None]]:
    import fcntl
    import os

    file = os.open(port, os.O_RDWR)
    try:
        fcntl.ioctl(file, CLAIM)
    except OSError:
        os.close(file)
        raise

    def close() -> None:
        fcntl.ioctl(file, RELEASE)
        os.close(file)

    return lambda byte: _write_linux(fcntl.ioctl, file, byte), close


def _write_linux(ioctl: Callable[..., Any], file: int, byte: int) -> None:
    ioctl(file, WRITE_DATA, bytes([byte]))


def _open_windows(port: str) -> tuple[Callable[[int], None], Callable[[], None]]:
    import ctypes

    library: Any = ctypes.WinDLL("inpoutx64.dll")  # type: ignore[attr-defined,unused-ignore]
    address = int(port, 0)
    return lambda byte: library.Out32(address, byte), lambda: None
