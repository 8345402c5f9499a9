"""The page on generators names what there is."""

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from protocol import plugins
from server.generators import GENERATORS
from server.generators.deepsim_networks import VARIANTS
from server.generators.shaping import SHAPE
from server.initial_codes import INITIAL_CODES

PAGE = (Path(__file__).parent.parent / "docs" / "generators.md").read_text("utf-8")


def test_every_generator_parameter_and_kind_of_beginning_is_on_the_page() -> None:
    own = [name for part in GENERATORS.values() for name in inspect.signature(plugins.load(part)).parameters]
    for name in (*GENERATORS, *SHAPE, *INITIAL_CODES, *own):
        assert f"`{name}`" in PAGE, name


@pytest.mark.parametrize("name", VARIANTS)
def test_the_codes_on_the_page_are_those_of_the_networks(name: str) -> None:
    variant = VARIANTS[name]
    [row] = [row for row in PAGE.splitlines() if row.startswith("|") and f"`{name}`" in row]
    assert row.split("|")[2].strip() == " × ".join(map(str, variant.code_shape))
    assert f"{variant.code_rms} ({name.removeprefix('deepsim-').removesuffix('-places')})" in PAGE


@pytest.mark.parametrize("example", re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
def test_the_examples_on_the_page_hold_parameters_that_there_are(example: str) -> None:
    [part] = tomllib.loads(example)["evolution"].values()
    known = inspect.signature(plugins.find("generator", part.pop("name"), GENERATORS)).parameters
    assert part.keys() <= {*known, *SHAPE}
