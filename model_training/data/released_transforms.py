"""Two augmentations of the released TransOSS and MOS: padding with a random crop, and erasing.

Source: `datasets/make_dataloader.py` (GitHub `yjzhao1019/MOS`), which uses torchvision's `Pad` and
`RandomCrop` and timm's `RandomErasing` in the mode `pixel`.
"""

import numpy as np
from numpy.typing import NDArray

from service.contract.preprocess import Picture

ERASED_AREA = (0.02, 1 / 3)  # shares of the picture; timm's defaults
ERASED_ASPECT = 0.3  # height over width lies between this and its inverse
_ATTEMPTS = 10  # timm draws again while the rectangle does not fit


def pad_and_crop(picture: Picture, pad: int, generator: np.random.Generator) -> Picture:
    """Surround a picture uint8 `[H, W, 3]` by `pad` black pixels; cut its size out at random."""
    height, width = picture.shape[:2]
    padded = np.pad(picture, ((pad, pad), (pad, pad), (0, 0)))
    top, left = generator.integers(0, 2 * pad + 1, 2)
    return padded[top : top + height, left : left + width]


def erase_with_noise(
    pixels: NDArray[np.float32], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Fill a random rectangle of normalised pixels `[3, H, W]` with standard normal noise."""
    height, width = pixels.shape[1:]
    for _ in range(_ATTEMPTS):
        area = generator.uniform(*ERASED_AREA) * height * width
        aspect = np.exp(generator.uniform(np.log(ERASED_ASPECT), -np.log(ERASED_ASPECT)))
        tall, wide = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
        if tall < height and wide < width:
            top = generator.integers(0, height - tall + 1)
            left = generator.integers(0, width - wide + 1)
            erased = pixels.copy()
            noise = generator.standard_normal((3, tall, wide), np.float32)
            erased[:, top : top + tall, left : left + wide] = noise
            return erased
    return pixels
