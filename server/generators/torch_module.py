"""Any torch.nn.Module as a generator: where it is, what its codes are, and what its pictures' numbers mean."""

from collections.abc import Callable, Mapping, Sequence
from math import inf, prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from protocol import plugins
from protocol.arrays import Codes, Images
from server.generators.generator import N_STEPS, GeneratorError, check_codes
from server.generators.inversion import inverted
from server.generators.processor import processor
from server.generators.weights import WeightsError, read_weights, sha256_of

RANGES = {"0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0), "0..255": (0.0, 255.0)}
"""Black and white, as a network may mean them."""
CHANNELS = {"RGB": [0, 1, 2], "BGR": [2, 1, 0]}


class TorchModule:
    """A network found by its import path; [n, *code_shape] to [n, 3 or 1, height, width].

    `blocks` are lengths and scales of the parts that a code is made of, such as [[128, 1.0], [128, 0.06]] for
    the noise and the class part of BigGAN: a search moves in numbers of about 1, the network sees them scaled.
    """

    def __init__(
        self,
        module: str,
        code_shape: Sequence[int] = (),
        output: str = "0..1",
        channels: str = "RGB",
        weights: str | Path = "",
        blocks: Sequence[tuple[int, float]] = (),
        separate: bool = False,
        arguments: Mapping[str, Any] | None = None,
        call: Mapping[str, Any] | None = None,
        device: str = "auto",
        dtype: str = "float32",
        batch_size: int = 64,
        code_rms: float = 1.0,
    ) -> None:
        self.name = f"torch_module {module}"
        _check_words(self.name, output, channels)
        self._black, self._white = RANGES[output]
        self._order = CHANNELS[channels]
        self.blocks = _blocks(self.name, blocks, code_shape)
        self.code_shape = tuple(code_shape) or (sum(length for length, _ in self.blocks),)
        self.code_rms = _positive(self.name, code_rms)
        self.usual_norm = self.code_rms * prod(self.code_shape) ** 0.5
        self.separate, self.call = separate, dict(call or {})
        self.processor = processor(self.name, device, dtype, batch_size)
        network = _loaded(self.name, module, dict(arguments or {}))
        self.weights_sha256 = _fill(network, Path(weights), self.name) if weights else ""
        self.network = self.processor.placed(network)

    def render(self, codes: Codes) -> Images:
        """Return the pictures, uint8 [n_codes, height_px, width_px, 3] RGB, of codes [n_codes, *code_shape]."""
        check_codes(self.name, codes, self.code_shape)
        return self.processor.draw(self._levels, codes)

    def invert(self, images: Images, n_steps: int = N_STEPS) -> Codes:
        """Return codes [n_images, *code_shape] float32 whose pictures come near these images."""
        return inverted(self.pictures, images, self.processor, self.code_shape, self.code_rms, n_steps)

    def pictures(self, codes: Tensor) -> Tensor:
        """Return the pictures [n, 3, height_px, width_px] RGB of codes; 0 is black, 1 white, neither is a limit."""
        parts = self._parts(codes)
        try:
            drawn = self.network(*(parts if self.separate else [torch.cat(parts, 1)]), **self.call)
        except (RuntimeError, TypeError) as wrong:
            shapes = ", ".join(str(list(part.shape)) for part in parts)
            raise GeneratorError(f"{self.name} failed with codes of {shapes}: {wrong}.") from wrong
        if not isinstance(drawn, Tensor) or drawn.ndim != 4 or drawn.shape[1] not in (1, 3):
            got = list(drawn.shape) if isinstance(drawn, Tensor) else type(drawn).__name__
            raise GeneratorError(f"{self.name} must return a tensor [n, 3 or 1, height, width], not {got}.")
        colours = drawn.float().expand(-1, 3, -1, -1)[:, self._order]
        return (colours - self._black) / (self._white - self._black)

    def _parts(self, codes: Tensor) -> list[Tensor]:
        """Return the blocks of codes, each scaled; all of it where there are no blocks."""
        if not self.blocks:
            return [codes]
        parts = torch.split(codes, [length for length, _ in self.blocks], dim=1)
        return [part * scale for part, (_, scale) in zip(parts, self.blocks, strict=True)]

    def _levels(self, codes: Tensor) -> Tensor:
        return (self.pictures(codes).clamp(0, 1) * 255).round().to(torch.uint8)


def _check_words(name: str, output: str, channels: str) -> None:
    for word, value, known in (("output", output, RANGES), ("channels", channels, CHANNELS)):
        if value not in known:
            raise GeneratorError(f"{name}: {word} must be one of {', '.join(known)}, got {value!r}.")


def _positive(name: str, code_rms: float) -> float:
    if isinstance(code_rms, bool) or not isinstance(code_rms, int | float) or not 0 < code_rms < inf:
        raise GeneratorError(f"{name}: code_rms must be a number above 0, got {code_rms!r}.")
    return float(code_rms)


def _blocks(name: str, blocks: Sequence[Any], code_shape: Sequence[int]) -> list[tuple[int, float]]:
    """Return length and scale of each block, checked against the code's shape."""
    if not blocks and not code_shape:
        raise GeneratorError(f"{name}: code_shape is missing, such as [128], or blocks, such as [[128, 1.0]].")
    if not all(isinstance(block, list | tuple) and len(block) == 2 and block[0] > 0 for block in blocks):
        raise GeneratorError(f"{name}: blocks must be [length, scale] each, got {list(blocks)!r}.")
    total = sum(block[0] for block in blocks)
    if blocks and code_shape and (len(code_shape) != 1 or prod(code_shape) != total):
        raise GeneratorError(f"{name}: blocks of {total} numbers together do not make a code of {list(code_shape)}.")
    return [(int(length), float(scale)) for length, scale in blocks]


def _loaded(name: str, path: str, arguments: dict[str, Any]) -> nn.Module:
    """Return the network that a path leads to: a module, or what returns one."""
    found: nn.Module | Callable[..., Any] = plugins.load(path)
    try:
        network = found if isinstance(found, nn.Module) else found(**arguments)
    except TypeError as wrong:
        raise GeneratorError(f"{name} cannot be made: {wrong}.") from wrong
    if not isinstance(network, nn.Module):
        raise GeneratorError(f"{name} is no torch.nn.Module, nor returns one, but a {type(network).__name__}.")
    return network


def _fill(network: nn.Module, path: Path, name: str) -> str:
    """Put the weights of a file into a network, and return the file's SHA-256."""
    given, wanted = read_weights(path), network.state_dict()
    for key, tensor in wanted.items():
        if key not in given:
            raise WeightsError(f"{path} does not fit {name}: {key} is missing, which should be {list(tensor.shape)}.")
        if given[key].shape != tensor.shape:
            raise WeightsError(
                f"{path} does not fit {name}: {key} is {list(given[key].shape)}, and should be {list(tensor.shape)}."
            )
        if not torch.isfinite(given[key]).all():
            raise WeightsError(f"{path}: {key} holds NaN or infinity: the file is damaged. Get it again.")
    network.load_state_dict({key: given[key] for key in wanted})
    return sha256_of(path)
