"""Typed configs of the encoders; `kind` selects one."""

from typing import Annotated, Literal

from pydantic import Field

from model_training.training.config import TypedConfig
from service.contract.manifest import PreprocessSpec


class ReferenceConfig(TypedConfig):
    """The config of TransOSS, the encoder of MOS: ViT-B/16 with two patch embeddings, MIE, SSE.

    In training, stochastic depth leaves out branches with a chance that rises linearly over the
    blocks from 0 to `drop_path`; the released recipe has 0.1.
    """

    kind: Literal["reference"]
    preprocess: PreprocessSpec = PreprocessSpec()
    patch: int = Field(16, ge=4)
    width: int = Field(768, ge=8)
    depth: int = Field(12, ge=1)
    heads: int = Field(12, ge=1)
    size_token: bool = True
    drop_path: float = Field(0.0, ge=0, lt=1)

    @property
    def embedding_width(self) -> int:
        """Length D of the embedding."""
        return self.width


class PlacedConfig(TypedConfig):
    """The common config of the encoders whose head keeps positions.

    `grid_width` and `grid_blocks` are the channels and residual blocks of the grid that both
    sensors share, `width`, `depth` and `heads` those of the transformer on its tokens, and
    `token_features` is what each token passes to the head. With `mirror_average`, a trained encoder
    embeds each picture and its mirror image, and returns the mean of both unit embeddings.
    """

    preprocess: PreprocessSpec
    grid_width: int = Field(96, ge=8)
    grid_blocks: int = Field(2, ge=0)
    width: int = Field(128, ge=32)
    depth: int = Field(2, ge=0)
    heads: int = Field(4, ge=1)
    token_features: int = Field(16, ge=1)
    embedding_width: int = Field(256, ge=8)
    mirror_average: bool = False
    dropout: float = Field(0.0, ge=0, lt=1)


class CompactConfig(PlacedConfig):
    """The config of the small encoder, see `model_training.encoder.compact`.

    `stem_widths` are the channels after each halving in a sensor's own stem; the shared grid is at
    1/8.
    """

    kind: Literal["compact"]
    preprocess: PreprocessSpec = PreprocessSpec(
        height=128, width=32, sar_exponent=0.7, normalisation="per_chip"
    )
    stem_widths: tuple[int, int] = (24, 48)


class LiteConfig(PlacedConfig):
    """The config of the encoder with EfficientNet-Lite0 stems, see `model_training.encoder.lite`.

    With `pretrained`, a new run starts the stems from ImageNet weights.
    """

    kind: Literal["lite"]
    preprocess: PreprocessSpec = PreprocessSpec(
        height=256, width=64, sar_exponent=0.7, normalisation="per_chip"
    )
    pretrained: bool = True


EncoderConfig = Annotated[ReferenceConfig | CompactConfig | LiteConfig, Field(discriminator="kind")]
