"""DeePSiM networks of a sixteenth of the width with random weights, the same each time, and files of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from server.generators.deepsim_networks import VARIANTS, Variant

torch.set_num_threads(1)  # networks this small are only slowed down by threads that wait for each other

THINNER = 16
CONTRAST = 20.0
"""Where the last layer is linear, it makes levels of 0..255 from activations of about 1."""
IMAGE_LAYERS = ("conv1_1", "tconv0")
"""They make three colours at any width."""


def thinned(variant: Variant) -> Variant:
    """Return the same layers with a sixteenth of the channels; a code's maps stay as large."""
    layers = tuple(
        replace(
            layer,
            n_in=layer.n_in // THINNER,
            n_out=3 if layer.name in IMAGE_LAYERS else layer.n_out // THINNER,
        )
        for layer in variant.layers
    )
    return replace(variant, code_shape=(variant.code_shape[0] // THINNER, *variant.code_shape[1:]), layers=layers)


def thin_all(patch: pytest.MonkeyPatch) -> None:
    """Let every DeePSiM generator be a thin one."""
    for name, variant in list(VARIANTS.items()):
        patch.setitem(VARIANTS, name, thinned(variant))


def some_weights(variant: Variant) -> dict[str, Tensor]:
    """Return weights in XDream's names that keep activations about as large from layer to layer."""
    random = torch.Generator().manual_seed(2)
    weights = {}
    for key, shape in variant.shapes.items():
        if len(shape) > 1:
            n_summed = shape[1] if len(shape) == 2 else shape[0] * shape[-1]
            scale = CONTRAST if key == "tconv0.weight" else 1.0
            weights[key] = torch.randn(shape, generator=random) * scale * (2 / n_summed) ** 0.5
        elif key not in variant.may_lack:
            weights[key] = torch.randn(shape, generator=random)
    return weights


def a_file(folder: Path, name: str, weights: dict[str, Tensor] | None = None) -> Path:
    """Return a safetensors file of weights for a generator."""
    path = folder / f"{name}.safetensors"
    save_file(weights or some_weights(VARIANTS[name]), path)
    return path


class Painter(nn.Module):
    """A network as a lab might bring: noise and class to pictures of 12 x 16 pixels in -1..1."""

    def __init__(self, n_noise: int = 6, n_class: int = 2, n_colours: int = 3) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.noise = nn.Linear(n_noise, n_colours * 12 * 16)
        self.kind = nn.Linear(n_class, n_colours * 12 * 16)
        self.n_colours = n_colours

    def forward(self, noise: Tensor, kind: Tensor, truncation: float = 1.0) -> Tensor:
        drawn = self.noise(noise * truncation) + self.kind(kind)
        return torch.tanh(drawn).view(-1, self.n_colours, 12, 16)


def one_code(**arguments: Any) -> nn.Module:
    """Return a network that takes its code in one piece: RGB pictures of 8 x 8 pixels in 0..1."""
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(arguments.get("n", 10), 3 * 64), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))


def not_a_network() -> int:
    return 3
