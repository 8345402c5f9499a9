"""Networks of a lab's own: transformers, sizes of images, weights as trainings leave them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adapters.source import SourceError
from simulator.__main__ import main as list_them
from simulator.arrays import network_array
from simulator.models import create_network, list_layers
from simulator.study import parts
from simulator.study.parts import NetworkSpec
from simulator.study.plan import networks_of
from simulator.study.recording import Recording
from simulator.study.tables import Study
from simulator.units import Unit


class Block(nn.Module):
    """A transformer's block, as small as can be: tokens [n, tokens, channels]."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens * 2


class TinyTransformer(nn.Module):
    """A class token of ones, then a token for each quarter of the picture: its mean red, green and blue."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())
        self.head = nn.Linear(3, 2)

    def forward(self, images: Tensor) -> Tensor:
        patches = nn.functional.adaptive_avg_pool2d(images, 2).flatten(2).transpose(1, 2)
        tokens = torch.cat([torch.ones(len(images), 1, 3), patches], 1)
        return self.head(self.blocks(tokens)[:, 0])  # type: ignore[no-any-return]


class Map(nn.Module):
    """Four channels, a map as large as the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Conv2d(3, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.map(images)  # type: ignore[no-any-return]


def saved(path: Path, state: object) -> nn.Module:
    """Return the network with weights from a file of this."""
    torch.save(state, path)
    return create_network("test_own_networks:Normed", str(path))


class Normed(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))


def weights(value: float, prefix: str = "") -> dict[str, Tensor]:
    return {f"{prefix}{name}": torch.full_like(each, value) for name, each in Normed().state_dict().items()}


def test_a_transformers_units_are_channels_at_tokens() -> None:
    assert [(name, shape) for name, shape, _ in list_layers(TinyTransformer())][:2] == [
        ("blocks.0", (3, 5)), ("blocks.1", (3, 5)),
    ]  # fmt: skip
    image = np.zeros((1, 8, 8, 3), np.uint8)
    image[:, 4:, :4, 2] = 255  # the lower left quarter is blue: channel 2 of token 3
    array = network_array(TinyTransformer(), "blocks.1", "2@3; 1@3; 2")
    assert array.names == ("blocks.1/2@3", "blocks.1/1@3", "blocks.1/2")
    np.testing.assert_allclose(array.units.activations(image), [[4, 0, 4]])  # without a place: the class token
    with pytest.raises(SourceError, match=r"layer 'blocks\.1' has tokens 0 to 4: no unit 2@5\."):
        network_array(TinyTransformer(), "blocks.1", "2@5")
    spec = NetworkSpec("test_own_networks:TinyTransformer", "", 0, (0, 0, 0), (1, 1, 1), "RGB", 1.0)
    recording = Recording(spec, [("blocks.1", Unit(2, (3,))), ("blocks.1", Unit(1)), ("head", Unit(1))])
    assert recording.every(image)[0, :2].tolist() == [4, 4]


def test_units_of_a_study_are_looked_up_at_the_size_that_the_network_is_shown() -> None:
    spec = NetworkSpec("test_own_networks:Map", "", 96, (0, 0, 0), (1, 1, 1), "RGB", 1.0)
    [(_, shape, _)] = parts.layers(spec, 64)
    assert shape == (4, 96, 96)
    [(_, shape, _)] = parts.layers(replace(spec, size_px=0), 80)
    assert shape == (4, 80, 80)
    study = Study.model_validate(
        {"study": {"name": "large"}, "network": [
            {"model": "test_own_networks:Map", "layers": {"early": "map"}, "units": ["3@95,95"], "size_px": 96}
        ]}
    )  # fmt: skip
    assert networks_of(study).targets == {"test_own_networks:Map": {"early": [("map", Unit(3, (95, 95)))]}}


def test_layers_are_listed_with_the_size_that_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    list_them("test_own_networks:Map", 96)
    assert "4 x 96 x 96" in (said := capsys.readouterr().out)
    assert "for images of 96 x 96 px\n" in said
    list_them("test_own_networks:Map")
    assert "for images of 64 x 64 px; of other sizes: --size PX\n" in capsys.readouterr().out


@pytest.mark.parametrize("inside", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.model.", "_orig_mod."])
def test_weights_are_found_in_a_trainings_checkpoint_and_without_its_wrappers_name(
    tmp_path: Path, inside: str, prefix: str
) -> None:
    state = weights(2.0, prefix)
    network = saved(tmp_path / "w.pt", {inside: state, "epoch": 3} if inside else state)
    assert all((each == 2).all() for each in network.state_dict().values())


def test_a_robust_networks_checkpoint_gives_the_network_and_leaves_the_attackers_copy_of_it(tmp_path: Path) -> None:
    state = {**weights(2.0, "module.attacker.model."), "module.normalizer.new_mean": torch.zeros(3)}
    state |= {name: each for name, each in weights(2.0, "module.model.").items() if "num_batches" not in name}
    network = saved(tmp_path / "w.pt", {"model": state, "optimizer": {}})
    assert (network.get_parameter("0.weight") == 2).all()


@pytest.mark.parametrize(
    ("state", "says"),
    [
        (weights(1.0, "q.") | weights(2.0, "k."), "holds several sets of weights for the network"),
        (weights(1.0, "module.") | {"module.more": torch.zeros(1)}, "the network has no place for"),
        ({f"module.{name}": each for name, each in weights(1.0).items() if name != "1.bias"}, "it lacks"),
    ],
)
def test_a_prefix_that_fits_in_part_or_is_not_the_only_one_is_not_guessed(
    tmp_path: Path, state: dict[str, Tensor], says: str
) -> None:
    with pytest.raises(SourceError, match=says):
        saved(tmp_path / "w.pt", state)
