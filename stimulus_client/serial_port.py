"""Markers and reward through a serial port: a microcontroller, a trigger box, or a bare control line."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from stimulus_client.markers import PULSE_S, code

Open = Callable[[str, int], Any]
WRITE_TIMEOUT_S = 0.1


class PortError(OSError):
    """A port cannot be opened; the text says which, and what to look at."""


def open_serial(port: str, baud: int) -> Any:
    """Return an open serial port, its control lines low."""
    try:
        import serial
    except ImportError as missing:
        raise PortError("a serial port needs pyserial: pip install 'xdream[client]'") from missing
    try:
        opened = serial.Serial(baudrate=baud, timeout=0, write_timeout=WRITE_TIMEOUT_S)
        opened.rts = opened.dtr = False
        opened.port = port
        opened.open()
    except (OSError, ValueError) as wrong:
        raise PortError(f"the serial port {port!r} cannot be opened: {wrong}. Is it plugged in, and free?") from wrong
    return opened


class SerialMarkers:
    """Ids as lines of text for a microcontroller (`format` "line"), or as one byte for a trigger box ("byte")."""

    name = "serial"

    def __init__(self, port: str, baud: int = 115200, format: str = "line", open: Open = open_serial) -> None:
        if format not in ("line", "byte"):
            raise PortError(f'format must be "line" or "byte", got {format!r}')
        self.output = port
        self._bytes = format == "byte"
        self._port = open(port, baud)

    def send(self, presentation_id: int) -> None:
        """Write the id; as a byte, return the lines to 0 after 5 ms."""
        if not self._bytes:
            self._port.write(b"%d\n" % presentation_id)
            return
        self._port.write(bytes([code(presentation_id)]))
        time.sleep(PULSE_S)
        self._port.write(b"\0")

    def close(self) -> None:
        """Let the port go."""
        self._port.close()


class SerialReward:
    """Asks a microcontroller for a pulse with a line such as "R 150", in ms: it opens the valve and closes it."""

    name = "serial"

    def __init__(self, port: str, baud: int = 115200, open: Open = open_serial) -> None:
        self.output = port
        self._port = open(port, baud)

    def pulse(self, duration_s: float) -> None:
        """Write one line."""
        self._port.write(b"R %d\n" % round(1000 * duration_s))

    def close(self) -> None:
        """Ask for the valve to be closed, and let the port go."""
        with suppress(OSError):
            self._port.write(b"R 0\n")
        self._port.close()


class TtlReward:
    """Raises a control line (`rts` or `dtr`) of a serial port for the length of a pulse.

    The line goes to a hardware one-shot, which limits how long the valve is open; it falls when the port is closed,
    also by the end of this process.
    """

    name = "ttl"

    def __init__(
        self,
        port: str,
        line: str = "rts",
        open: Open = open_serial,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if line not in ("rts", "dtr"):
            raise PortError(f'line must be "rts" or "dtr", got {line!r}')
        self.output = port
        self._line, self._sleep = line, sleep
        self._port = open(port, 9600)
        setattr(self._port, line, False)

    def pulse(self, duration_s: float) -> None:
        """Raise the line, wait, and lower it whatever happens."""
        try:
            setattr(self._port, self._line, True)
            self._sleep(duration_s)
        finally:
            setattr(self._port, self._line, False)

    def close(self) -> None:
        """Lower the line and let the port go."""
        with suppress(OSError):
            setattr(self._port, self._line, False)
        self._port.close()
