"""Pictures cut, scaled, made grey, set to one contrast and seen through an aperture, whatever generator drew them."""

from dataclasses import dataclass, fields
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Codes, Images
from server.generators.contrast import with_rms_contrast
from server.generators.generator import N_STEPS, Generator, GeneratorError, Inverting, Sized

LUMINANCE = (0.299, 0.587, 0.114)
"""Share of R, G and B in the grey of a picture (ITU-R BT.601), as in XDream."""
GAUSSIAN_SD = 1 / 6
"""Of the aperture's size: at the picture's edge, three of them out, 1 % is left."""
LARGEST_PX = 4096
"""A larger picture is a slip of the keyboard: 40 of them would fill the memory."""

Size = int | tuple[int, int]
"""A side of a square, or height and width."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is done with a rendered picture, in this order."""

    crop: Size | None = None
    """The middle of the picture that is kept: pixels of the generator's own picture."""
    size: Size | None = None
    """How large the picture becomes: shrunk by averaging areas, enlarged with a cubic kernel."""
    grey: bool = False
    """Whether colours become grey of their luminance."""
    rms_contrast: float | None = None
    """Standard deviation of the grey value inside the aperture, in 0..1 of full scale; None = as rendered."""
    aperture: Literal["", "circle", "gaussian"] = ""
    """A window as large as the picture."""
    background: int = 128
    """Grey level outside the aperture, 0 black to 255 white: that of the display."""

    def __post_init__(self) -> None:
        for name in ("crop", "size"):
            object.__setattr__(self, name, _sides(name, getattr(self, name)))
        if self.aperture not in ("", "circle", "gaussian"):
            raise GeneratorError(f'aperture must be "circle" or "gaussian", got {self.aperture!r}.')
        if type(self.grey) is not bool:
            raise GeneratorError(f"grey must be true or false, got {self.grey!r}.")
        if type(self.background) is not int or not 0 <= self.background <= 255:
            raise GeneratorError(f"background must be 0 black to 255 white, got {self.background!r}.")
        if self.rms_contrast is not None and not _is_between(self.rms_contrast, 0, 0.5):
            raise GeneratorError(
                f"rms_contrast must be above 0 and at most 0.5, which is half black and half white, "
                f"got {self.rms_contrast!r}."
            )


SHAPE = tuple(each.name for each in fields(Shape))
"""Names of the parameters that every generator takes."""


class Shaped:
    """A generator whose pictures are shaped after it drew them."""

    def __init__(self, generator: Generator, shape: Shape) -> None:
        self.generator, self.shape = generator, shape
        self.code_shape = generator.code_shape
        self.weights_sha256 = str(getattr(generator, "weights_sha256", ""))
        self.code_statistics = getattr(generator, "code_statistics", None)
        if isinstance(generator, Sized):
            self.usual_norm = generator.usual_norm
        blank = generator.render(np.zeros((1, *self.code_shape), np.float32))
        self._drawn_px = (blank.shape[1], blank.shape[2])
        _check_crop(self._kept_px, self._drawn_px)
        self._window = window(shape.aperture, shape.size or self._kept_px)

    def render(self, codes: Codes) -> Images:
        """Return the shaped pictures, uint8 [n_codes, height_px, width_px, 3], of codes [n_codes, *code_shape]."""
        shape, window = self.shape, self._window
        images = resized(cropped(self.generator.render(codes), self._kept_px), shape.size or self._kept_px)
        if shape.grey:
            images = grey(images)
        if shape.rms_contrast is not None:
            images = with_rms_contrast(images, shape.rms_contrast, window)
        return through(images, window, shape.background) if shape.aperture else images

    def invert(self, images: Images, n_steps: int = N_STEPS) -> Codes:
        """Return codes whose pictures, before contrast and aperture, are these images or as near as can be."""
        if not hasattr(self.generator, "invert"):
            raise GeneratorError(f"{type(self.generator).__name__} cannot turn images into codes: it has no invert().")
        margins = [(drawn - kept) for drawn, kept in zip(self._drawn_px, self._kept_px, strict=True)]
        (top, bottom), (left, right) = [(margin // 2, margin - margin // 2) for margin in margins]
        around = ((0, 0), (top, bottom), (left, right), (0, 0))
        whole = np.pad(resized(images, self._kept_px), around, mode="edge")
        return cast(Inverting, self.generator).invert(whole, n_steps)

    @property
    def _kept_px(self) -> tuple[int, int]:
        """Height and width of what the crop leaves."""
        return cast(tuple[int, int], self.shape.crop or self._drawn_px)


def cropped(images: Images, size_px: tuple[int, int]) -> Images:
    """Return the middle of the images, [n, *size_px, 3]."""
    top, left = ((have - keep) // 2 for have, keep in zip(images.shape[1:3], size_px, strict=True))
    return np.ascontiguousarray(images[:, top : top + size_px[0], left : left + size_px[1]])


def resized(images: Images, size_px: Size) -> Images:
    """Return the images at that size: shrunk by averaging areas, enlarged with a cubic kernel, as XDream does."""
    height, width = cast(tuple[int, int], _sides("size", size_px))
    low, narrow = min(images.shape[1], height), min(images.shape[2], width)
    if images.shape[1:3] != (low, narrow):
        rows, columns = _coverage(images.shape[1], low), _coverage(images.shape[2], narrow)
        averaged = np.matmul(rows, np.ascontiguousarray(np.moveaxis(images, 3, 1), np.float32)) @ columns.T
        images = np.ascontiguousarray(np.moveaxis(_levels(averaged), 1, 3))
    return images if (low, narrow) == (height, width) else _enlarged(images, height, width)


def grey(images: Images) -> Images:
    """Return the images with every pixel at its luminance, still [n, height_px, width_px, 3]."""
    luminance = _levels(images.astype(np.float32) @ np.array(LUMINANCE, np.float32))
    return np.repeat(luminance[..., None], 3, axis=3)


def window(aperture: str, size_px: Size) -> NDArray[np.float32]:
    """Return [height_px, width_px] how much of a picture each pixel shows: 1 all, 0 nothing but background."""
    height, width = cast(tuple[int, int], _sides("size", size_px))
    y, x = np.mgrid[:height, :width].astype(np.float32)
    distance = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    across, shown = min(height, width), np.ones((height, width))
    if aperture == "circle":  # its edge takes one pixel, and so shows no stairs
        shown = np.clip(across / 2 - distance + 0.5, 0, 1)
    elif aperture == "gaussian":
        shown = np.exp(-0.5 * np.square(distance / (GAUSSIAN_SD * across)))
    return shown.astype(np.float32)


def through(images: Images, window: NDArray[np.float32], background: int) -> Images:
    """Return the images as seen through a window [height_px, width_px] in the background."""
    return _levels(background + window[:, :, None] * (images.astype(np.float32) - background))


def _enlarged(images: Images, height: int, width: int) -> Images:
    """Return the images larger, by Keys' cubic kernel (IEEE Trans. Acoust. 29, 1981) with a = -0.75, edges repeated.

    That is cv2.INTER_CUBIC, which XDream enlarges with, to one level; PyTorch has the same, Pillow has a = -0.5.
    """
    import torch  # takes seconds to import, and few enlarge

    larger = np.empty((len(images), height, width, 3), np.uint8)
    for image, to in zip(images, larger, strict=True):
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float().contiguous()
        drawn = torch.nn.functional.interpolate(pixels, (height, width), mode="bicubic", align_corners=False)
        to[:] = drawn[0].round_().clamp_(0, 255).byte().permute(1, 2, 0).numpy()
    return larger


def _coverage(n_old: int, n_new: int) -> NDArray[np.float32]:
    """Return [n_new, n_old] the share of each new pixel that each old one covers."""
    edges = np.linspace(0, n_old, n_new + 1)
    left, right = edges[:-1, None], edges[1:, None]
    old = np.arange(n_old)
    covered = np.clip(np.minimum(right, old + 1) - np.maximum(left, old), 0, None)
    shares: NDArray[np.float32] = (covered / covered.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


def _levels(values: NDArray[np.float32]) -> Images:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def _sides(name: str, size: Any) -> tuple[int, int] | None:
    """Return height and width, or raise a sentence; None stays None."""
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, list | tuple) else ()
    if len(sides) != 2 or not all(type(side) is int and 0 < side <= LARGEST_PX for side in sides):
        raise GeneratorError(f"{name} must be a number of pixels up to {LARGEST_PX}, or [height, width], got {size!r}.")
    return cast(tuple[int, int], sides)


def _is_between(value: Any, above: float, at_most: float) -> bool:
    return isinstance(value, int | float) and above < value <= at_most


def _check_crop(kept_px: tuple[int, int], drawn_px: tuple[int, int]) -> None:
    if kept_px[0] > drawn_px[0] or kept_px[1] > drawn_px[1]:
        raise GeneratorError(f"crop {list(kept_px)} is larger than the generator's picture, {list(drawn_px)} pixels.")
