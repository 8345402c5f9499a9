"""Pixels as they are: the control that asks what a search gains by a generator's latent space."""

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Codes, Images
from server.generators.generator import GeneratorError, check_codes, check_shape
from server.generators.shaping import resized

USUAL_RMS = 1.0
"""Root mean square of a code's numbers, as a share of white, at which random codes have the contrast of photographs.

It is 0.23 there, and 0.22 on average in the shipped reference images. Half of such a code is below 0, and black.
"""


class RawPixel:
    """Renders each number of a code as one value of one pixel: 0 is black, `code_range` is white."""

    def __init__(self, size: int = 256, code_range: float = 1.0) -> None:
        if size < 1 or not 0 < code_range < np.inf:
            raise GeneratorError(
                f"generator 'raw_pixel': size and code_range must be above 0, got {size} and {code_range:g}."
            )
        self.code_shape = (size, size, 3)
        self.code_range = code_range
        self.usual_norm = float(USUAL_RMS * code_range * np.sqrt(np.prod(self.code_shape)))

    def render(self, codes: Codes) -> Images:
        """Return images [n_codes, size, size, 3]: clipped to the range, then cut to whole levels as XDream does."""
        check_shape("raw_pixel", codes, self.code_shape)
        images = np.empty(np.shape(codes), np.uint8)
        for code, image in zip(codes, images, strict=True):  # a whole batch is more than a processor keeps at hand
            check_codes("raw_pixel", code[None], self.code_shape)
            levels = np.divide(code, self.code_range, dtype=np.float64)
            np.clip(levels, 0, 1, out=levels)
            np.multiply(levels, 255, out=image, casting="unsafe")
        return images

    def invert(self, images: Images, n_steps: int = 0) -> NDArray[np.float32]:
        """Return the codes that are rendered as these images to the level, once they have this size; in no steps."""
        # The middle of a level, so that no rounding of float32 cuts it down to the one below.
        levels = np.minimum(resized(images, self.code_shape[0]) + 0.5, 255)
        codes: NDArray[np.float32] = (levels / 255 * self.code_range).astype(np.float32)
        return codes
