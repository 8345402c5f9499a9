"""The three kinds of training: a classifier, a classifier with the generator that inverts it, the generator alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TypeVar

import torch
from torch import Tensor, nn

from server.generators.embedded import Network
from simulator.networks import losses
from simulator.networks.batches import Batch, degraded, one_cycle, progress, recontrasted
from simulator.networks.convnet import EmbeddedConvNet

N = TypeVar("N", bound=nn.Module)
Report = Callable[[str], None]
Snapshot = Callable[[nn.Module, nn.Module], None]
CODE_NOISE = 0.4


class Average:
    """A slow copy of a network: its weights' running mean, which draws and classifies better than the last step."""

    def __init__(self, network: nn.Module, keep: float = 0.998) -> None:
        self.network, self.keep, self.steps = deepcopy(network).requires_grad_(False), keep, 0

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        self.steps += 1
        keep = min(self.keep, self.steps / (self.steps + 10))
        pairs = zip(self.network.state_dict().values(), network.state_dict().values(), strict=True)
        for slow, fast in pairs:
            if slow.is_floating_point():
                slow.lerp_(fast, 1 - keep)


def on_device(device: str, network: N) -> N:
    """Return the network on the device, with its weights in the order that convolutions on a CPU prefer."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def autocast(device: str) -> torch.autocast:
    return torch.autocast(device, torch.bfloat16)


def take_step(loss: Tensor, optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Take one clipped step at a learning rate."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()


def train_classifier(
    network: EmbeddedConvNet, source: Iterator[Batch], minutes: float, report: Report
) -> EmbeddedConvNet:
    """Teach a network kinds and colours alone: the comparator's and the judge's training."""
    device = next(network.parameters()).device.type
    network.train()
    average = Average(network)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    for step, done in enumerate(progress(minutes)):
        batch = next(source)
        with autocast(device):
            logits = network(degraded(recontrasted(batch.images)))
        loss = losses.naming(logits.float(), batch.kinds, batch.colours)
        take_step(loss, optimizer, one_cycle(done, 2e-3))
        average.follow(network)
        if step % 200 == 0:
            right = (logits[:, : losses.N_KINDS].argmax(1) == batch.kinds).float().mean()
            report(f"classifier {step}: {done:.2f} loss {loss:.3f} kinds right {right:.2f}")
    return average.network.eval()  # type: ignore[return-value]


def train_pair(
    network: EmbeddedConvNet,
    generator: Network,
    comparator: EmbeddedConvNet,
    source: Iterator[Batch],
    minutes: float,
    report: Report,
    snapshot: Snapshot | None = None,
) -> tuple[EmbeddedConvNet, Network]:
    """Teach the ConvNet to name images from a code, and the generator to draw them again from that code."""
    device = next(network.parameters()).device.type
    network.train(), generator.train()
    averages = Average(network), Average(generator)
    optimizer = torch.optim.AdamW(
        [*network.parameters(), *generator.parameters()], betas=(0.9, 0.98), weight_decay=0.01
    )
    for step, done in enumerate(progress(minutes)):
        batch = next(source)
        images = recontrasted(batch.images)
        half = len(images) // 2
        with autocast(device):
            code = network.encode(degraded(images)).float()
            noisy = code + CODE_NOISE * torch.randn_like(code)
            logits = network.decide(noisy)
            made = generator(noisy / (1 + CODE_NOISE**2) ** 0.5)
            seen, named = losses.opinions(comparator, made[:half])
            with torch.no_grad():
                wanted = comparator.maps(images[:half])
        name = losses.naming(logits.float(), batch.kinds, batch.colours)
        picture, features = losses.picture_error(made, images), losses.feature_error(seen[1:4], wanted[1:4])
        meant = losses.naming(named.float(), batch.kinds[:half], batch.colours[:half])
        loss = name + 5 * picture + features + 0.3 * meant + 20 * losses.correlation(code)
        take_step(loss, optimizer, one_cycle(done, 1.5e-3))
        averages[0].follow(network), averages[1].follow(generator)
        if step % 100 == 0:
            right = (logits[:, : losses.N_KINDS].argmax(1) == batch.kinds).float().mean()
            report(
                f"pair {step}: {done:.2f} name {name:.3f} right {right:.2f} picture {picture:.4f} "
                f"features {features:.3f} meant {meant:.3f} correlation {losses.correlation(code):.4f}"
            )
            if snapshot is not None:
                snapshot(averages[0].network, averages[1].network)
    return averages[0].network.eval(), averages[1].network.eval()  # type: ignore[return-value]
