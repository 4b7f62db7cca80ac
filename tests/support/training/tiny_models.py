"""Small random modules with the inputs and outputs of an encoder and of a translator."""

import torch
from torch import Tensor, nn

HEIGHT, WIDTH, EMBEDDING_WIDTH = 32, 16, 12


class TinyEncoder(nn.Module):
    """A patch embedding per sensor, a modality embedding, a size layer, LayerNorm."""

    def __init__(self) -> None:
        super().__init__()
        self.optical = nn.Conv2d(3, 48, 8, 8)
        self.sar = nn.Conv2d(3, 48, 8, 8)
        self.sensor = nn.Embedding(2, 48)
        self.size = nn.Linear(3, 48)
        self.mix = nn.Linear(48, 48)
        self.norm = nn.LayerNorm(48)
        self.head = nn.Linear(8 * 48, EMBEDDING_WIDTH)

    def forward(self, image: Tensor, which: Tensor, size: Tensor) -> Tensor:
        is_sar = (which == 1)[:, None, None, None]
        grid = torch.where(is_sar, self.sar(image), self.optical(image))  # [N, 48, 4, 2]
        tokens = grid.flatten(2).transpose(1, 2)  # [N, 48, 8] -> [N, 8, 48]
        tokens = tokens + (self.sensor(which) + self.size(size))[:, None]
        embedding: Tensor = self.head(self.norm(self.mix(tokens)).flatten(1))
        return embedding


class TinyTranslator(nn.Module):
    """A convolution over x_t and condition, shifted by the time."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels + 3, channels, 3, padding=1)

    def forward(self, x_t: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        shift = (t.to(x_t.dtype) / 1000)[:, None, None, None]
        grad: Tensor = self.mix(torch.cat([x_t, condition], 1)) + shift
        return grad
