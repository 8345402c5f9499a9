"""Train the embedded networks: `python -m simulator.networks.train --out DIR [--minutes M] [--device cuda]`.

Four stages, each with a share of the time: a comparator (a classifier of other widths, whose opinion counts
in the generator's training), the ConvNet with the generator, the generator alone, and a judge: one more
classifier, taught with images of its own, that no training and no search ever sees and that
`simulator.networks.evaluate` asks. Seeds fix the images, the first weights and the order of batches; how many
steps fit in M minutes is the machine's affair.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as serialised
from torch import nn

from server.generators.embedded import Network
from simulator.networks.batches import Batch, batches
from simulator.networks.convnet import EmbeddedConvNet
from simulator.networks.images import ProceduralImages, procedural_images
from simulator.networks.refine import refine
from simulator.networks.stages import on_device, train_classifier, train_pair

SHARES = {"comparator": 0.05, "pair": 0.4, "refine": 0.47, "judge": 0.08}
COMPARATOR_WIDTHS, COMPARATOR_HIDDEN = (20, 40, 64, 96), 192
JUDGE_WIDTHS, JUDGE_HIDDEN = (28, 44, 72, 112), 224
BATCH = 48
log = logging.getLogger(__name__)


def train(out: Path, minutes: float, n_images: int, device: str, processes: int) -> None:
    """Make the images, run the four stages and write four weight files to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    images, judges_own = (_images(out, n, seed, processes) for n, seed in ((n_images, 1), (n_images // 3, 2)))
    time_for = {stage: share * minutes for stage, share in SHARES.items()}

    def seeded(seed: int, of: ProceduralImages = images) -> Iterator[Batch]:
        torch.manual_seed(seed)
        return batches(of, BATCH, seed, device)

    source = seeded(1)
    comparator = on_device(device, EmbeddedConvNet(COMPARATOR_WIDTHS, COMPARATOR_HIDDEN))
    comparator = train_classifier(comparator, source, time_for["comparator"], log.info)
    source = seeded(2)
    network, generator = on_device(device, EmbeddedConvNet()), on_device(device, Network())
    network, generator = train_pair(network, generator, comparator, source, time_for["pair"], log.info)
    save(network, out / "convnet.safetensors")
    source = seeded(3)
    generator = refine(generator.requires_grad_(), network, comparator, source, time_for["refine"], log.info)
    save(generator, out / "embedded.safetensors")
    source = seeded(4, judges_own)
    judge = on_device(device, EmbeddedConvNet(JUDGE_WIDTHS, JUDGE_HIDDEN))
    save(train_classifier(judge, source, time_for["judge"], log.info), out / "judge.safetensors")


def save(network: nn.Module, path: Path) -> None:
    """Write a network's weights, halved to float16, as safetensors."""
    weights = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).cpu().contiguous()
        for name, tensor in network.state_dict().items()
    }
    path.write_bytes(serialised(weights))
    log.info("wrote %s, %.1f MB", path, path.stat().st_size / 1e6)


def _images(out: Path, n: int, seed: int, processes: int) -> ProceduralImages:
    """Return the training images, from `out` where an earlier run left them."""
    path = out / f"images_{seed}_{n}.npz"
    if not path.exists():
        log.info("drawing %d images", n)
        made = procedural_images(n, seed, processes=processes)
        np.savez(path, images=made.images, kinds=made.kinds, colours=made.colours)
    with np.load(path) as stored:
        return ProceduralImages(stored["images"], stored["kinds"], stored["colours"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for images and weights")
    parser.add_argument("--minutes", type=float, default=120, help="training time in all (default 120)")
    parser.add_argument("--images", type=int, default=135_000, help="how many images to draw (default 135000)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--processes", type=int, default=2, help="processes that draw images (default 2)")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    train(asked.out, asked.minutes, asked.images, asked.device, asked.processes)


if __name__ == "__main__":
    main()
