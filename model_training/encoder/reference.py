"""TransOSS, the encoder of MOS (ICCV 2025, arXiv 2506.22027; released code `Hoss-ReID`)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model_training.encoder.blocks import Block, select_by_modality
from model_training.encoder.config import ReferenceConfig


class PatchEmbedding(nn.Module):
    """Embedding of non-overlapping patches: `[N, 3, H, W]` -> tokens `[N, T, D]`, row by row."""

    def __init__(self, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, pixels: Tensor) -> Tensor:
        """Embed the patches of pictures."""
        tokens: Tensor = self.proj(pixels)  # [N, D, h, w]
        return tokens.flatten(2).transpose(1, 2)  # [N, D, T] -> [N, T, D]


class ReferenceEncoder(nn.Module):
    """ViT with one patch embedding per sensor, a modality embedding and a size token.

    The sequence is cls and patches, plus position embedding, plus three times the
    modality embedding (MIE); then the size token (SSE) is appended. The embedding is the cls token
    after the final norm, before any BN neck. Both patch embeddings are computed and one is
    selected, which gives the same numbers as the released scatter by modality and can be exported.
    """

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.config = config
        spec, width = config.preprocess, config.width
        if spec.height % config.patch or spec.width % config.patch:
            raise ValueError(
                f"a picture of {spec.height} x {spec.width} does not divide into patches of "
                f"{config.patch}"
            )
        self.grid = (spec.height // config.patch, spec.width // config.patch)
        self.patch_embed = PatchEmbedding(config.patch, width)
        self.patch_embed_sar = PatchEmbedding(config.patch, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid[0] * self.grid[1], width))
        self.modality_embed = nn.Parameter(torch.zeros(2, 1, width))
        self.size_embed = nn.Linear(3, width) if config.size_token else None
        drop_rates = torch.linspace(0, config.drop_path, config.depth, device="cpu").tolist()
        self.blocks = nn.ModuleList(Block(width, config.heads, rate) for rate in drop_rates)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.apply(_initialise)
        for parameter in (self.cls_token, self.pos_embed, self.modality_embed):
            nn.init.trunc_normal_(parameter, std=0.02)

    def tokens(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Return all tokens after the final norm, `[N, 1 + T + 1, D]`: cls, patches, size."""
        patches = select_by_modality(
            modality, self.patch_embed(pixels), self.patch_embed_sar(pixels)
        )
        # [1, 1, D] -> [N, 1, D]; with patches [N, 1 + T, D]
        sequence = torch.cat([self.cls_token.expand(pixels.shape[0], -1, -1), patches], 1)
        # [N, 2] @ [2, D] -> [N, D]
        sensor = F.one_hot(modality, 2).to(patches.dtype) @ self.modality_embed[:, 0]
        sequence = sequence + self.pos_embed + 3 * sensor[:, None]
        if self.size_embed is not None:
            sequence = torch.cat([sequence, self.size_embed(size)[:, None]], 1)
        for block in self.blocks:
            sequence = block(sequence)
        normed: Tensor = self.norm(sequence)
        return normed

    def forward(self, pixels: Tensor, modality: Tensor, size: Tensor) -> Tensor:
        """Embed chips; return float32 `[N, D]`, not normalised.

        Args:
            pixels: float32 `[N, 3, H, W]`, normalised.
            modality: int64 `[N]`, 0 optical, 1 SAR.
            size: float32 `[N, 3]`, the size token.
        """
        return self.tokens(pixels, modality, size)[:, 0]

    def token_grid(self, tokens: Tensor) -> Tensor:
        """Return the patch tokens of `tokens()` as `[N, D, h, w]`."""
        count = self.grid[0] * self.grid[1]
        # [N, T, D] -> [N, D, T] -> [N, D, h, w]
        return tokens[:, 1 : 1 + count].transpose(1, 2).reshape(-1, tokens.shape[2], *self.grid)


def _initialise(module: nn.Module) -> None:
    """Initialise linear layers as the released ViT does: truncated normal, std 0.02, zero bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
