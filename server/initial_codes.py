"""Where a search begins: codes drawn at random, kept from before, or found for images.

    create("statistics", generator, seed=(7, 1), n=40, mean=-15.2, sd=15.1)    # [40, *code_shape] float32

They are handed to an optimizer as its `initial_codes`. Codes of the length that a generator was made for matter
more than anything else here: N(0, 1) for "deepsim-fc6" draws pictures of a quarter of the usual contrast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from protocol import plugins
from protocol.arrays import Images, Scores
from server.generators import Generator, GeneratorError, Inverting
from server.generators.generator import CodeStatistics
from server.npz import NpzError, content_of, named, read_array, read_npz
from server.pictures import NO_PICTURE

INITIAL_CODES = {
    "normal": "server.initial_codes:normal",
    "statistics": "server.initial_codes:statistics",
    "folder": "server.initial_codes:folder",
    "images": "server.initial_codes:images",
    "references": "server.initial_codes:references",
}
N_CODES = 40
"""Where nothing else is said: a generation of the published experiments in vivo."""
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}

Seed = int | Sequence[int]
Codes = NDArray[np.float32]


class InitialCodesError(ValueError):
    """Codes to begin with that cannot be had; says which, why, and what would do."""


def create(name: str, generator: Generator, seed: Seed, **parameters: Any) -> Codes:
    """Return codes [n, *code_shape] of that kind, the same for the same seed; raise InitialCodesError."""
    try:
        return cast(Codes, plugins.create("initial codes", name, INITIAL_CODES, generator, seed, **parameters))
    except (plugins.PluginError, GeneratorError) as wrong:
        raise InitialCodesError(str(wrong)) from wrong


def normal(generator: Generator, seed: Seed, n: int = N_CODES, sd: float = 1.0) -> Codes:
    """Return codes whose numbers are all N(0, sd), as XDream begins where it is told nothing."""
    return statistics(generator, seed, n, 0.0, sd, clip=False)


def statistics(
    generator: Generator,
    seed: Seed,
    n: int = N_CODES,
    mean: float | None = None,
    sd: float | None = None,
    file: str | Path = "",
    clip: bool | None = None,
) -> Codes:
    """Return codes as the layer's activations spread over images: N(mean, sd) in each number, clipped at zero.

    `file` is an .npz with arrays "mean" and "sd" of the code's shape. Do not clip where the layer is not
    rectified (fc8). Where mean, sd and file are left out they are the generator's own, and so is whether to clip;
    a generator that states none is refused. Of mean and sd alone, the other is 0 or 1.
    """
    shape = generator.code_shape
    if mean is None and sd is None and not file:
        own = _own_statistics(generator)
        mean, sd, clip = own.mean, own.sd, own.clipped if clip is None else clip
    given = np.asarray(0.0 if mean is None else mean), np.asarray(1.0 if sd is None else sd)
    means, sds = _statistics(Path(file), shape) if file else given
    if n < 1 or not (np.isfinite(means).all() and np.isfinite(sds).all() and (sds >= 0).all()):
        raise InitialCodesError(f"initial codes: n must be at least 1, mean finite and sd 0 or more, got {n} codes.")
    codes = means + sds * np.random.default_rng(seed).normal(size=(n, *shape))
    return _single(codes if clip is False else np.maximum(codes, 0))


def folder(generator: Generator, seed: Seed, folder: str | Path, n: int | None = None) -> Codes:
    """Return n of the codes in the .npy files of a folder, such as XDream writes, drawn without replacement."""
    files = sorted(_there(folder).glob("*.npy"))
    codes = np.concatenate([_codes(file, generator.code_shape) for file in files]) if files else np.zeros(0)
    if len(codes) < (n or 1):
        raise InitialCodesError(f"initial codes: {folder} holds {len(codes)} codes in .npy files, not {n or 1}.")
    chosen = slice(None) if n is None else np.random.default_rng(seed).permutation(len(codes))[:n]
    return _single(codes[chosen])


def images(generator: Generator, seed: Seed, folder: str | Path, n: int | None = None) -> Codes:
    """Return codes that the generator renders as n pictures of a folder, or as near as can be."""
    files = sorted(each for each in _there(folder).glob("*") if each.suffix.lower() in PICTURES)
    if len(files) < (n or 1):
        raise InitialCodesError(f"initial codes: {folder} holds {len(files)} pictures, not {n or 1}.")
    chosen = files if n is None else [files[i] for i in np.random.default_rng(seed).permutation(len(files))[:n]]
    return from_images(generator, np.concatenate([_picture(file) for file in chosen]))


def references(generator: Generator, seed: Seed, session: str | Path, evolution: int = 1, n: int = 10) -> Codes:
    """Return codes of the n reference images that scored best in an evolution of an earlier session."""
    from server.reading import Reader

    reader = Reader(Path(session))
    try:
        best = reader.best_references(evolution)
    finally:
        reader.close()
    if not best:
        raise InitialCodesError(f"initial codes: evolution {evolution} of {session} has no scored reference images.")
    return from_best(generator, np.stack([each.image for each in best]), np.array([each.score for each in best]), n)


def from_images(generator: Generator, images: Images) -> Codes:
    """Return codes that the generator renders as these images, or as near as can be; raise InitialCodesError."""
    if not hasattr(generator, "invert"):
        raise InitialCodesError(f"{type(generator).__name__} cannot turn images into codes: it has no invert().")
    return _single(cast(Inverting, generator).invert(images))


def from_best(generator: Generator, images: Images, scores: Scores, n: int = 10) -> Codes:
    """Return codes of the n images that scored best, the best first; those not measured (NaN) are left out."""
    measured = np.flatnonzero(~np.isnan(scores))
    if not len(measured):
        raise InitialCodesError("initial codes: none of the images was measured, so none is best.")
    best = measured[np.argsort(-scores[measured], kind="stable")][:n]
    return from_images(generator, images[best])


def _own_statistics(generator: Generator) -> CodeStatistics:
    stated: CodeStatistics | None = getattr(generator, "code_statistics", None)
    if stated is None:
        raise InitialCodesError(
            "initial codes: this generator does not say how its codes are spread. Give mean and sd, or file: "
            'an .npz with arrays "mean" and "sd" of the code\'s shape.'
        )
    return stated


def _there(folder: str | Path) -> Path:
    if not Path(folder).is_dir():
        raise InitialCodesError(f"initial codes: there is no folder {folder}.")
    return Path(folder)


def _statistics(file: Path, shape: tuple[int, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        found = named(read_npz(content_of(file), file), ("mean", "sd"), file)
    except NpzError as wrong:
        raise InitialCodesError(f"initial codes: {wrong}") from wrong
    for name, array in found.items():
        if array.shape != shape:
            raise InitialCodesError(f"initial codes: {name} in {file} is {list(array.shape)}, not {list(shape)}.")
    return found["mean"], found["sd"]


def _codes(file: Path, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the codes [n, *shape] in a file: one, or several in a row."""
    try:
        held = read_array(content_of(file), file)
    except NpzError as wrong:
        raise InitialCodesError(f"initial codes: {wrong}") from wrong
    if held.shape == shape:
        held = held[None]
    if held.shape[1:] != shape or held.dtype.kind not in "fiu" or not np.isfinite(held).all():
        raise InitialCodesError(
            f"initial codes: {file} holds {held.dtype} of {list(held.shape)}, "
            f"and should hold finite codes of {list(shape)}."
        )
    return held


def _picture(file: Path) -> Images:
    """Return the middle square of a picture, [1, size_px, size_px, 3]."""
    try:
        with Image.open(file) as picture:
            side = min(picture.size)
            left, top = ((length - side) // 2 for length in picture.size)
            square = picture.convert("RGB").crop((left, top, left + side, top + side))
            return np.array(square.resize((256, 256), Image.Resampling.LANCZOS), np.uint8)[None]
    except NO_PICTURE as wrong:
        raise InitialCodesError(f"initial codes: {file} cannot be read as a picture: {wrong}.") from wrong


def _single(codes: ArrayLike) -> Codes:
    return np.ascontiguousarray(codes, np.float32)
