"""Parts by name: what comes of right names, and the sentences for wrong ones."""

from fractions import Fraction

import pytest

from protocol.plugins import PluginError, find, nearest
from protocol.plugins import create as create_part
from server.generators import GeneratorError, create

PARTS = {"fraction": "fractions:Fraction", "gone": "no_such_module:Part", "counter": "collections:Counter"}


def test_a_name_or_a_path_leads_to_a_class() -> None:
    assert find("number", "fraction", PARTS) is Fraction
    assert find("number", "fractions:Fraction", {}) is Fraction
    assert create_part("number", "fraction", PARTS, 6, denominator=4) == Fraction(3, 2)


def test_a_wrong_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(PluginError) as caught:
        find("number", "Fracton", PARTS)
    assert str(caught.value) == (
        "no number named 'Fracton'. Did you mean 'fraction'? Known: fraction, gone, counter. "
        "A class of your own is written package.module:Class."
    )


@pytest.mark.parametrize(
    "path", ["gone", "no_such_module:Part", "fractions:Fractoin", ":Part", "fractions:", "..x:Part"]
)
def test_what_cannot_be_imported_is_named(path: str) -> None:
    with pytest.raises(PluginError, match="cannot be imported: "):
        find("number", path, PARTS)


def test_a_wrong_parameter_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(PluginError, match=r"number 'fraction': no parameter 'denom'.* Known: numerator, denominator"):
        create_part("number", "fraction", PARTS, denom=4)
    with pytest.raises(GeneratorError, match=r"no parameter 'sise'\. Did you mean 'size'?"):
        create("raw_pixel", sise=64)


def test_a_missing_parameter_is_named_and_what_to_type() -> None:
    parts = {"path": "protocol.plugins:find"}
    for kind, how in (
        ("part", "write name = ..., table = ... in its table of the configuration"),
        ("source", "add -o name=... -o table=..."),
        ("gaze source", "write path,name=...,table=..."),
    ):
        with pytest.raises(PluginError) as caught:
            create_part(kind, "path", parts, "given")
        assert str(caught.value) == f"{kind} 'path' needs name and table: {how}"


def test_a_part_with_free_parameters_takes_any() -> None:
    assert create_part("part", "counter", PARTS, a=2) == {"a": 2}


def test_nothing_is_suggested_that_is_not_near() -> None:
    assert nearest("xyz", PARTS) == ""
