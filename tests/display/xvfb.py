"""A screen that nobody sees, for tests that open real windows: Xvfb, on whatever display number is free."""

import atexit
import os
import shutil
import subprocess
import sys
import warnings
from functools import cache
from importlib.util import find_spec

import pytest

SIZE = "1280x1024x24"


def why_not() -> str:
    """Return why no real window can be opened here, "" if one can."""
    if find_spec("psychopy") is None:
        return "needs PsychoPy: pip install 'xdream[client]'"
    if sys.platform != "linux" or shutil.which("Xvfb") is None:
        return "needs Xvfb: apt install xvfb libglu1-mesa libgl1-mesa-dri libglx-mesa0"
    return ""


needs_a_window = pytest.mark.skipif(bool(why_not()), reason=why_not() or "-")


@cache
def open_screen() -> str:
    """Start Xvfb for this process and the ones it starts, once; return its display, such as ":99"."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", SIZE, "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(writing,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as number:  # it writes the number when it is ready
        display = f":{number.readline().strip()}"
    atexit.register(_end, server)
    os.environ["DISPLAY"] = display
    with warnings.catch_warnings():
        # PsychoPy's own imports warn of what they will have to change one day; nothing else is let through here.
        warnings.simplefilter("ignore")
        import stimulus_client.psychopy_display  # noqa: F401
    return display


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.terminate()
    server.wait()
