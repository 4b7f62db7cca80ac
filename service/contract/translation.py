"""Convert pictures for the bridge (optical to its input, its output to pseudo-SAR).

Training and serving share these functions.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.preprocess import Picture

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def bridge_picture(picture: Picture, height: int, width: int) -> NDArray[np.float32]:
    """Resize (Pillow bilinear with antialias, on uint8) and scale to -1..1.

    Args:
        picture: uint8 `[h, w, 3]` of any size, from `preprocess.to_picture`.

    Returns:
        float32 `[3, height, width]`: the condition of an optical picture, or, for a denoised SAR
        picture, the end x0 that the translator learns to reach.
    """
    resized = Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    unit = np.asarray(resized, dtype=np.float32) / np.float32(127.5) - np.float32(1)
    return np.ascontiguousarray(unit.transpose(2, 0, 1))  # [h, w, 3] -> [3, h, w]


def bridge_start(condition: NDArray[np.float32], channels: int) -> NDArray[np.float32]:
    """Return y, the optical end of the bridge: float32 `[..., channels, h, w]`.

    Args:
        condition: float32 `[..., 3, h, w]`, from `bridge_picture`.
        channels: 1 for the luminance (ITU-R BT.601), 3 for the picture itself.
    """
    if channels == 3:
        return condition
    luminance = np.tensordot(LUMINANCE, condition, axes=(0, condition.ndim - 3))
    return np.asarray(np.expand_dims(luminance, -3), dtype=np.float32)


def noise_generator(weights_id: str, digest: str) -> np.random.Generator:
    """Return the generator of the bridge's noise for one chip.

    The seed depends only on the arguments, so that a chip always gets the same pictures.

    Args:
        weights_id: identifies the translator's weights, e.g. the SHA-256 of its graph.
        digest: the chip's digest.
    """
    seed = hashlib.sha256(f"{weights_id}:{digest}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(int.from_bytes(seed, "big")))


def pseudo_sar_picture(x0: NDArray[np.float32]) -> Picture:
    """Return the SAR end of the bridge as grey pictures.

    Args:
        x0: float32 `[..., C, h, w]`, about -1..1; values outside are clipped.

    Returns:
        uint8 `[..., h, w]`, the mean over the channels.
    """
    grey = x0.mean(axis=-3)
    return np.asarray(np.rint(np.clip((grey + 1.0) * 127.5, 0, 255)), dtype=np.uint8)


def brightened(pictures: Picture) -> Picture:
    """Scale the pseudo-SAR pictures of a chip for the eye; the brightest 0.3 % become white.

    An expected radar picture is nowhere as bright as a radar picture, whose bright points lie at
    another place in each.

    Args:
        pictures: uint8 `[K, h, w]`.

    Returns:
        uint8 of the same shape.
    """
    white = max(float(np.percentile(pictures, 99.7)), 1.0)
    return np.asarray(np.clip(pictures * (255.0 / white), 0, 255), np.uint8)
