"""Weights are read from every kind of file, refused where they do not fit, and kept as they came."""

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from typer.testing import CliRunner

from server.generators import GeneratorError, create, store
from server.generators.commands import weights as commands
from server.generators.deepsim_networks import VARIANTS
from server.generators.weights import WeightsError, fitted, read_weights, recognised
from tests.small_networks import a_file, some_weights, thin_all

FC6 = "deepsim-fc6"


@pytest.fixture(autouse=True)
def thin_networks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    thin_all(monkeypatch)
    monkeypatch.setenv("XDREAM_WEIGHTS", str(tmp_path / "kept"))


def in_caffes_names(name: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights as circuit_toolkit's files and Caffe's have them: other names, a bias everywhere."""
    renamed = {}
    for layer in VARIANTS[name].layers:
        renamed[f"{layer.caffe_name}.weight"] = weights[f"{layer.name}.weight"]
        renamed[f"{layer.caffe_name}.bias"] = weights.get(f"{layer.name}.bias", torch.zeros(layer.n_out))
    return renamed


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited field as it stands on the wire."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    small = value & 0x7F
    return bytes([small]) if value < 0x80 else bytes([small | 0x80]) + varint(value >> 7)


def a_blob(numbers: Tensor, old: bool) -> bytes:
    data = field(5, numbers.numpy().astype("<f4").tobytes())
    if not old:
        return data + field(7, field(1, b"".join(varint(length) for length in numbers.shape)))
    lengths = (1, 1, 1, 1)[numbers.ndim :] + tuple(numbers.shape)
    return b"".join(varint(place << 3) + varint(length) for place, length in enumerate(lengths, 1)) + data


def a_caffemodel(path: Path, weights: dict[str, Tensor], old: bool) -> Path:
    """Write what Caffe would: the form until 2014, or the one since."""
    in_network, in_layer, blobs = (2, 4, 6) if old else (100, 1, 7)
    layers = field(in_network, field(in_layer, b"data") + field(3, b"top"))
    for name in dict.fromkeys(key.rpartition(".")[0] for key in weights):
        held = b"".join(field(blobs, a_blob(weights[f"{name}.{kind}"], old)) for kind in ("weight", "bias"))
        layers += field(in_network, field(in_layer, name.encode()) + held)
    path.write_bytes(field(1, b"generator") + layers)
    return path


def as_pt(folder: Path, weights: dict[str, Any]) -> Path:
    path = folder / "weights.pt"
    torch.save(weights, path)
    return path


def rendered(file: Path, name: str = FC6) -> np.ndarray:
    codes = np.random.default_rng(0).normal(size=(2, *VARIANTS[name].code_shape))
    return create(name, weights=file, device="cpu").render(codes)


@pytest.mark.parametrize("name", VARIANTS)
def test_all_files_of_the_same_weights_draw_the_same(name: str, tmp_path: Path) -> None:
    weights = some_weights(VARIANTS[name])
    caffes = in_caffes_names(name, weights)
    expected = rendered(a_file(tmp_path, name, weights), name)
    in_pairs = {("G." + key).replace("deconv4.", "deconv4.1."): each for key, each in caffes.items()}
    nested: dict[str, Any] = {"state_dict": in_pairs}
    for file in (as_pt(tmp_path, weights), as_pt(tmp_path, caffes), as_pt(tmp_path, nested)):
        np.testing.assert_array_equal(rendered(file, name), expected)
    for old in (True, False):
        np.testing.assert_array_equal(rendered(a_caffemodel(tmp_path / "g.caffemodel", caffes, old), name), expected)


def test_a_bias_that_is_not_zero_counts(tmp_path: Path) -> None:
    weights = some_weights(VARIANTS[FC6])
    brighter = in_caffes_names(FC6, weights) | {"deconv0.bias": torch.full((3,), 30.0)}
    difference = rendered(as_pt(tmp_path, brighter)).astype(int) - rendered(a_file(tmp_path, FC6, weights))
    assert np.median(difference) == 30


def test_the_network_that_a_generator_inverts_may_stand_in_the_same_file() -> None:
    weights = some_weights(VARIANTS[FC6])
    both = in_caffes_names(FC6, weights) | {"fc6.weight": torch.zeros(9, 9), "conv1.weight": torch.zeros(2)}
    state = fitted(FC6, VARIANTS[FC6], both, Path("both.caffemodel"))
    assert torch.equal(state["fc6.weight"], weights["fc6.weight"])


def test_the_layer_that_differs_is_named(tmp_path: Path) -> None:
    weights = some_weights(VARIANTS[FC6])
    with pytest.raises(GeneratorError, match=r"deepsim-fc8, fc7.weight is \[256, 256\], and should be \[256, 62\]"):
        create("deepsim-fc8", weights=a_file(tmp_path, FC6, weights), device="cpu")
    del weights["tconv3_1.weight"]
    with pytest.raises(
        WeightsError, match=r"is not deepsim-fc6: tconv3_1.weight is missing.* \[8, 8, 3, 3\]; it holds"
    ):
        create(FC6, weights=a_file(tmp_path, FC6, weights), device="cpu")


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weights = some_weights(VARIANTS[FC6])
    weights["tconv1.weight"][0, 0, 0, 0] = torch.nan
    with pytest.raises(WeightsError, match=r"tconv1.weight holds NaN or infinity: the file is damaged"):
        create(FC6, weights=a_file(tmp_path, FC6, weights), device="cpu")


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


def test_a_file_that_would_run_something_is_not_loaded(tmp_path: Path) -> None:
    torch.save({"fc6.weight": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(WeightsError, match="holds more than tensors, which is not loaded because it could run"):
        read_weights(tmp_path / "trap.pt")


@pytest.mark.parametrize("ending", [".pt", ".safetensors", ".caffemodel", ".h5"])
def test_a_file_that_is_no_file_of_weights_is_said_to_be_none(ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"text{ending}"
    file.write_text("no weights at all")
    with pytest.raises(WeightsError, match=str(file)):
        read_weights(file)


def test_half_a_caffe_model_is_refused(tmp_path: Path) -> None:
    file = a_caffemodel(tmp_path / "g.caffemodel", in_caffes_names(FC6, some_weights(VARIANTS[FC6])), old=True)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="is no Caffe model, or not all of it is there"):
        read_weights(file)


def test_a_blob_with_too_few_numbers_is_refused(tmp_path: Path) -> None:
    blob = field(7, field(1, varint(5))) + field(5, struct.pack("<2f", 1, 2))
    (tmp_path / "g.caffemodel").write_bytes(field(100, field(1, b"fc6") + field(7, blob)))
    with pytest.raises(WeightsError, match=r"layer 'fc6': 2 numbers do not make a blob of \[5\]"):
        read_weights(tmp_path / "g.caffemodel")


def test_missing_weights_are_answered_with_how_to_get_them() -> None:
    with pytest.raises(GeneratorError) as caught:
        create("deepsim-fc6")
    assert str(caught.value).endswith(
        "deepsim-fc6.safetensors. Get them: xdream weights fetch deepsim-fc6, or xdream weights import FILE."
    )


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("upconvGAN_fc6.pt", "deepsim-fc6"),
        ("upconvGAN_fc7.pt", "deepsim-fc7"),
        ("fc6-places365.pt", "deepsim-fc6-places"),
        ("fc7/generator.caffemodel", "deepsim-fc7"),
    ],
)
def test_networks_of_the_same_shapes_are_told_apart_by_the_files_name(file: str, name: str) -> None:
    assert recognised(some_weights(VARIANTS[FC6]), Path(file)) == name


def test_a_network_of_its_own_shapes_needs_no_name() -> None:
    for name in ("deepsim-norm1", "deepsim-norm2", "deepsim-pool5", "deepsim-fc8"):
        assert recognised(some_weights(VARIANTS[name]), Path("generator.pt")) == name


def test_where_several_fit_and_none_is_named_it_is_asked_which() -> None:
    with pytest.raises(WeightsError, match=r"deepsim-conv3 or deepsim-conv4, .*: say which with --name NAME"):
        recognised(some_weights(VARIANTS["deepsim-conv3"]), Path("generator.pt"))
    with pytest.raises(WeightsError, match=r"fits none of .* With --name NAME it is said what differs"):
        recognised({"x": torch.zeros(3)}, Path("fc6.pt"))


def test_imported_weights_are_found_by_name_and_listed(tmp_path: Path) -> None:
    weights = some_weights(VARIANTS[FC6])
    file = a_caffemodel(tmp_path / "fc6.caffemodel", in_caffes_names(FC6, weights), old=True)
    said = CliRunner().invoke(commands, ["import", str(file)], catch_exceptions=False).output
    generator = create(FC6, device="cpu")
    assert said.startswith(f"deepsim-fc6  SHA-256 {getattr(generator, 'weights_sha256', None)}  from {file}")
    assert CliRunner().invoke(commands, ["list"]).output == said
    # What is kept are XDream's names, without the zeros.
    assert load_file(store.file_of(FC6, tmp_path / "kept")).keys() == weights.keys()


def test_there_may_be_none_to_list(tmp_path: Path) -> None:
    said = CliRunner().invoke(commands, ["list", "--folder", str(tmp_path)]).output
    assert said == f"no weights in {tmp_path} yet: xdream weights fetch deepsim-fc6\n"


def test_weights_that_changed_behind_ones_back_are_refused(tmp_path: Path) -> None:
    store.take_in(a_file(tmp_path, FC6), FC6, tmp_path / "kept")
    kept = store.file_of(FC6, tmp_path / "kept")
    kept.write_bytes(kept.read_bytes()[:-1] + b"\1")
    with pytest.raises(WeightsError, match=r"has changed since it came from .*deepsim-fc6.safetensors: its SHA-256"):
        create(FC6, device="cpu")


@pytest.mark.parametrize(
    ("environment", "platform", "folder"),
    [
        ({"XDREAM_WEIGHTS": "/w", "HOME": "/h"}, "linux", "/w"),
        ({"HOME": "/h"}, "linux", "/h/.local/share/xdream/weights"),
        ({"HOME": "/h", "XDG_DATA_HOME": "/d"}, "linux", "/d/xdream/weights"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Application Support/xdream/weights"),
        ({"USERPROFILE": "/u", "LOCALAPPDATA": "/u/AppData/Local"}, "win32", "/u/AppData/Local/xdream/weights"),
    ],
)
def test_weights_are_kept_where_the_system_keeps_data(environment: dict[str, str], platform: str, folder: str) -> None:
    assert store.default_folder(environment, platform) == Path(folder)
