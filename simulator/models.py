"""Networks to record from: found by name or import path, given weights, and asked for their layers."""

import importlib.util
import pickle
import re
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

Layers = list[tuple[str, tuple[int, ...], int]]
"""Name, output shape without the images' axis, and number of units."""


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
    """Give the network the weights in a .safetensors file or in a .pt file that holds tensors only."""
    if not path.is_file():
        raise SourceError(f"there is no weights file {path}.")
    state = _read(path)
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
    sizes_px = (size_px,) if size_px else USUAL_SIZES_PX
    for side_px in sizes_px:
        try:
            return _layers_at(network, side_px)
        except (RuntimeError, ValueError, AssertionError) as wrong:
            last = wrong
    sizes = ", ".join(map(str, sizes_px))
    raise SourceError(f"the network takes RGB images of none of the usual sizes ({sizes} px): {last}")


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
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as wrong:
        raise SourceError(f"{path} cannot be read as weights: {str(wrong).splitlines()[0]}") from wrong
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict):
        raise SourceError(f"{path} holds a {type(state).__name__}, not a dictionary of weights.")
    return state


def _layers_at(network: nn.Module, size_px: int) -> Layers:
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str) -> Any:
        def hook(module: nn.Module, given: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim in (2, 4):
                found.setdefault(name, tuple(output.shape[1:]))

        return hook

    hooks = [module.register_forward_hook(note(name)) for name, module in network.named_modules() if name]
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, size_px, size_px))
    finally:
        for each in hooks:
            each.remove()
    return [(name, shape, torch.Size(shape).numel()) for name, shape in found.items()]
