"""Weights from files of any kind that they are handed on in, with the layer named where they do not fit."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from server.generators.deepsim_networks import VARIANTS, Variant
from server.generators.generator import GeneratorError

State = dict[str, Tensor]
"""Weights and biases by name, such as "fc6.weight"."""


class WeightsError(GeneratorError):
    """A file of weights that is not there, not whole or not what it is taken for."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path) -> State:
    """Return the weights in a file as they are named there; raise WeightsError."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise WeightsError(f"{path}: weights are read from {', '.join(READERS)}, not from {path.suffix or 'this'!r}.")
    if not path.is_file():
        raise WeightsError(f"there is no file {path}.")
    return reader(path)


def fitted(name: str, variant: Variant, found: Mapping[str, Tensor], path: Path) -> State:
    """Return all weights and biases of a variant in XDream's names, float32; raise WeightsError where one differs.

    Layers of other networks, which some Caffe files hold as well, are left out.
    """
    given, state = _renamed(variant, found), {}
    for key, shape in variant.shapes.items():
        if key in given:
            state[key] = _checked(f"{path}: {name}, {key}", given[key], shape)
        elif key in variant.may_lack:
            state[key] = torch.zeros(shape)
        else:
            held = ", ".join(list(found)[:3])
            raise WeightsError(
                f"{path} is not {name}: {key} is missing, which should be {list(shape)}; it holds {held}, ..."
            )
    return state


def recognised(found: Mapping[str, Tensor], path: Path) -> str:
    """Return the name of the variant that these weights fit, by the file's name where several do."""
    fitting = [name for name, variant in VARIANTS.items() if _fits(variant, found)]
    if not fitting:
        raise WeightsError(f"{path} fits none of {', '.join(VARIANTS)}. With --name NAME it is said what differs.")
    said = f"{path.parent.name}/{path.name}".lower()
    # "fc6-places" is looked for before "fc6", which is part of it.
    for name in sorted(fitting, key=len, reverse=True):
        if all(word in said for word in name.removeprefix("deepsim-").split("-")):
            return name
    if len(fitting) == 1:
        return fitting[0]
    raise WeightsError(f"{path} may be {' or '.join(fitting)}, which have the same layers: say which with --name NAME.")


def without_zero_biases(variant: Variant, state: State) -> State:
    """Return the weights as XDream keeps them: where a layer was trained without a bias, none."""
    return {
        key: tensor.contiguous() for key, tensor in state.items() if not (key in variant.may_lack and not tensor.any())
    }


def _fits(variant: Variant, found: Mapping[str, Tensor]) -> bool:
    given = _renamed(variant, found)
    needed = (key for key in variant.shapes if key in given or key not in variant.may_lack)
    return all(key in given and tuple(given[key].shape) == variant.shapes[key] for key in needed)


def _renamed(variant: Variant, found: Mapping[str, Tensor]) -> State:
    """Return the tensors of a variant's layers in XDream's names."""
    # Files from nn.DataParallel and from a generator inside another module carry a prefix; some of
    # circuit_toolkit's wrap a layer in a pair, "deconv5.1.weight".
    bare = {key.removeprefix("module.").removeprefix("G.").replace(".1.", "."): each for key, each in found.items()}
    # Only one naming counts: beside a Caffe generator's "defc6" may stand the "fc6" of the network it inverts.
    caffe = any(key.startswith(("defc", "deconv", "Rconv")) for key in bare)
    names = {layer.caffe_name if caffe else layer.name: layer.name for layer in variant.layers}
    parts = ((names.get(layer), kind, each) for key, each in bare.items() for layer, _, kind in [key.rpartition(".")])
    return {f"{layer}.{kind}": each for layer, kind, each in parts if layer}


def _checked(what: str, tensor: Tensor, shape: tuple[int, ...]) -> Tensor:
    if tuple(tensor.shape) != shape:
        raise WeightsError(f"{what} is {list(tensor.shape)}, and should be {list(shape)}.")
    if not torch.isfinite(tensor).all():
        raise WeightsError(f"{what} holds NaN or infinity: the file is damaged. Get it again.")
    return tensor.float()


def _read_torch(path: Path) -> State:
    try:
        held: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as wrong:  # whatever torch meets in a damaged file
        raise WeightsError(
            f"{path} cannot be read as weights: it is damaged, or holds more than tensors, which is not loaded "
            "because it could run anything."
        ) from wrong
    held = held.get("state_dict", held) if isinstance(held, dict) else held
    if not isinstance(held, dict) or not all(isinstance(tensor, Tensor) for tensor in held.values()):
        raise WeightsError(
            f"{path} holds no table of tensors by name: save it with torch.save(net.state_dict(), PATH)."
        )
    return dict(held)


def _read_safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except SafetensorError as wrong:
        raise WeightsError(f"{path} cannot be read as safetensors: {wrong}.") from wrong


def _read_caffe(path: Path) -> State:
    from server.generators.caffemodel import CaffeError, read_caffemodel

    try:
        return {name: torch.from_numpy(numbers) for name, numbers in read_caffemodel(path).items()}
    except CaffeError as wrong:
        raise WeightsError(str(wrong)) from wrong


READERS: dict[str, Callable[[Path], State]] = {
    ".safetensors": _read_safetensors,
    ".pt": _read_torch,
    ".pth": _read_torch,
    ".bin": _read_torch,
    ".caffemodel": _read_caffe,
}
