"""Small genuine files made on the spot: what a sensor's product looks like as bytes."""

import io

import numpy as np
from PIL import Image


def optical_png(seed: int, height: int = 40, width: int = 12) -> bytes:
    """A colour PNG of noise; every seed is another picture."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return _saved(Image.fromarray(pixels), "PNG")


def sar_tiff(seed: int, height: int = 40, width: int = 12) -> bytes:
    """A float32 TIFF of exponential speckle, a hull on dark sea; every seed is another picture."""
    pixels = np.random.default_rng(seed).exponential(size=(height, width)).astype(np.float32)
    sea = np.ones(pixels.shape, np.bool_)
    sea[height // 10 : height - height // 10, width // 6 : width - width // 6] = False
    pixels[sea] *= 0.05
    return _saved(Image.fromarray(pixels), "TIFF")


def _saved(image: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()
