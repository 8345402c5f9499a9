"""Every study that comes with XDream, as it comes and on pretrained networks, is planned to the last experiment."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from small_networks import a_file, thin_all
from torch import Tensor, nn

from server.config import ConfigError
from server.generators.deepsim_networks import VARIANTS
from server.generators.store import take_in
from simulator.study import parts
from simulator.study.claims import RANKING
from simulator.study.experiment import Planned
from simulator.study.files import OVERLAYS, load_study, shipped
from simulator.study.plan import check, expand, networks_of
from simulator.study.references import Reference
from simulator.study.tables import Study

CACHES = (parts.network, parts.layers, parts.generator, parts.network_digest, parts.generator_digest)
WEIGHTS = "alexnet-owt-7be5be79.pth"
"""What torchvision's file is called."""


class ThinAlexNet(nn.Module):
    """The layers of torchvision's AlexNet by their names, each a sixteenth as wide."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 11, 4, 2), nn.ReLU(True), nn.MaxPool2d(3, 2),
            nn.Conv2d(4, 12, 5, padding=2), nn.ReLU(True), nn.MaxPool2d(3, 2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(True), nn.Conv2d(24, 16, 3, padding=1), nn.ReLU(True),
            nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(16 * 36, 256), nn.ReLU(True), nn.Dropout(), nn.Linear(256, 256), nn.ReLU(True),
            nn.Linear(256, 62),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).flatten(1))  # type: ignore[no-any-return]


@pytest.fixture
def everything_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Provide what the files laid over ask for, thin: a network, its weights, generators, a folder of pictures."""
    torch.manual_seed(0)
    thin_all(monkeypatch)
    torchvision = ModuleType("torchvision.models")
    torchvision.alexnet = ThinAlexNet  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", torchvision)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDREAM_WEIGHTS", str(tmp_path / "weights"))
    torch.save(ThinAlexNet().state_dict(), WEIGHTS)
    for name in VARIANTS:
        take_in(a_file(tmp_path, name), name, tmp_path / "weights")
    Path("imagenet").mkdir()
    for number in range(3):
        Image.fromarray(np.full((8, 8, 3), 80 * number, np.uint8)).save(f"imagenet/{number}.png")
    forget()
    yield
    forget()


def forget() -> None:
    for each in CACHES:
        each.cache_clear()


def planned(study: Study) -> list[Planned]:
    """Return all experiments of a study, every unit's best reference image being worth 2."""
    networks = networks_of(study)
    check(study, networks)
    known = Reference(2.0, 1.5, 0.1, 3, {"best": [0], "middle": [1], "worst": [2]})
    units = [(label, each) for label, by in networks.targets.items() for layer in by.values() for each in layer]
    references = {(networks.specs[label], each): known for label, each in units}
    return [each for batch in expand(study, networks, references) for each in batch.planned]


@pytest.mark.parametrize("overlay", ["", *(path.stem for path in OVERLAYS.glob("*.toml"))])
@pytest.mark.parametrize("name", [name for name, _ in shipped()])
@pytest.mark.usefixtures("everything_there")
def test_every_study_that_comes_with_xdream_can_be_run_under_every_file_to_lay_over_it(name: str, overlay: str) -> None:
    study = load_study(name, [overlay] if overlay else [])
    found = planned(study)
    assert {each.labels.layer for each in found} == set(study.networks[0].layers)
    assert {each.labels.generator for each in found} == {each.label or each.name for each in study.generators}
    assert all(each.labels.qualitative != bool(overlay) for each in found if each.labels.generator != "raw_pixel")


@pytest.mark.usefixtures("everything_there")
def test_pretrained_generators_are_those_that_the_claims_ask_for() -> None:
    there = {each.name: each.optimizers for each in load_study("generators", ["pretrained"]).generators}
    assert there.keys() == {*(f"deepsim-{name}" for name in RANKING), "deepsim-fc6-places", "raw_pixel"}
    assert there["deepsim-pool5"]["genetic"]["heritability"] == 0.75
    assert next(iter(there)) == "deepsim-fc6"  # which the other studies have alone: claims compare with the first


@pytest.mark.usefixtures("everything_there")
def test_fc6_is_searched_alike_in_all_pretrained_studies_so_that_they_share_its_experiments() -> None:
    hashes = [
        {each.hash for each in planned(load_study(name, ["pretrained"])) if each.labels.generator == "deepsim-fc6"}
        for name in ("layers", "generators")
    ]
    assert hashes[0] == hashes[1]


@pytest.mark.usefixtures("everything_there")
def test_codes_cannot_be_read_off_a_layer_of_another_shape_nor_off_none() -> None:
    Path("start.toml").write_text(
        '[[initial]]\nlabel = "random"\n[[initial]]\nlabel = "best"\nname = "unit_images"\nlayer = "features.8"\n'
        '[[initial]]\nlabel = "middle"\n[[initial]]\nlabel = "worst"\n'
    )
    study = load_study("initialisation", ["pretrained", "start.toml"])
    with pytest.raises(ConfigError, match=r"'best', layer: 'features\.8' of network .* says 16 x 13 x 13 numbers"):
        planned(study)


def test_what_there_is_to_lay_over_a_study_is_listed() -> None:
    with pytest.raises(ConfigError, match=r"nope: cannot be read: .* Files to lay over a study .*: pretrained\."):
        load_study("layers", ["nope"])
