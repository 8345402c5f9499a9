"""What is installed is what was tested: every dependency has its version in constraints.txt."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    named = [re.match(r"[A-Za-z0-9._-]+", each) for each in wanted]
    lines = [line for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert {name[0].lower() for name in named if name} <= pinned
    assert all("==" in line for line in lines if line), "a constraint is a version, not a range"
