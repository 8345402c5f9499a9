"""Which version of the program this is, for the record and for people who compare two machines."""

import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def software() -> str:
    """Return "xdream VERSION", with the git commit where it runs from a clone."""
    asked = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        commit = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = ""
    return f"xdream {version('xdream')}" + (f" ({commit})" if commit else "")
