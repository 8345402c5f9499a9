"""Pictures to PNG and back, losslessly."""

import io

import numpy as np
from PIL import Image

from protocol.arrays import Images


def to_png(image: Images) -> bytes:
    """Return [height, width, 3] RGB as a PNG file; compressed lightly, because the loop waits for it."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def from_png(png: bytes) -> Images:
    """Return the [height, width, 3] RGB pixels of a PNG file."""
    with Image.open(io.BytesIO(png)) as picture:
        return np.array(picture.convert("RGB"), np.uint8)
