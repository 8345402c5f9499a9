"""DeePSiM generators draw what XDream draws, whatever file their weights come from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from server.generators import GeneratorError, create
from server.generators.deepsim_networks import VARIANTS, Network
from tests.small_networks import a_file, some_weights, thin_all

Weights = dict[str, Tensor]

N_NUMBERS = {"deepsim-norm1": 1_034_032, "deepsim-conv3": 8_073_008, "deepsim-fc6": 56_096_256}
"""How many weights and biases XDream's files hold."""
CAFFE_NAMES = {
    "deepsim-fc8": "defc7 defc6 defc5 deconv5 conv5_1 deconv4 conv4_1 deconv3 conv3_1 deconv2 deconv1 deconv0",
    "deepsim-pool5": "Rconv6 Rconv7 Rconv8 deconv5 conv5_1 deconv4 conv4_1 deconv3 conv3_1 deconv2 deconv1 deconv0",
    "deepsim-conv4": "Rconv6 Rconv7 Rconv8 deconv5 conv5_1 deconv4 conv4_1 deconv3 conv3_1 deconv2 conv2_1 deconv1 "
    "conv1_1",
    "deepsim-norm2": "Rconv6 Rconv7 Rconv8 deconv4 conv4_1 deconv3 conv3_1 deconv2 conv2_1 deconv1 conv1_1",
}


def bent(maps: Tensor) -> Tensor:
    return torch.where(maps > 0, maps, 0.3 * maps)


def up(maps: Tensor, w: Weights, name: str) -> Tensor:
    return F.conv_transpose2d(maps, w[f"{name}.weight"], stride=2, padding=1)


def up_from_8(maps: Tensor, w: Weights) -> Tensor:
    for name in ("tconv5_1", "tconv4_0", "tconv4_1", "tconv3_0", "tconv3_1", "tconv2", "tconv1"):
        thick = w[f"{name}.weight"].shape[-1] == 3
        maps = bent(F.conv_transpose2d(maps, w[f"{name}.weight"], padding=1) if thick else up(maps, w, name))
    return up(maps, w, "tconv0")


def inwards(maps: Tensor, w: Weights, *windows: tuple[int, int]) -> Tensor:
    for name, (stride, padding) in zip(("conv6", "conv7", "conv8"), windows, strict=True):
        maps = bent(F.conv2d(maps, w[f"{name}.weight"], w[f"{name}.bias"], stride=stride, padding=padding))
    return maps


def an_fc(code: Tensor, w: Weights) -> Tensor:
    for name in ("fc7", "fc6", "fc5"):
        code = bent(code @ w[f"{name}.weight"].T + w[f"{name}.bias"])
    return up_from_8(bent(up(code.view(1, -1, 4, 4), w, "tconv5_0")), w)


def a_pool5(code: Tensor, w: Weights) -> Tensor:
    return up_from_8(bent(up(inwards(code, w, (1, 1), (1, 1), (1, 0)), w, "tconv5_0")), w)


def a_conv34(code: Tensor, w: Weights) -> Tensor:
    maps = inwards(code, w, (1, 0), (1, 0), (1, 0))
    for level in "543":
        maps = bent(up(maps, w, f"tconv{level}_0"))
        maps = bent(F.conv_transpose2d(maps, w[f"tconv{level}_1.weight"], padding=1))
    maps = bent(F.conv2d(bent(up(maps, w, "tconv2_0")), w["conv2_1.weight"], padding=1))
    return 255 * torch.tanh(F.conv2d(bent(up(maps, w, "tconv1_0")), w["conv1_1.weight"], padding=1))


def a_norm(code: Tensor, w: Weights, stride: int) -> Tensor:
    maps = inwards(code, w, (stride, 2), (1, 1), (1, 1))
    for level in "432":
        maps = bent(F.conv2d(bent(up(maps, w, f"tconv{level}_0")), w[f"conv{level}_1.weight"], padding=1))
    return 255 * torch.tanh(F.conv2d(up(maps, w, "tconv1_0"), w["conv1_1.weight"], padding=1))


REFERENCES: dict[str, Callable[[Tensor, Weights], Tensor]] = {
    "deepsim-norm1": lambda code, w: a_norm(code, w, stride=2),
    "deepsim-norm2": lambda code, w: a_norm(code, w, stride=1),
    "deepsim-conv3": a_conv34,
    "deepsim-conv4": a_conv34,
    "deepsim-pool5": a_pool5,
    "deepsim-fc6": an_fc,
    "deepsim-fc7": an_fc,
    "deepsim-fc8": an_fc,
    "deepsim-fc6-places": an_fc,
}


def one_at_a_time(name: str, codes: NDArray[np.float32], weights: Weights) -> NDArray[np.uint8]:
    """Return the pictures as XDream comes by them: one code, mean colour, BGR to RGB, clip, cut."""
    pictures = []
    for code in torch.from_numpy(codes):
        bgr = REFERENCES[name](code[None], weights)[0].numpy() + np.array([104, 117, 123], np.float32)[:, None, None]
        rgb = (bgr / 255)[::-1].transpose(1, 2, 0)
        pictures.append((np.clip(rgb, 0, 1) * 255).astype(np.uint8))
    return np.stack(pictures)


def some_codes(name: str, n: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(5).normal(size=(n, *VARIANTS[name].code_shape)).astype(np.float32) * 4


@pytest.mark.parametrize("name", VARIANTS)
def test_a_batch_is_what_one_at_a_time_gives(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thin_all(monkeypatch)
    weights, codes = some_weights(VARIANTS[name]), some_codes(name)
    images = create(name, weights=a_file(tmp_path, name, weights), device="cpu").render(codes)
    expected = one_at_a_time(name, codes, weights)
    assert expected.std() > 20
    assert abs(images.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("name", VARIANTS)
def test_the_networks_have_the_published_shapes(name: str) -> None:
    variant = VARIANTS[name]
    with torch.device("meta"):
        network = Network(variant)
        drawn = network(torch.zeros((2, *variant.code_shape)))
    side = 240 if "norm" in name else 256
    assert drawn.shape == (2, 3, side, side)
    assert {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()} == variant.shapes
    held = sum(int(np.prod(shape)) for key, shape in variant.shapes.items() if key not in variant.may_lack)
    assert held == N_NUMBERS.get(name, held)


@pytest.mark.parametrize("name", CAFFE_NAMES)
def test_layers_have_the_names_of_the_original_files(name: str) -> None:
    assert [layer.caffe_name for layer in VARIANTS[name].layers] == CAFFE_NAMES[name].split()


def test_bfloat16_draws_much_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thin_all(monkeypatch)
    file, codes = a_file(tmp_path, "deepsim-fc6"), some_codes("deepsim-fc6")
    exact = create("deepsim-fc6", weights=file, device="cpu").render(codes).astype(int)
    quick = create("deepsim-fc6", weights=file, device="cpu", dtype="bfloat16").render(codes)
    assert 0 < abs(exact - quick).mean() < 3


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"device": "gpu"}, 'device must be "cpu", "cuda" or "auto", got \'gpu\''),
        ({"dtype": "float16"}, "dtype must be float32 or bfloat16, got 'float16'"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"wieghts": ""}, r"no parameter 'wieghts'\. Did you mean 'weights'\? Known: weights, .*crop, size"),
    ],
)
def test_a_wrong_parameter_is_answered_in_a_sentence(wrong: dict[str, object], sentence: str) -> None:
    with pytest.raises(GeneratorError, match=sentence):
        create("deepsim-fc6", **wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_said_to_be_missing() -> None:
    with pytest.raises(GeneratorError, match="PyTorch finds no CUDA device here"):
        create("deepsim-fc6", device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("name", VARIANTS)
def test_a_gpu_draws_the_same_to_a_level(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thin_all(monkeypatch)
    file, codes = a_file(tmp_path, name), some_codes(name)
    [here, there] = [create(name, weights=file, device=device).render(codes) for device in ("cpu", "cuda")]
    assert abs(here.astype(int) - there).max() <= 1
