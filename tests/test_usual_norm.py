"""How long the codes of a session are that says nothing of it: as long as its generator's usual codes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.build import build_evolutions
from server.config import ConfigError, parse_config
from server.evolution import Evolution
from server.generators import create as create_generator
from server.generators.contrast import rms_contrast
from server.generators.deepsim_networks import VARIANTS
from server.optimizers import create
from tests.small_networks import a_file, thin_all

RAW_PIXEL = {"name": "raw_pixel", "size": 16}
WHOLE = {"name": "torch_module", "module": "tests.small_networks:one_code", "code_shape": [10], "device": "cpu"}
PER_ROOT_GENE = 300 / 64


def an_evolution(generator: dict[str, Any], optimizer: dict[str, Any]) -> Evolution:
    tables = "\n".join(
        f"[evolution.{part}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        for part, table in (("generator", generator), ("optimizer", optimizer))
    )
    config = f'session = {{ name = "s1" }}\n[evolution]\nchannels = ["1"]\n{tables}\n'
    [evolution] = build_evolutions(parse_config(config, "test.toml"))
    return evolution


def norm_of(evolution: Evolution) -> float:
    codes = evolution.optimizer.ask()
    norms = np.linalg.norm(codes.reshape(len(codes), -1), axis=1)
    np.testing.assert_allclose(norms, norms[0], rtol=1e-5)
    return float(norms[0])


@pytest.mark.parametrize("search", ["sphere", "sphere_mirror"])
def test_codes_are_as_long_as_the_generators_usual_ones(search: str) -> None:
    def norm(generator: dict[str, Any], **parameters: float) -> float:
        return norm_of(an_evolution(generator, {"name": search, **parameters}))

    assert norm({"name": "embedded"}) == pytest.approx(75)
    assert norm(RAW_PIXEL) == pytest.approx(np.sqrt(16 * 16 * 3), rel=1e-4)
    assert norm(RAW_PIXEL | {"code_range": 100.0}) == pytest.approx(100 * np.sqrt(16 * 16 * 3), rel=1e-4)
    assert norm(RAW_PIXEL | {"grey": True, "aperture": "circle"}) == pytest.approx(norm(RAW_PIXEL))
    assert norm(WHOLE) == pytest.approx(np.sqrt(10), rel=1e-3)
    assert norm(WHOLE | {"code_rms": 0.4}) == pytest.approx(0.4 * np.sqrt(10), rel=1e-3)
    assert norm(WHOLE, norm=7.0) == pytest.approx(7)


def test_a_search_that_is_free_in_length_stays_so() -> None:
    evolution = an_evolution(RAW_PIXEL, {"name": "genetic"})
    assert evolution.optimizer.snapshot()["parameters"]["norm"] is None


def test_deepsims_codes_are_as_long_as_those_of_layer_statistics_and_fc6s_as_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    norms = {name.removeprefix("deepsim-"): variant.usual_norm for name, variant in VARIANTS.items()}
    assert (norms["fc6"], norms["fc6-places"]) == (300, 300)
    assert norms["fc7"] == pytest.approx(77, abs=1)
    assert norms["pool5"] == pytest.approx(1114, abs=1)
    assert norms["norm1"] == pytest.approx(11296, abs=1)

    thin_all(monkeypatch)
    thin = {"name": "deepsim-fc7", "device": "cpu", "weights": str(a_file(tmp_path, "deepsim-fc7"))}
    assert norm_of(an_evolution(thin, {"name": "sphere_mirror"})) == pytest.approx(1.2 * np.sqrt(4096 / 16), rel=1e-3)


def test_in_a_subspace_each_number_is_as_large_as_in_the_whole_space() -> None:
    evolution = an_evolution(WHOLE, {"name": "sphere_mirror", "subspace": np.eye(10)[:4].tolist()})
    assert norm_of(evolution) == pytest.approx(2, rel=1e-4)


def test_a_session_of_before_goes_on_at_the_norm_it_had() -> None:
    before = create("sphere_mirror", (16, 16, 3), 1)
    resumed = an_evolution(RAW_PIXEL, {"name": "sphere_mirror"})
    resumed.optimizer.restore(before.snapshot())
    for _ in range(2):
        assert norm_of(resumed) == pytest.approx(PER_ROOT_GENE * np.sqrt(16 * 16 * 3), rel=1e-4)
        resumed.optimizer.tell(np.arange(40))


def test_raw_pixels_have_the_contrast_of_photographs_and_many_shades() -> None:
    evolution = an_evolution(RAW_PIXEL, {"name": "sphere_mirror"})
    images = evolution.generator.render(evolution.optimizer.ask())
    assert rms_contrast(images).mean() == pytest.approx(0.22, abs=0.02)
    assert np.mean((images == 0) | (images == 255)) < 0.7


@pytest.mark.parametrize("code_rms", [0, -1, float("inf"), True, "1"])
def test_a_size_of_codes_that_is_none_is_refused(code_rms: Any) -> None:
    with pytest.raises(ValueError, match=r"torch_module .*: code_rms must be a number above 0"):
        create_generator(**WHOLE | {"code_rms": code_rms})


def test_a_subspace_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="subspace must be finite"):
        an_evolution(RAW_PIXEL, {"name": "sphere_mirror", "subspace": 3})
