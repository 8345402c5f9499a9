"""Networks to record from: found by name or import path, given weights, and asked for their layers."""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from adapters.source import SourceError
from protocol.plugins import PluginError, find, nearest

NETWORKS = {"embedded": "simulator.networks.convnet:embedded_convnet"}
USUAL_SIZES_PX = (64, 224, 128, 96, 32, 227, 256, 299)
"""Image sizes to try on a network that nobody has described; most take any."""

PYTHON_FILE = re.compile(r"\.py:\w+$")

CHECKPOINT_KEYS = ("state_dict", "model")
"""Where checkpoints of a training keep the weights, among much else."""
NOT_ALWAYS_SAVED = "num_batches_tracked"
"""Of batch normalisation; weights from before 2018 have none."""

Layers = list[tuple[str, tuple[int, ...], int]]
"""Name, output shape without the images' axis and channels first, and number of units."""


def create_network(name: str, weights: str = "") -> nn.Module:
    """Return the network of that name, of that `package.module:callable` or `path/to/file.py:callable`.

    Its weights come from a file, if one is named.
    """
    try:
        made = _in_file(name) if PYTHON_FILE.search(name) else find("network", name, NETWORKS)
        network = made if isinstance(made, nn.Module) else made()
    except PluginError as wrong:
        raise SourceError(str(wrong)) from wrong
    except (OSError, SafetensorError, RuntimeError, TypeError) as wrong:
        raise SourceError(f"network {name!r} cannot be made: {wrong}.") from wrong
    if not isinstance(network, nn.Module):
        raise SourceError(f"network {name!r} gives a {type(network).__name__}, not a torch.nn.Module.")
    if weights:
        load_weights(network, Path(weights))
    return network.eval().requires_grad_(False)


def load_weights(network: nn.Module, path: Path) -> None:
    """Give the network the weights in a .safetensors file or in a .pt file that holds tensors only.

    They may have been saved with a wrapper's name before each, such as "module.".
    """
    if not path.is_file():
        raise SourceError(f"there is no weights file {path}.")
    state = _unwrapped(_read(path), network, path)
    try:
        fit = network.load_state_dict(state, strict=False)
    except RuntimeError as wrong:
        raise SourceError(f"{path} does not fit the network: {str(wrong).splitlines()[-1].strip()}") from wrong
    if fit.missing_keys or fit.unexpected_keys:
        lacks, more = (", ".join(keys[:3]) or "nothing" for keys in fit)
        raise SourceError(f"{path} does not fit the network: it lacks {lacks}; the network has no place for {more}.")


def list_layers(network: nn.Module, size_px: int = 0) -> Layers:
    """Return the layers that units can be recorded from, in the order in which an image passes them.

    Their shapes are those for images of this side; 0 = the first of the usual sizes that the network takes.
    """
    return sized_layers(network, size_px)[1]


def sized_layers(network: nn.Module, size_px: int = 0) -> tuple[int, Layers]:
    """Return the side of the images, and the layers as `list_layers` does; raise SourceError."""
    sizes_px = (size_px,) if size_px else USUAL_SIZES_PX
    for side_px in sizes_px:
        try:
            return side_px, _layers_at(network, side_px)
        except (RuntimeError, ValueError, AssertionError) as wrong:
            last = wrong
    sizes = ", ".join(map(str, sizes_px))
    which = f"of {sizes} px" if size_px else f"of none of the usual sizes ({sizes} px)"
    raise SourceError(f"the network takes {'no ' if size_px else ''}RGB images {which}: {last}")


def channels_first(output: Tensor) -> Tensor:
    """Return what a layer says, its channels second: in a transformer's [n, tokens, channels] they are last."""
    return output.transpose(1, 2) if output.ndim == 3 else output


def usual_place(shape: Sequence[int]) -> tuple[int, ...]:
    """Return where a unit without a place is, in a layer [channels, *places]: a map's centre; of tokens, the first.

    The first is the class token of those that have one.
    """
    return (0,) if len(shape) == 2 else tuple(n // 2 for n in shape[1:])


def layer_shape(layers: Layers, name: str) -> tuple[int, ...]:
    """Return the output shape of a layer; raise SourceError with the known ones where there is no such layer."""
    shapes = {each: shape for each, shape, _ in layers}
    if name not in shapes:
        raise SourceError(f"no layer named {name!r}.{nearest(name, shapes)} Known: {', '.join(shapes)}.")
    return shapes[name]


def _in_file(name: str) -> Any:
    """Return what a Python file calls by the name after the colon; whoever names it trusts it, as any plug-in."""
    path, _, attribute = name.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise SourceError(f"network {name!r}: there is no Python file {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, attribute):
        raise SourceError(f"network {name!r}: {path} has no {attribute!r}.")
    return getattr(module, attribute)


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as wrong:  # whatever torch meets in a damaged file
        raise SourceError(
            f"{path} cannot be read as weights: {(str(wrong) or type(wrong).__name__).splitlines()[0]}"
        ) from wrong
    for key in CHECKPOINT_KEYS:
        state = state[key] if isinstance(state, dict) and isinstance(state.get(key), dict) else state
    if not isinstance(state, dict):
        raise SourceError(f"{path} holds a {type(state).__name__}, not a dictionary of weights.")
    return state


def _unwrapped(state: dict[str, Any], network: nn.Module, path: Path) -> dict[str, Any]:
    """Return the network's own weights out of a wrapper's, with the wrapper's prefix off; or the state as it is.

    A prefix counts if all of the network's weights are there with it, and no others. What has none of it belongs to
    the wrapper. Of several that fit, all must give the same weights.
    """
    names = set(network.state_dict())
    needed = {name for name in names if not name.endswith(NOT_ALWAYS_SAVED)}
    some = min(needed, default="")
    prefixes = sorted({key.removesuffix(some) for key in state if key.endswith(f".{some}")})
    inside = [{key.removeprefix(each): state[key] for key in state if key.startswith(each)} for each in prefixes]
    fitting = [own for own in inside if needed <= own.keys() <= names]
    if some in state or not fitting:
        return state
    if any(not torch.equal(own[name], fitting[0][name]) for own in fitting[1:] for name in needed):
        raise SourceError(f"{path} holds several sets of weights for the network: save the one you mean.")
    return fitting[0]


def _layers_at(network: nn.Module, size_px: int) -> Layers:
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim in (2, 3, 4) and len(output) == 1:
                found.setdefault(name, tuple(channels_first(output).shape[1:]))

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in network.named_modules() if name]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size_px, size_px))
    finally:
        for each in hooks:
            each.remove()
    return [(name, shape, torch.Size(shape).numel()) for name, shape in found.items()]
