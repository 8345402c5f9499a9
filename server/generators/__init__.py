"""Generators of images: each turns points of its latent space into pictures.

    generator = create("raw_pixel", size=64)
    images = generator.render(codes)        # [n, *code_shape] -> uint8 [n, 64, 64, 3]

Every one takes the parameters of `shaping.Shape` too: `create("deepsim-fc6", size=128, aperture="circle")`.
A new one is a file, a name in `GENERATORS` and a pass of `tests/contracts/test_generators.py`.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from protocol import plugins
from server.generators.generator import Generator, GeneratorError, Inverting, Sized, check_codes
from server.generators.shaping import SHAPE, Shape, Shaped

__all__ = ["GENERATORS", "Generator", "GeneratorError", "Inverting", "Sized", "check_codes", "create"]

GENERATORS: dict[str, str] = {
    "embedded": "server.generators.embedded:Embedded",
    "raw_pixel": "server.generators.raw_pixel:RawPixel",
    "torch_module": "server.generators.torch_module:TorchModule",
    "deepsim-norm1": "server.generators.deepsim:norm1",
    "deepsim-norm2": "server.generators.deepsim:norm2",
    "deepsim-conv3": "server.generators.deepsim:conv3",
    "deepsim-conv4": "server.generators.deepsim:conv4",
    "deepsim-pool5": "server.generators.deepsim:pool5",
    "deepsim-fc6": "server.generators.deepsim:fc6",
    "deepsim-fc7": "server.generators.deepsim:fc7",
    "deepsim-fc8": "server.generators.deepsim:fc8",
    "deepsim-fc6-places": "server.generators.deepsim:fc6_places",
}


def create(name: str, **parameters: Any) -> Generator:
    """Return the generator of that name, or of that `package.module:Class`, its pictures shaped as asked.

    A parameter that the generator has itself is its own, such as `size` of "raw_pixel".
    """
    try:
        part = plugins.find("generator", name, GENERATORS)
        own, shape = _sorted_out(name, part, parameters)
        generator: Generator = plugins.create("generator", name, GENERATORS, **own)
    except plugins.PluginError as wrong:
        raise GeneratorError(str(wrong)) from wrong
    return Shaped(generator, Shape(**shape)) if shape else generator


def _sorted_out(
    name: str, part: Callable[..., Any], parameters: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the parameters that are the generator's own, and those that shape its pictures."""
    signature = inspect.signature(part).parameters.values()
    own = [each.name for each in signature if each.kind is not each.VAR_KEYWORD]
    takes_any = len(own) < len(signature)
    shaping = [each for each in SHAPE if each not in own]
    for parameter in parameters:
        if parameter not in own and parameter not in shaping and not takes_any:
            raise GeneratorError(_unknown(name, parameter, own, shaping))
    shape = {key: value for key, value in parameters.items() if key in shaping}
    return {key: value for key, value in parameters.items() if key not in shape}, shape


def _unknown(name: str, parameter: str, own: Iterable[str], shaping: Iterable[str]) -> str:
    known = [*own, *shaping]
    return (
        f"generator {name!r}: no parameter {parameter!r}.{plugins.nearest(parameter, known)} Known: {', '.join(known)}."
    )
