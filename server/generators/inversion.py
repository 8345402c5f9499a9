"""From images to codes: walk down the gradient of the difference between picture and image."""

from collections.abc import Callable
from math import cos, pi

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from protocol.arrays import Images
from server.generators.processor import Processor
from server.generators.shaping import resized

FIRST_STEP = 0.1
"""Length of the first step of each number, in units of the codes' typical size; the last is all but nothing."""
BLUR_PX = 8
"""The difference of blurred pictures counts too: it has a slope where fine detail has none yet."""
BLUR_SHARE = 0.5
BETA1, BETA2 = 0.9, 0.999
"""Share of the old in the running means of slope and squared slope, as in the paper."""
AT_A_TIME = 16
"""Images; a network's activations are kept for the gradient, which takes about 60 MB an image."""


def inverted(
    pictures: Callable[[Tensor], Tensor],
    images: Images,
    processor: Processor,
    code_shape: tuple[int, ...],
    code_rms: float,
    n_steps: int,
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
    """Return the best code on the way for each image; Adam (Kingma & Ba 2015), with steps that shrink to nothing."""
    wanted = images.to(processor.device).float() / 255
    codes = start.to(processor.device).expand(len(images), *start.shape).clone()
    slope, square = torch.zeros_like(codes), torch.zeros_like(codes)
    size = FIRST_STEP * float(start.square().mean().sqrt())
    best, least = codes.clone(), torch.full((len(images),), torch.inf, device=processor.device)
    for step in range(n_steps):
        codes.requires_grad_()
        loss = _difference(pictures(processor.taken(codes)), wanted)
        [gradient] = torch.autograd.grad(loss.sum(), codes)
        codes, loss = codes.detach(), loss.detach()
        better = loss < least
        best[better], least[better] = codes[better], loss[better]
        slope = BETA1 * slope + (1 - BETA1) * gradient
        square = BETA2 * square + (1 - BETA2) * gradient.square()
        root = (square / (1 - BETA2 ** (step + 1))).sqrt()
        shrunk = size * (1 + cos(pi * step / n_steps)) / 2
        codes = codes - shrunk * slope / (1 - BETA1 ** (step + 1)) / (root + torch.finfo(root.dtype).tiny)
    return best


def _difference(pictures: Tensor, images: Tensor) -> Tensor:
    """Return [n] the mean squared difference of pixels and of blurred pixels.

    Blacker than black is as good as black, where the image is black, and so with white. Elsewhere levels that
    will be clipped count in full: clipped, they would have no slope to come back by.
    """
    off = pictures - images
    off = torch.where(images <= 0, off.clamp(min=0), torch.where(images >= 1, off.clamp(max=0), off))
    coarse = F.avg_pool2d(off, min(BLUR_PX, *images.shape[2:]))
    return off.square().mean((1, 2, 3)) + BLUR_SHARE * coarse.square().mean((1, 2, 3))
