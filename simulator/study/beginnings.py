"""Where a search begins: as the server's searches do, or from the images that drive its own unit most or least."""

import inspect
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from adapters.source import SourceError
from protocol.plugins import PluginError, check_name, nearest
from server import initial_codes
from server.config import ConfigError
from server.generators import Generator, check_codes
from server.generators.generator import GeneratorError, Inverting
from simulator.models import layer_shape
from simulator.study import parts
from simulator.study.experiment import Batch, Planned
from simulator.study.parts import GeneratorSpec, NetworkSpec
from simulator.study.recording import Recording

UNIT_IMAGES = "unit_images"
RANKS = ("best", "middle", "worst")


def begin(planned: Planned, batch: Batch, generator: Generator, seed: tuple[int, int]) -> dict[str, Any]:
    """Return what an optimizer is given to begin with: `initial_codes`, or nothing."""
    name, parameters = planned.initial["name"], planned.initial["parameters"]
    if not name:
        return {}
    try:
        if name == UNIT_IMAGES:
            return {"initial_codes": unit_images(planned, batch, generator, **parameters)}
        return {"initial_codes": initial_codes.create(name, generator, seed, **parameters)}
    except (initial_codes.InitialCodesError, GeneratorError) as wrong:
        raise ConfigError(f"[[initial]] {planned.labels.initial!r}: {wrong}") from wrong


def unit_images(
    planned: Planned,
    batch: Batch,
    generator: Generator,
    which: str = "best",
    n: int = 20,
    layer: str = "",
    steps: int = 200,
) -> NDArray[np.float32]:
    """Return codes [n, *code_shape] of the n reference images that drive the unit most, middling or least.

    With a layer they are what the network says of the images there: the code of a generator that inverts that
    layer. Without, they are found by descent on the pixels' difference, in so many steps.
    """
    images = batch.images.pictures(planned.reference.ranked[which][:n], batch.size_px)
    if not layer:
        if not hasattr(generator, "invert"):
            raise GeneratorError(f"{type(generator).__name__} cannot turn images into codes: it has no invert().")
        return np.asarray(cast(Inverting, generator).invert(images, steps), np.float32)
    said = Recording(batch.network, [], batch.device).whole(layer, images)
    codes_for = getattr(generator, "codes_for", None)
    codes = np.asarray(said if codes_for is None else codes_for(said), np.float32)
    check_codes(f"{batch.generator.name} from layer {layer}", codes, generator.code_shape)
    return codes


def check_beginning(label: str, initial: dict[str, Any], network: NetworkSpec, drawing: GeneratorSpec) -> None:
    """Raise ConfigError for a beginning that there is not, that takes no such parameters, or that codes cannot have."""
    name, parameters = initial["name"], initial["parameters"]
    if not name:
        return
    where = f"[[initial]] {label!r}"
    if name != UNIT_IMAGES:
        try:
            return check_name("initial codes", name, initial_codes.INITIAL_CODES | {UNIT_IMAGES: ""})
        except PluginError as wrong:
            raise ConfigError(f"{where}: {wrong}") from wrong
    known = list(inspect.signature(unit_images).parameters)[3:]
    for key in parameters:
        if key not in known:
            raise ConfigError(f"{where}: no parameter {key!r}.{nearest(key, known)} Known: {', '.join(known)}.")
    if parameters.get("which", "best") not in RANKS:
        raise ConfigError(f"{where}, which must be one of {', '.join(RANKS)}, got {parameters['which']!r}.")
    generator = parts.generator(drawing)
    if parameters.get("layer"):
        _check_layer(f"{where}, layer", parameters["layer"], network, drawing)
    elif not hasattr(generator, "invert"):
        raise ConfigError(f"{where}: generator {drawing.name!r} cannot turn images into codes: it has no invert().")


def _check_layer(where: str, layer: str, network: NetworkSpec, drawing: GeneratorSpec) -> None:
    """Raise ConfigError unless a network has that layer, and what it says there can be a generator's code."""
    generator = parts.generator(drawing)
    try:
        shape = layer_shape(parts.layers(network, parts.rendered_px(drawing)), layer)
        said = np.zeros((1, *shape), np.float32)
        codes_for = getattr(generator, "codes_for", None)
        check_codes(where, said if codes_for is None else np.asarray(codes_for(said)), generator.code_shape)
    except SourceError as wrong:
        raise ConfigError(f"{where}: of network {network.model!r}: {wrong}") from wrong
    except ValueError as wrong:
        here, code = (" x ".join(map(str, each)) for each in (shape, generator.code_shape))
        raise ConfigError(
            f"{where}: {layer!r} of network {network.model!r} says {here} numbers of an image, and a code of generator "
            f"{drawing.name!r} has {code}. Name the layer that the generator inverts, or leave layer out: codes "
            "are then found by descent on the pixels."
        ) from wrong
