"""The generator's second school: sharp pictures from any code a search may ask for.

The ConvNet stays as it is. Half of each batch are codes of procedural images, to be drawn again; the other
half are codes a search would try: random ones, offspring of two images' codes, and codes that climbed a few
steps up an output unit. Those have no right picture, so they are held to four things: a critic must take them
for procedural images, the ConvNet must read the same code from the picture as it was drawn from, and it and an
independent comparator must name it alike, so that a picture means to others what it means to the ConvNet.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from server.generators.embedded import LONGEST, Network
from simulator.networks import losses
from simulator.networks.batches import Batch, one_cycle, progress, recontrasted
from simulator.networks.convnet import EmbeddedConvNet
from simulator.networks.stages import Average, Report, autocast, on_device, take_step

SMALLEST_VARIANCE = 0.02
"""Added to every axis of fc5's covariance: on some, images hardly differ, and noise must not be blown up."""
WEIGHTS = {"picture": 4.0, "features": 3.0, "own_features": 1.5, "code": 6.0, "named": 0.8, "critic": 0.3}
"""How much each error counts."""
DRAWN_NOISE = 0.25
"""Noise added to the codes of images to be drawn again, so that their neighbours are pictures too."""


@torch.no_grad()
def mixing(network: EmbeddedConvNet, source: Iterator[Batch]) -> tuple[Tensor, Tensor]:
    """Return the square root of the covariance of fc5 over images, and its inverse, [CODE_SIZE, CODE_SIZE]."""
    codes = torch.cat([network.encode(next(source).images) for _ in range(100)])
    variances, axes = torch.linalg.eigh(torch.cov(codes.T))
    spread = (variances + SMALLEST_VARIANCE).sqrt()
    return (axes * spread) @ axes.T, (axes / spread) @ axes.T


def of_typical_length(codes: Tensor) -> Tensor:
    """Return codes with lengths drawn between 0.85 and LONGEST of the typical."""
    length = torch.empty(len(codes), 1, device=codes.device).uniform_(0.85, LONGEST)
    return codes / codes.square().mean(1, keepdim=True).sqrt() * length


def climbed(generator: Network, network: EmbeddedConvNet, codes: Tensor) -> Tensor:
    """Return codes moved up a random output unit each, by a random number of steps."""
    n, n_outputs = len(codes), len(network.output.bias)
    unit = torch.randint(n_outputs, (n, 1), device=codes.device)
    reach = torch.rand(n, 1, device=codes.device) * 0.5
    for _ in range(4):
        codes = codes.detach().requires_grad_()
        height = network.decide(generator.activations(codes)).gather(1, unit).sum()
        (slope,) = torch.autograd.grad(height, codes)
        codes = codes + reach * slope / (slope.square().mean(1, keepdim=True).sqrt() + 1e-6)
    return codes.detach()


def searched(generator: Network, network: EmbeddedConvNet, seen: Tensor) -> Tensor:
    """Return as many codes as `seen` holds such as a search would try: random, crossed, climbed."""
    n, third = len(seen), len(seen) // 3
    random = torch.randn_like(seen)
    crossed = torch.where(torch.rand_like(seen) < 0.5, seen, seen.roll(1, 0))
    climbers = climbed(generator, network, torch.cat([random[: n // 3], seen[third : n // 2] + random[third : n // 2]]))
    rest = n - len(climbers)
    others = torch.cat([random[-rest:][: rest * 2 // 3], crossed[: rest - rest * 2 // 3]])
    return of_typical_length(torch.cat([climbers, others]))


def refine(
    generator: Network,
    network: EmbeddedConvNet,
    comparator: EmbeddedConvNet,
    source: Iterator[Batch],
    minutes: float,
    report: Report,
    critic: losses.Critic | None = None,
) -> Network:
    """Return the generator after `minutes` more of training against the frozen networks and a critic."""
    device = next(generator.parameters()).device.type
    critic = critic or on_device(device, losses.Critic())
    generator.mixing, unmix = mixing(network, source)
    generator.train()
    average = Average(generator)
    draws = torch.optim.Adam(generator.parameters(), betas=(0.5, 0.98))
    judges = torch.optim.Adam(critic.parameters(), betas=(0.5, 0.98))
    for step, done in enumerate(progress(minutes)):
        images = recontrasted(next(source).images)
        half = len(images) // 2
        with autocast(device):
            with torch.no_grad():
                seen = network.encode(images).float() @ unmix
            wanted = seen[:half]
            drawn = (wanted + DRAWN_NOISE * torch.randn_like(wanted)) / (1 + DRAWN_NOISE**2) ** 0.5
            codes = torch.cat([drawn, searched(generator, network, seen[half:])])
            made = generator(codes)
            asked = generator.activations(codes)
            if step % 2:  # The two networks take turns, which costs half and teaches nearly as much.
                parts = _to_the_convnet(made, asked, images[:half], network)
            else:
                meant = network.decide(asked).detach().float()
                parts = _to_the_comparator(made, meant, images[:half], comparator)
            parts |= {
                "picture": losses.picture_error(made[:half], images[:half]),
                "critic": -critic(made).mean(),
            }
        loss = sum((WEIGHTS[name] * part for name, part in parts.items()), torch.zeros((), device=device))
        take_step(loss, draws, one_cycle(done, 6e-4))
        with autocast(device):
            apart = losses.told_apart(critic(images), critic(made.detach()))
        take_step(apart, judges, one_cycle(done, 6e-4))
        average.follow(generator)
        if step % 101 == 0:  # An odd number, so that both networks' turns are reported.
            said = " ".join(f"{name} {part:.3f}" for name, part in parts.items())
            report(f"refine {step}: {done:.2f} {said} apart {apart:.3f}")
    return average.network.eval()  # type: ignore[return-value]


def _to_the_convnet(made: Tensor, asked: Tensor, images: Tensor, network: EmbeddedConvNet) -> dict[str, Tensor]:
    """Return the errors in the ConvNet's eyes: of the code it reads, and of its maps of `images` drawn again."""
    n, maps = len(images), network.maps(made)
    with torch.no_grad():
        wanted = network.maps(images)
    return {
        "code": F.mse_loss(network.fc5(maps[-1]).float(), asked),
        "own_features": losses.feature_error([m[:n] for m in maps[1:3]], wanted[1:3]),
    }


def _to_the_comparator(made: Tensor, meant: Tensor, images: Tensor, comparator: EmbeddedConvNet) -> dict[str, Tensor]:
    """Return the errors in the comparator's eyes: of what a picture is called, and of its maps of `images`."""
    n, (maps, named) = len(images), losses.opinions(comparator, made)
    with torch.no_grad():
        wanted = comparator.maps(images)
    return {
        "named": losses.disagreement(named.float(), meant),
        "features": losses.feature_error([m[:n] for m in maps[1:4]], wanted[1:4]),
    }
