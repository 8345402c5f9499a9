"""Where a network runs: on which device, how exactly, how many codes at a time."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from protocol.arrays import Codes, Images
from server.generators.generator import GeneratorError

log = logging.getLogger(__name__)
N = TypeVar("N", bound=nn.Module)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Processor:
    """A device, the numbers it reckons with, and how many codes it takes at once."""

    device: torch.device
    dtype: torch.dtype
    batch_size: int

    def placed(self, network: N) -> N:
        """Return the network ready to run there: fixed weights, channels last."""
        moved = network.eval().requires_grad_(False).to(self.device, self.dtype)
        return cast(N, moved.to(memory_format=torch.channels_last))  # type: ignore[call-overload]

    def taken(self, codes: Tensor) -> Tensor:
        """Return codes there, channels last where they are maps."""
        layout = torch.channels_last if codes.ndim == 4 else torch.contiguous_format
        return codes.to(self.device, self.dtype).contiguous(memory_format=layout)

    def draw(self, levels: Callable[[Tensor], Tensor], codes: Codes) -> Images:
        """Return images [n, height, width, 3] of codes, drawn by what returns uint8 RGB [n, 3, height, width].

        A device that runs out of memory is given half as many at a time.
        """
        numbers = torch.from_numpy(np.array(codes, np.float32))
        parts: list[Tensor] = []
        size, done = self.batch_size, 0
        with torch.inference_mode(), _to_the_last_digit():
            while done < len(numbers) or not parts:
                try:
                    parts.append(levels(self.taken(numbers[done : done + size])).permute(0, 2, 3, 1).cpu())
                    done += size
                except torch.cuda.OutOfMemoryError:
                    size = min(size, len(numbers)) // 2
                    if size == 0:
                        raise
                    log.warning("out of memory on %s: drawing %d images at a time", self.device, size)
        return np.ascontiguousarray(torch.cat(parts).numpy())


def processor(generator: str, device: str, dtype: str, batch_size: int) -> Processor:
    """Return what these words stand for, or raise GeneratorError."""
    if dtype not in DTYPES:
        raise GeneratorError(f"generator {generator!r}: dtype must be {' or '.join(DTYPES)}, got {dtype!r}.")
    if type(batch_size) is not int or batch_size < 1:
        raise GeneratorError(f"generator {generator!r}: batch_size must be at least 1, got {batch_size!r}.")
    return Processor(_device(generator, device), DTYPES[dtype], batch_size)


def _device(generator: str, name: str) -> torch.device:
    there_is_one = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda" if there_is_one else "cpu")
    if str(name).startswith("cuda") and not there_is_one:
        raise GeneratorError(
            f"generator {generator!r}: PyTorch finds no CUDA device here. "
            'Write device = "cpu", or "auto" for a GPU where there is one.'
        )
    try:
        return torch.device(name)
    except (RuntimeError, TypeError) as wrong:
        raise GeneratorError(
            f'generator {generator!r}: device must be "cpu", "cuda" or "auto", got {name!r}.'
        ) from wrong


def _to_the_last_digit() -> AbstractContextManager[Any]:
    """Keep a GPU from convolving float32 with 10-bit mantissas, and from picking a kernel by a race."""
    flags: Callable[..., AbstractContextManager[Any]] = torch.backends.cudnn.flags
    return flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
