"""The encoder that starts from ImageNet: EfficientNet-Lite0 per sensor, then the compact encoder.

Each sensor has its own EfficientNet-Lite0 up to stride 16. Its features at stride 8 stand beside
them, each 2 x 2 square of places folded into channels, so that no place is lost. The shared grid,
the tokens, the size token and the head that keeps positions are the compact encoder's.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.encoder.compact import BySensor, Eyes, PlacedEncoder, Residual, convolution
from model_training.encoder.config import LiteConfig
from model_training.encoder.efficientnet_lite import (
    COARSE_CHANNELS,
    FINE_CHANNELS,
    EfficientNetLite0,
    load_imagenet_weights,
)

STRIDE = 16
_FOLD = 2


class LiteStem(nn.Module):
    """One sensor's eye: `[N, 3, H, W]` -> `[N, 272, H/16, W/16]`."""

    channels = COARSE_CHANNELS + FINE_CHANNELS * _FOLD * _FOLD

    def __init__(self) -> None:
        super().__init__()
        self.network = EfficientNetLite0()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return the features at stride 16, those at stride 8 folded beside them."""
        fine, coarse = self.network(pixels)
        return torch.cat([coarse, F.pixel_unshuffle(fine, _FOLD)], 1)


class LiteEncoder(PlacedEncoder):
    """See the module's text.

    A new encoder is initialised at random. `load_imagenet` gives its stems their ImageNet weights;
    a checkpoint needs no such start.
    """

    def __init__(self, config: LiteConfig) -> None:
        shared = nn.Sequential(
            convolution(LiteStem.channels, config.grid_width),
            *(Residual(config.grid_width) for _ in range(config.grid_blocks)),
        )
        super().__init__(config, Eyes(BySensor(LiteStem(), LiteStem()), shared, STRIDE))

    def load_imagenet(self) -> None:
        """Start both stems from the ImageNet weights.

        Raises:
            ImageNetWeightsError: see `load_imagenet_weights`.
        """
        for stem in self.stem.parts:
            assert isinstance(stem, LiteStem)
            load_imagenet_weights(stem.network)
