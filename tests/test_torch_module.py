"""Any network becomes a generator by its import path and a few words about its numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from server.generators import GeneratorError, create
from tests.small_networks import Painter

PAINTER = "tests.small_networks:Painter"
BLOCKS = {"blocks": [[6, 0.5], [2, 0.1]], "separate": True}


def a_painter(**parameters: Any) -> Any:
    return create("torch_module", module=PAINTER, device="cpu", **({"output": "-1..1"} | BLOCKS | parameters))


def some_codes(n: int = 4) -> Any:
    return np.random.default_rng(0).normal(size=(n, 8)).astype(np.float32)


def test_blocks_of_a_code_are_scaled_and_handed_over_apart() -> None:
    codes = torch.from_numpy(some_codes())
    with torch.no_grad():
        drawn = Painter()(codes[:, :6] * 0.5, codes[:, 6:] * 0.1, truncation=0.4).permute(0, 2, 3, 1).numpy()
    images = a_painter(call={"truncation": 0.4}).render(codes.numpy())
    assert images.shape == (4, 12, 16, 3)
    assert abs(images - (drawn + 1) / 2 * 255).max() <= 0.51


def test_blue_may_come_first_and_grey_alone() -> None:
    rgb, bgr = (a_painter(channels=order).render(some_codes()) for order in ("RGB", "BGR"))
    np.testing.assert_array_equal(rgb[..., ::-1], bgr)
    grey = a_painter(arguments={"n_colours": 1}).render(some_codes())
    assert grey.shape == (4, 12, 16, 3)
    assert (np.ptp(grey, axis=3) == 0).all()


@pytest.mark.parametrize(("output", "level"), [("0..1", 255), ("-1..1", 255), ("0..255", 1)])
def test_white_is_what_the_range_says(output: str, level: int) -> None:
    generator = create("torch_module", module="torch.nn:Unflatten", arguments={"dim": 1, "unflattened_size": [3, 2, 2]},
                       code_shape=[12], output=output, device="cpu")  # fmt: skip
    assert (generator.render(np.ones((1, 12))) == level).all()


def test_weights_come_from_a_file_and_are_named_by_their_hash(tmp_path: Path) -> None:
    network = Painter()
    with torch.no_grad():
        network.noise.weight.zero_()
    save_file(network.state_dict(), tmp_path / "painter.safetensors")
    generator = a_painter(weights=tmp_path / "painter.safetensors")
    codes = some_codes()
    codes[:, 6:] = 1
    images = generator.render(codes)
    assert (images == images[0]).all()
    assert len(generator.weights_sha256) == 64


def test_the_weight_that_differs_is_named(tmp_path: Path) -> None:
    save_file(Painter(n_class=3).state_dict(), tmp_path / "painter.safetensors")
    with pytest.raises(GeneratorError, match=r"kind.weight is \[576, 3\], and should be \[576, 2\]"):
        a_painter(weights=tmp_path / "painter.safetensors")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"output": "0..2"}, "output must be one of 0..1, -1..1, 0..255, got '0..2'"),
        ({"channels": "RBG"}, "channels must be one of RGB, BGR, got 'RBG'"),
        ({"blocks": []}, "code_shape is missing"),
        ({"blocks": [[6]]}, r"blocks must be \[length, scale\] each"),
        ({"code_shape": [9]}, r"blocks of 8 numbers together do not make a code of \[9\]"),
        ({"module": "tests.small_networks:Paintre"}, "cannot be imported: "),
        ({"arguments": {"n_cats": 3}}, "cannot be made: .* unexpected keyword argument 'n_cats'"),
        ({"module": "tests.small_networks:not_a_network"}, "is no torch.nn.Module, nor returns one, but a int"),
    ],
)
def test_a_wrong_parameter_is_answered_in_a_sentence(wrong: dict[str, Any], sentence: str) -> None:
    with pytest.raises(GeneratorError, match=sentence):
        create("torch_module", **({"module": PAINTER, "device": "cpu"} | BLOCKS | wrong))


def test_a_network_that_cannot_take_its_codes_says_so() -> None:
    generator = create("torch_module", module="tests.small_networks:one_code", code_shape=[9], device="cpu")
    with pytest.raises(GeneratorError, match=r"small_networks:one_code failed with codes of \[2, 9\]: mat1 and mat2"):
        generator.render(np.zeros((2, 9)))


def test_a_network_that_makes_no_pictures_is_said_to_make_none() -> None:
    generator = create("torch_module", module="torch.nn:Identity", code_shape=[5], device="cpu")
    with pytest.raises(GeneratorError, match=r"must return a tensor \[n, 3 or 1, height, width\], not \[2, 5\]"):
        generator.render(np.zeros((2, 5)))


def test_a_device_that_runs_out_of_memory_is_given_fewer_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, whole = a_painter(), a_painter().render(some_codes(7))
    levels = type(generator)._levels

    def cramped(self: Any, codes: torch.Tensor) -> torch.Tensor:
        if len(codes) > room:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return levels(self, codes)

    monkeypatch.setattr(type(generator), "_levels", cramped)
    room = 2
    np.testing.assert_array_equal(generator.render(some_codes(7)), whole)
    room = 0
    with pytest.raises(torch.cuda.OutOfMemoryError):
        generator.render(some_codes(7))
