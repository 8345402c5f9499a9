"""From images to codes: walk down the gradient of the difference between picture and image."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from protocol.arrays import Images
from server.generators.processor import Processor
from server.generators.shaping import resized

N_STEPS = 200
FIRST_STEP = 0.1
"""Length of the first step of each number, in units of the codes' typical size; the last is all but nothing."""
BLUR_PX = 8
"""The difference of blurred pictures counts too: it has a slope where fine detail has none yet."""
BLUR_SHARE = 0.5
AT_A_TIME = 16
"""Images; a network's activations are kept for the gradient, which takes about 60 MB an image."""


def inverted(
    pictures: Callable[[Tensor], Tensor],
    images: Images,
    processor: Processor,
    code_shape: tuple[int, ...],
    code_rms: float = 1.0,
    n_steps: int = N_STEPS,
) -> NDArray[np.float32]:
    """Return codes [n_images, *code_shape] whose pictures, RGB [n, 3, height, width] of 0..1, come near images.

    Every search starts at the same code of root mean square `code_rms`, so equal images get equal codes.
    """
    if not len(images):
        return np.zeros((0, *code_shape), np.float32)
    start = torch.randn(code_shape, generator=torch.Generator().manual_seed(0))
    start *= code_rms / start.square().mean().sqrt()
    with torch.no_grad():
        height_px, width_px = pictures(processor.taken(start[None])).shape[2:]
    wanted = torch.from_numpy(resized(images, (height_px, width_px))).permute(0, 3, 1, 2)
    parts = [_descended(pictures, part, processor, start, n_steps) for part in torch.split(wanted, AT_A_TIME)]
    return np.concatenate([part.cpu().numpy() for part in parts])


def _descended(
    pictures: Callable[[Tensor], Tensor], images: Tensor, processor: Processor, start: Tensor, n_steps: int
) -> Tensor:
    """Return the best code on the way for each image."""
    wanted = images.to(processor.device).float() / 255
    codes = start.to(processor.device).expand(len(images), *start.shape).clone().requires_grad_()
    first_step = FIRST_STEP * float(start.square().mean().sqrt())
    adam = torch.optim.Adam([codes], lr=first_step)
    best, least = codes.detach().clone(), torch.full((len(images),), torch.inf, device=processor.device)
    for step in range(n_steps):
        adam.param_groups[0]["lr"] = first_step * (1 + np.cos(np.pi * step / n_steps)) / 2
        loss = _difference(pictures(processor.taken(codes)), wanted)
        better = loss.detach() < least
        best[better], least[better] = codes.detach()[better], loss.detach()[better]
        adam.zero_grad()
        loss.sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
    return best


def _difference(pictures: Tensor, images: Tensor) -> Tensor:
    """Return [n] the mean squared difference of pixels and of blurred pixels.

    Levels beyond black and white differ too: clipped, they would have no slope to come back by.
    """
    fine = (pictures - images).square().mean((1, 2, 3))
    size_px = min(BLUR_PX, *images.shape[2:])
    coarse = F.avg_pool2d(pictures - images, size_px).square().mean((1, 2, 3))
    return fine + BLUR_SHARE * coarse
