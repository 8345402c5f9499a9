"""Pictures to PNG and back, losslessly."""

import io
from struct import error as StructError

import numpy as np
from PIL import Image

from protocol.arrays import Images

NO_PICTURE = (OSError, ValueError, SyntaxError, EOFError, StructError, Image.DecompressionBombError)
"""What Pillow raises of a file that is no picture, or a damaged one."""


def to_png(image: Images) -> bytes:
    """Return [height, width, 3] RGB as a PNG file; compressed lightly, because the loop waits for it."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def from_png(png: bytes) -> Images:
    """Return the [height, width, 3] RGB pixels of a PNG file."""
    with Image.open(io.BytesIO(png)) as picture:
        return np.array(picture.convert("RGB"), np.uint8)
