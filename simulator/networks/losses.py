"""What the classifier and the generator are trained to make small."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simulator.networks.convnet import EmbeddedConvNet
from simulator.networks.images import KINDS

N_KINDS = len(KINDS)


def naming(logits: Tensor, kinds: Tensor, colours: Tensor) -> Tensor:
    """Return the cross-entropy of both labels, smoothed so that no image is worth an infinite logit."""
    of_kind = F.cross_entropy(logits[:, :N_KINDS], kinds, label_smoothing=0.1)
    of_colour = F.cross_entropy(logits[:, N_KINDS:], colours, label_smoothing=0.1)
    return of_kind + 0.5 * of_colour


def disagreement(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return how far one network's opinion of a picture is from another's, for both labels."""
    total = torch.zeros((), device=logits.device)
    for part in (slice(0, N_KINDS), slice(N_KINDS, None)):
        target = wanted[:, part].softmax(1)
        total = total + F.kl_div(logits[:, part].log_softmax(1), target, reduction="batchmean")
    return total


def picture_error(made: Tensor, wanted: Tensor) -> Tensor:
    """Return absolute error at three scales, and of the differences between neighbouring pixels."""
    error = (made - wanted).abs().mean()
    for axis in (2, 3):
        error = error + (made.diff(dim=axis) - wanted.diff(dim=axis)).abs().mean()
    for _ in range(2):
        made, wanted = F.avg_pool2d(made, 2), F.avg_pool2d(wanted, 2)
        error = error + (made - wanted).abs().mean()
    return error


def feature_error(made: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Return the mean absolute error of each layer's maps over the maps' own mean, averaged over layers."""
    errors = [(m - w).abs().mean() / (w.abs().mean() + 1e-3) for m, w in zip(made, wanted, strict=True)]
    return torch.stack(errors).mean().float()


def correlation(codes: Tensor) -> Tensor:
    """Return the mean squared covariance of different dimensions of codes [n, n_dimensions]."""
    covariance = codes.T @ codes / len(codes)
    return (covariance - covariance.diag().diag()).square().mean()


class Critic(nn.Module):
    """Tell procedural images from generated ones, by patches and as a whole."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        norm, w = nn.utils.parametrizations.spectral_norm, width
        self.layers = nn.Sequential(
            norm(nn.Conv2d(3, w, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            norm(nn.Conv2d(w, 2 * w, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            norm(nn.Conv2d(2 * w, 4 * w, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            norm(nn.Conv2d(4 * w, 4 * w, 3, 1, 1)),
            nn.LeakyReLU(0.2),
        )
        self.patch = norm(nn.Conv2d(4 * w, 1, 3, 1, 1))
        self.whole = nn.Sequential(
            norm(nn.Conv2d(4 * w, 4 * w, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            norm(nn.Linear(4 * w * 16, 1)),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return [n, 80] scores, 64 of patches and 16 times that of the whole; high is real."""
        maps = self.layers((images - 0.5) * 2)
        return torch.cat([self.patch(maps).flatten(1), self.whole(maps).expand(-1, 16)], 1).float()


def told_apart(real: Tensor, made: Tensor) -> Tensor:
    """Return the critic's hinge loss."""
    return F.relu(1 - real).mean() + F.relu(1 + made).mean()


def opinions(network: EmbeddedConvNet, images: Tensor) -> tuple[list[Tensor], Tensor]:
    """Return the maps of conv1 to conv4 with the code as a fifth, and the logits."""
    maps = network.maps(images)
    code = network.fc5(maps[-1])
    return [*maps, code], network.decide(code)
