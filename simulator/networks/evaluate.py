"""Measure the embedded networks: `python -m simulator.networks.evaluate --judge FILE --out DIR`.

Writes `networks.json` with every number of docs/networks.md, and its pictures. For each layer: relative activation
(evolved maximum over the maximum of 10,000 procedural images) of units drawn at random, after 3,000
presentations each; for the output layer, every unit, and whether the judge names the evolved image as that
unit's kind or colour. Dead units, those that no procedural image drives, are counted and left out.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from server.generators.embedded import CODE_SIZE, Embedded
from simulator.networks import pictures
from simulator.networks.convnet import EmbeddedConvNet, embedded_convnet
from simulator.networks.evolving import LAYERS, Evolved, Unit, evolve_embedded, responses
from simulator.networks.images import COLOURS, KINDS, procedural_images
from simulator.networks.train import JUDGE_HIDDEN, JUDGE_WIDTHS

N_KINDS = len(KINDS)
NAMES = (*KINDS, *COLOURS)
DEAD = 1e-3
"""A unit that no procedural image drives above this is dead."""
log = logging.getLogger(__name__)


def evaluate(
    judge: EmbeddedConvNet, out: Path, n_units: int, generations: int, n_images: int, processes: int
) -> dict[str, Any]:
    """Return the report, and leave it and its pictures in `out`."""
    network, generator = embedded_convnet(), Embedded()
    fresh = procedural_images(n_images, 1_000_003, processes=processes)
    seen, judged = responses(network, fresh.images), responses(judge, fresh.images[:2000])
    strongest = {layer: seen[layer].max(0) for layer in LAYERS}
    units = [unit for layer in LAYERS for unit in _units(layer, strongest[layer], n_units)]
    evolved = evolve_embedded(units, 0, generations, processes)
    report = {
        "images": n_images,
        "presentations": 20 * generations,
        "right": _right(seen["output"], fresh.kinds, fresh.colours),
        "judge_right": _right(judged["output"], fresh.kinds[:2000], fresh.colours[:2000]),
        "layers": {layer: _summary(layer, evolved, strongest[layer]) for layer in LAYERS},
        "judge": _named(judge, [each for each in evolved if each.unit.layer == "output"]),
        **_reconstruction(network, generator, fresh.images[:1000]),
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "networks.json").write_text(json.dumps(report, indent=1))
    pictures.write(out, network, generator, evolved, NAMES)
    return report


def _right(logits: NDArray[np.float32], kinds: NDArray[np.int64], colours: NDArray[np.int64]) -> dict[str, float]:
    """Return the shares of images whose kind, and whose colour, is named correctly."""
    return {
        "kind": float((logits[:, :N_KINDS].argmax(1) == kinds).mean()),
        "colour": float((logits[:, N_KINDS:].argmax(1) == colours).mean()),
    }


def _units(layer: str, strongest: NDArray[np.float32], n: int) -> list[Unit]:
    """Return the units to evolve: all of the output, `n` living ones at random elsewhere."""
    alive = np.flatnonzero(strongest > DEAD)
    chosen = alive if layer == "output" else np.sort(np.random.default_rng(5).permutation(alive)[:n])
    return [Unit(layer, int(channel)) for channel in chosen]


def _summary(layer: str, evolved: Sequence[Evolved], strongest: NDArray[np.float32]) -> dict[str, Any]:
    """Return the relative activation of a layer's evolved units, and how many units no image drives."""
    ratios = np.array([e.activation / strongest[e.unit.channel] for e in evolved if e.unit.layer == layer])
    return {
        "channels": len(strongest),
        "dead": int((strongest <= DEAD).sum()),
        "evolved": len(ratios),
        "median": round(float(np.median(ratios)), 3),
        "least": round(float(ratios.min()), 3),
        "most": round(float(ratios.max()), 3),
        "share_at_least_1": round(float((ratios >= 1).mean()), 3),
    }


def _named(judge: EmbeddedConvNet, evolved: Sequence[Evolved]) -> dict[str, Any]:
    """Return the share of output units whose evolved image the judge names as theirs, and the misnamed ones."""
    logits = responses(judge, np.stack([each.image for each in evolved]))["output"]
    wrong, right = {}, {"kinds": 0, "colours": 0}
    for each, opinion in zip(evolved, logits, strict=True):
        which = "kinds" if each.unit.channel < N_KINDS else "colours"
        part = slice(0, N_KINDS) if which == "kinds" else slice(N_KINDS, None)
        answer = (part.start or 0) + int(opinion[part].argmax())
        right[which] += answer == each.unit.channel
        if answer != each.unit.channel:
            wrong[NAMES[each.unit.channel]] = NAMES[answer]
    share = sum(right.values()) / len(evolved)
    return {
        "share": round(share, 3),
        **right,
        "of_kinds": N_KINDS,
        "of_colours": len(COLOURS),
        "wrong": wrong,
    }


def _reconstruction(network: EmbeddedConvNet, generator: Embedded, images: NDArray[np.uint8]) -> dict[str, float]:
    """Return how well images are drawn again, and how well fc5 reads from pictures of random codes what was asked.

    Errors are mean squares of levels in 0..1; the cosine is between asked and read activations.
    """
    again = generator.render(generator.codes_for(responses(network, images)["fc5"]))
    random = np.random.default_rng(0).standard_normal((len(images), CODE_SIZE)).astype(np.float32)
    read = responses(network, generator.render(random))["fc5"]
    asked = generator.network.activations(torch.from_numpy(random)).numpy()
    cosine = (asked * read).sum(1) / np.linalg.norm(asked, axis=1) / np.linalg.norm(read, axis=1)
    return {
        "picture_error": float(np.square((again / 255.0) - (images / 255.0)).mean()),
        "picture_variance": float((images / 255.0).var()),
        "random_code_cosine": float(cosine.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--judge", type=Path, required=True, help="the judge's weights, as train.py wrote them")
    parser.add_argument("--out", type=Path, required=True, help="folder for numbers and pictures")
    parser.add_argument("--units", type=int, default=12, help="units to evolve in each layer but the last (default 12)")
    parser.add_argument("--generations", type=int, default=150, help="generations of 20 images (default 150)")
    parser.add_argument("--images", type=int, default=10_000, help="procedural images to compare with (default 10000)")
    parser.add_argument("--processes", type=int, default=2, help="processes to share the work (default 2)")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.manual_seed(0)
    judge = EmbeddedConvNet(JUDGE_WIDTHS, JUDGE_HIDDEN)
    judge.load_state_dict({name: weight.float() for name, weight in load_file(asked.judge).items()})
    log.info("%s", evaluate(judge.eval(), asked.out, asked.units, asked.generations, asked.images, asked.processes))


if __name__ == "__main__":
    main()
