"""Encoders that map chips of both sensors into one embedding space."""

from model_training.encoder.compact import CompactEncoder, PlacedEncoder
from model_training.encoder.config import CompactConfig, EncoderConfig, LiteConfig, ReferenceConfig
from model_training.encoder.lite import LiteEncoder
from model_training.encoder.reference import ReferenceEncoder

Encoder = ReferenceEncoder | CompactEncoder | LiteEncoder


def build_encoder(config: EncoderConfig) -> Encoder:
    """Build the encoder of a config, freshly initialised, in training mode."""
    if isinstance(config, ReferenceConfig):
        return ReferenceEncoder(config)
    if isinstance(config, LiteConfig):
        return LiteEncoder(config)
    return CompactEncoder(config)


__all__ = [
    "CompactConfig",
    "CompactEncoder",
    "Encoder",
    "EncoderConfig",
    "LiteConfig",
    "LiteEncoder",
    "PlacedEncoder",
    "ReferenceConfig",
    "ReferenceEncoder",
    "build_encoder",
]
