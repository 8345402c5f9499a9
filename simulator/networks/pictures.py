"""The pictures of docs/networks.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from server.generators.embedded import CODE_SIZE, Embedded
from simulator.networks.convnet import EmbeddedConvNet
from simulator.networks.evolving import LAYERS, Evolved, responses
from simulator.networks.images import KINDS, procedural_images

Pictures = NDArray[np.uint8]
"""[n, 64, 64, 3] RGB."""
GAP_PX, CAPTION_PX = 4, 12


def sheet(pictures: Pictures, columns: int, captions: Sequence[str] = ()) -> Image.Image:
    """Return pictures in rows of `columns` on white, each with its caption underneath where there is one."""
    n, size = len(pictures), pictures.shape[1]
    step_x, step_y = size + GAP_PX, size + GAP_PX + (CAPTION_PX if captions else 0)
    page = Image.new("RGB", (columns * step_x, -(-n // columns) * step_y), "white")
    pen = ImageDraw.Draw(page)
    for i, picture in enumerate(pictures):
        x, y = i % columns * step_x, i // columns * step_y
        page.paste(Image.fromarray(picture), (x, y))
        if captions:
            pen.text((x + size // 2, y + size + 1), captions[i], "black", anchor="ma", font_size=10)
    return page


def write(
    out: Path, network: EmbeddedConvNet, generator: Embedded, evolved: Sequence[Evolved], names: Sequence[str]
) -> None:
    """Write every picture of the page."""
    samples = procedural_images(2 * len(KINDS), seed=2_000_003)
    order = np.argsort(samples.kinds, kind="stable")
    captions = [KINDS[kind] for kind in samples.kinds[order]]
    _save(sheet(samples.images[order], 15, captions), out / "networks_samples.png")
    _save(sheet(_filters(network), 12), out / "networks_filters.png")
    random = np.random.default_rng(11).standard_normal((60, CODE_SIZE))
    _save(sheet(generator.render(random), 15), out / "networks_random.png")
    again = generator.render(generator.codes_for(responses(network, samples.images[: len(KINDS)])["fc5"]))
    pairs = np.stack([samples.images[: len(KINDS)], again], 1).reshape(-1, *again.shape[1:])
    _save(sheet(pairs, 18), out / "networks_reconstructions.png")
    outputs = [each for each in evolved if each.unit.layer == "output"]
    labels = [names[each.unit.channel] for each in outputs]
    _save(sheet(np.stack([e.image for e in outputs]), 11, labels), out / "networks_evolved_output.png")
    inner = [each for layer in LAYERS[:-1] for each in [e for e in evolved if e.unit.layer == layer][:12]]
    labels = [f"{each.unit.layer} {each.unit.channel}" for each in inner]
    _save(sheet(np.stack([e.image for e in inner]), 12, labels), out / "networks_evolved_layers.png")


def _save(page: Image.Image, path: Path) -> None:
    """Write a page in 256 colours: a third of the size."""
    page.quantize(256).save(path, optimize=True)


def _filters(network: EmbeddedConvNet) -> Pictures:
    """Return the filters of conv1, each stretched over the full range of levels and enlarged."""
    weight = network.state_dict()["conv1.0.weight"]
    low, high = weight.amin((1, 2, 3), keepdim=True), weight.amax((1, 2, 3), keepdim=True)
    levels = ((weight - low) / (high - low) * 255).to(torch.uint8).permute(0, 2, 3, 1)
    return np.ascontiguousarray(levels.numpy().repeat(10, 1).repeat(10, 2))
