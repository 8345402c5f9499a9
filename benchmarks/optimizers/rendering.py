"""The embedded generator and ConvNet made fast for the many pictures of a benchmark: the same networks, other sums.

Batch norms are folded into the weights; a convolution of a map enlarged twofold becomes one of the small map; the
last maps stay at 32 x 32 with four pixels to a place; only the part of the picture that a unit sees is drawn; and
the numbers are bfloat16. What a search recommends is judged by the networks as they are, in float32.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from server.generators.embedded import START, Embedded, limited

SIDE_PX = 64
LEAK = 0.2
FOUR = tuple(product(range(2), repeat=2))
"""The places of the larger map, row and column, that one of the smaller becomes."""
TAPS = tuple(product(range(3), repeat=2))


class Span(NamedTuple):
    """Rows (or columns) first to last, the last not included."""

    first: int
    last: int


class Window(NamedTuple):
    """A part of the picture, in pixels."""

    rows: Span
    columns: Span


WHOLE = Window(Span(0, SIDE_PX), Span(0, SIDE_PX))


class FastGenerator:
    """Draws a window of the pictures [n, 3, height_px, width_px] in 0..1 of codes [n, 256]."""

    def __init__(self, dtype: torch.dtype = torch.bfloat16) -> None:
        network: Any = Embedded().network  # its layers' kinds are known, though not to a type checker
        self.mixing, self.dtype = network.mixing, dtype
        self.start = fuse_linear_bn_eval(network.start[0], network.start[1]).to(dtype)
        stages = [
            [fuse_conv_bn_eval(block[0], block[1]) for block in stage]
            for stage in (network.at8, network.at16, network.at32)
        ]
        self.stages = [(_enlarging(first, dtype), ready(second, dtype)) for first, second in stages]
        self.four, self.last = ready(network.at64[0], dtype), _of_fours(network.at64[3], dtype)

    def draw(self, codes: Tensor, window: Window = WHOLE) -> Tensor:
        """Return the window of the pictures, in the dtype of this generator."""
        maps = F.leaky_relu(self.start((limited(codes) @ self.mixing).to(self.dtype)), LEAK)
        maps = maps.view(-1, START, 4, 4).contiguous(memory_format=torch.channels_last)
        spans = [_needed(span) for span in window]
        for level, (first, second) in enumerate(self.stages):
            rows, columns = spans[0][level], spans[1][level]
            maps = F.leaky_relu_(_enlarged(first, maps), LEAK)
            maps = F.leaky_relu_(second(_cut(maps, rows.enlarged, columns.enlarged)), LEAK)
            maps = _cut(maps, rows.kept, columns.kept)
        maps = F.leaky_relu_(self.four(maps), LEAK)
        picture = F.pixel_shuffle(self.last(maps), 2).sigmoid()
        return picture[:, :, spans[0][2].shown, spans[1][2].shown]


class Cuts(NamedTuple):
    """What is cut out of a stage's maps, each relative to the cut before."""

    enlarged: slice
    """Before the second convolution."""
    kept: slice
    """After it."""
    shown: slice
    """Of the picture that the last stage's part gives."""


def _needed(span: Span) -> list[Cuts]:
    """Return the cuts at 8, 16 and 32 pixels that leave all that a span of the picture depends on.

    A convolution reads one place further on each side; past a cut it reads zeros, so that much more is kept.
    """
    wants = []
    first, last = span.first // 2, -(-span.last // 2)
    reach = 2  # the two convolutions that follow the last stage
    for side in (32, 16, 8):
        kept = Span(max(first - reach, 0), min(last + reach, side))
        enlarged = Span(max(kept.first - 1, 0), min(kept.last + 1, side))
        wants.append((enlarged, kept))
        # An enlarged place reads its own and a neighbouring place of the smaller map.
        first, last, reach = max(enlarged.first - 1, 0) // 2, min((enlarged.last + 2) // 2, side // 2), 0
    cuts, origin = [], 0
    for enlarged, kept in reversed(wants):
        shown = slice(span.first - 2 * kept.first, span.last - 2 * kept.first)
        cuts.append(
            Cuts(
                slice(enlarged.first - origin, enlarged.last - origin),
                slice(kept.first - enlarged.first, kept.last - enlarged.first),
                shown,
            )
        )
        origin = 2 * kept.first
    return cuts


def _cut(maps: Tensor, rows: slice, columns: slice) -> Tensor:
    part = maps[:, :, rows, columns]
    return part if part.shape == maps.shape else part.contiguous(memory_format=torch.channels_last)


def _enlarging(convolution: nn.Conv2d, dtype: torch.dtype) -> nn.Conv2d:
    """Return the 2 x 2 convolution that gives the four places which 3 x 3 gives on a map enlarged twofold."""
    weight = convolution.weight
    n_out, n_in = weight.shape[:2]
    small = torch.zeros(2, 2, n_out, n_in, 2, 2)
    for (y, x), (row, column) in product(FOUR, TAPS):
        # Where on the small map: -1 or 0 for the upper place of two, 0 or 1 for the lower.
        small[y, x, :, :, (y + row - 1) // 2 + 1 - y, (x + column - 1) // 2 + 1 - x] += weight[:, :, row, column]
    return _made(small.reshape(4 * n_out, n_in, 2, 2), _bias(convolution).repeat(4), dtype)


def _enlarged(convolution: nn.Conv2d, maps: Tensor) -> Tensor:
    """Return the maps enlarged twofold and convolved."""
    n, _, height, width = maps.shape
    fours: Tensor = convolution(maps).permute(0, 2, 3, 1).view(n, height + 1, width + 1, 2, 2, -1)
    result = fours.new_empty(n, height, 2, width, 2, fours.shape[-1])
    for y, x in FOUR:
        result[:, :, y, :, x] = fours[:, y : y + height, x : x + width, y, x]
    return result.view(n, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def _of_fours(convolution: nn.Conv2d, dtype: torch.dtype) -> nn.Conv2d:
    """Return the 3 x 3 convolution of maps with four pixels to a place that gives four pixels to a place."""
    weight = convolution.weight
    n_out, n_in = weight.shape[:2]
    wide = torch.zeros(n_out, 2, 2, n_in, 2, 2, 3, 3)
    for (y, x), (row, column) in product(FOUR, TAPS):
        of_y, of_x = y + row - 1, x + column - 1
        wide[:, y, x, :, of_y % 2, of_x % 2, of_y // 2 + 1, of_x // 2 + 1] = weight[:, :, row, column]
    return _made(wide.reshape(4 * n_out, 4 * n_in, 3, 3), _bias(convolution).repeat_interleave(4), dtype)


def _bias(convolution: nn.Conv2d) -> Tensor:
    assert convolution.bias is not None
    return convolution.bias


def _made(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> nn.Conv2d:
    n_out, n_in, size, _ = weight.shape
    made = nn.Conv2d(n_in, n_out, size, padding=1)
    made.weight.data = weight
    made.bias = nn.Parameter(bias)
    return ready(made, dtype)


def ready(convolution: Any, dtype: torch.dtype) -> nn.Conv2d:
    """Return a convolution with fixed weights of that kind, laid out for maps with their channels last."""
    moved: nn.Conv2d = convolution.requires_grad_(False).to(dtype=dtype, memory_format=torch.channels_last)
    return moved
