"""Names for arrays of a fixed kind, and the check that refuses a wrong one where it enters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Codes = NDArray[np.floating[Any]]
"""[n_codes, *code_shape] points in latent space."""
Images = NDArray[np.uint8]
"""[n_images, height_px, width_px, 3] RGB, 0 black to 255 white."""
Scores = NDArray[np.float64]
"""[n] one number an image, larger is better, NaN = not measured."""
Ids = NDArray[np.int64]
"""[n] stimulus, presentation or trial ids."""


class ShapeError(ValueError):
    """An array has the wrong dtype or shape."""


def check(name: str, array: NDArray[Any], dtype: str, shape: tuple[int | None, ...]) -> None:
    """Raise ShapeError unless the array has this dtype and shape; None stands for any length."""
    fits = (
        isinstance(array, np.ndarray)
        and array.dtype == np.dtype(dtype)
        and array.ndim == len(shape)
        and all(want is None or want == have for want, have in zip(shape, array.shape, strict=True))
    )
    if not fits:
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        got = f"{array.dtype} of shape {list(array.shape)}" if isinstance(array, np.ndarray) else f"{array!r}"
        raise ShapeError(f"{name} must be {dtype} of shape [{wanted}], got {got}")


def no_ids() -> Ids:
    """Return an empty array of ids."""
    return np.zeros(0, np.int64)
