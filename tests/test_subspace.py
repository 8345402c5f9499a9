"""A search that a configuration confines to the directions in a file."""

from pathlib import Path

import pytest

from server.build import build_evolutions
from server.config import ConfigError, parse_config
from server.generators.embedded import Embedded
from server.generators.hessian import Axes, axes_of, save

CONFIG = """
session = { name = "s1" }

[evolution]
channels = ["1"]
optimizer = { name = "sphere_mirror", subspace = "%s" }
"""


def test_the_search_stays_in_the_subspace_that_the_file_holds(tmp_path: Path) -> None:
    file = tmp_path / "axes.npz"
    axes = axes_of(Embedded(), 6, 12, keep=file)

    [evolution] = build_evolutions(parse_config(CONFIG % file, "test.toml"))

    codes = evolution.optimizer.ask()
    assert codes == pytest.approx(codes @ axes.directions.T @ axes.directions, abs=1e-4)


def test_axes_of_other_weights_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "axes.npz"
    made = axes_of(Embedded(), 2, 4)
    save(Axes(made.directions, made.strengths, "0" * 64), file)

    with pytest.raises(ConfigError, match=r"evolution .*, \[evolution.optimizer\]: .*make them again"):
        build_evolutions(parse_config(CONFIG % file, "test.toml"))
    with pytest.raises(ConfigError, match="there is no file"):
        build_evolutions(parse_config(CONFIG % (tmp_path / "absent.npz"), "test.toml"))
