"""Encoders that map chips of both sensors into one embedding space."""

from model_training.encoder.compact import CompactEncoder
from model_training.encoder.config import CompactConfig, EncoderConfig, ReferenceConfig
from model_training.encoder.reference import ReferenceEncoder

Encoder = ReferenceEncoder | CompactEncoder


def build_encoder(config: EncoderConfig) -> Encoder:
    """Build the encoder of a config, freshly initialised, in training mode."""
    if isinstance(config, ReferenceConfig):
        return ReferenceEncoder(config)
    return CompactEncoder(config)


__all__ = [
    "CompactConfig",
    "CompactEncoder",
    "Encoder",
    "EncoderConfig",
    "ReferenceConfig",
    "ReferenceEncoder",
    "build_encoder",
]
