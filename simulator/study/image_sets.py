"""Reference sets: the procedural pictures that come with XDream, or any folder of pictures."""

import hashlib
import json
from dataclasses import dataclass
from errno import EACCES, EISDIR, EPERM
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from protocol.arrays import Images
from server.build import PICTURES
from server.config import ConfigError
from server.pictures import NO_PICTURE
from simulator.networks.images import KINDS, procedural_image
from simulator.study.tables import Images as ImagesTable


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Pictures by number, the same ones everywhere; a worker on another machine needs the same folder."""

    folder: str
    count: int
    seed: int
    digest: str
    """Of what it holds: of a folder, of its files' names and sizes."""

    def pictures(self, numbers: range | list[int], size_px: tuple[int, int]) -> Images:
        """Return these pictures, [n, height_px, width_px, 3]; of a folder's, the middle, scaled."""
        if not self.folder:
            drawn = [_procedural(self.seed, number) for number in numbers]
            if not drawn or drawn[0].shape[:2] == size_px:
                return np.stack(drawn) if drawn else _none(size_px)
            return np.stack([_fitted(Image.fromarray(each), size_px) for each in drawn])
        _, pictures, unreadable = self.readable(numbers, size_px)
        if unreadable:
            number, why = next(iter(unreadable.items()))
            raise ConfigError(f"[references], folder: {self.name(number)} cannot be read as a picture: {why}.")
        return pictures

    def readable(
        self, numbers: range | list[int], size_px: tuple[int, int]
    ) -> tuple[list[int], Images, dict[int, str]]:
        """Return those numbers whose pictures can be read, the pictures, and of the others why not.

        Raise ConfigError where it is the folder, and not a picture in it, that cannot be read.
        """
        if not self.folder:
            return list(numbers), self.pictures(numbers, size_px), {}
        files, found, unreadable = _files(self.folder), dict[int, Images](), dict[int, str]()
        for number in numbers:
            try:
                found[number] = _load(files[number], size_px)
            except _Unreadable as wrong:
                unreadable[number] = str(wrong)
        if len(unreadable) == len(numbers) > 1:
            raise ConfigError(
                f"[references], folder: none of {len(numbers)} pictures in a row can be read, from "
                f"{files[numbers[0]]} on ({unreadable[numbers[0]]}). Mend or move them, and start the study again."
            )
        return list(found), np.stack(list(found.values())) if found else _none(size_px), unreadable

    def name(self, number: int) -> str:
        """Return what a picture is called."""
        return str(_files(self.folder)[number].relative_to(self.folder)) if self.folder else KINDS[number % len(KINDS)]


def image_set(table: ImagesTable) -> ImageSet:
    """Return the set that a table describes; raise ConfigError if there is none."""
    if not table.folder:
        digest = hashlib.sha256(f"procedural {table.seed} {table.count}".encode()).hexdigest()
        return ImageSet("", table.count, table.seed, digest)
    files = _files(table.folder)[: table.count]
    if len(files) < 2:
        raise ConfigError(f"[references], folder: {table.folder} holds {len(files)} pictures, and two are the least.")
    listed = [[str(each.relative_to(table.folder)), each.stat().st_size] for each in files]
    digest = hashlib.sha256(json.dumps(listed).encode()).hexdigest()
    return ImageSet(table.folder, len(files), 0, digest)


@lru_cache(maxsize=2)
def _files(folder: str) -> list[Path]:
    return sorted(each for each in Path(folder).rglob("*") if each.suffix.lower() in PICTURES)


def _procedural(seed: int, number: int) -> Images:
    """Return the picture of that number, as `procedural_images` draws it among any others."""
    return procedural_image(seed, tuple(range(len(KINDS))), number)[0]


class _Unreadable(Exception):
    """A file that is no picture, or a damaged one; says why."""


def _load(file: Path, size_px: tuple[int, int]) -> Images:
    try:
        with Image.open(file) as picture:
            return _fitted(picture.convert("RGB"), size_px)
    except NO_PICTURE as wrong:
        if isinstance(wrong, OSError) and wrong.errno not in (None, EACCES, EPERM, EISDIR):
            raise ConfigError(
                f"[references], folder: {file} is not to be had: {wrong.strerror}. What was seen of the others is "
                "kept: the same command goes on from there."
            ) from wrong
        raise _Unreadable(f"{wrong}".replace(str(file), file.name) or type(wrong).__name__) from wrong


def _none(size_px: tuple[int, int]) -> Images:
    return np.zeros((0, *size_px, 3), np.uint8)


def _fitted(picture: Image.Image, size_px: tuple[int, int]) -> Images:
    return np.array(ImageOps.fit(picture, size_px[::-1], Image.Resampling.LANCZOS), np.uint8)
