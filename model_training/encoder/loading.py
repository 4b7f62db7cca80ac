"""From a checkpoint back to an encoder."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model_training.checkpoint import Checkpoint
from model_training.encoder import Encoder, build_encoder
from model_training.encoder.config import EncoderConfig
from model_training.encoder.train_config import EncoderTrainConfig

_PREFIX = "encoder."
_SIZE_EMBEDDING = "size_embed."


class EncoderLoadError(Exception):
    """A checkpoint does not hold the encoder that was expected."""


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """A trained encoder.

    Attributes:
        module: with averaged weights, in eval mode, on the CPU.
        config: of the encoder alone.
        training: the whole config of the run.
        checkpoint: steps, metrics, data digest, commit.
    """

    module: Encoder
    config: EncoderConfig
    training: EncoderTrainConfig
    checkpoint: Checkpoint


def load_encoder(path: Path) -> LoadedEncoder:
    """Read `checkpoint.pt` or `best.pt` of an encoder run.

    Raises:
        EncoderLoadError: the file is not a checkpoint of an encoder run.
    """
    try:
        checkpoint = Checkpoint.load(path)
        training = EncoderTrainConfig.model_validate(checkpoint.config)
    except (OSError, TypeError, ValueError) as error:
        raise EncoderLoadError(f"{path} is not a checkpoint of an encoder run: {error}") from error
    module = build_encoder(training.encoder)
    module.load_state_dict(_encoder_state(checkpoint))
    return LoadedEncoder(module.eval(), training.encoder, training, checkpoint)


def load_encoder_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Take a checkpoint's averaged encoder weights into the encoder of a fresh training model.

    A size embedding stays fresh where the checkpoint has none: TransOSS is pretrained without it.

    Raises:
        EncoderLoadError: the encoders differ; names the first parameters that do not fit.
    """
    stored = _encoder_state(checkpoint)
    own = {
        name.removeprefix(_PREFIX): value
        for name, value in model.state_dict().items()
        if name.startswith(_PREFIX)
    }
    if not any(name.startswith(_SIZE_EMBEDDING) for name in stored):
        own = {name: value for name, value in own.items() if not name.startswith(_SIZE_EMBEDDING)}
    wrong = sorted(
        name
        for name in own.keys() | stored.keys()
        if name not in own or name not in stored or own[name].shape != stored[name].shape
    )
    if wrong:
        raise EncoderLoadError(f"the checkpoint's encoder is another one: {wrong[:5]} differ")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(stored[name])


def _encoder_state(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(_PREFIX): value
        for name, value in checkpoint.ema.items()
        if name.startswith(_PREFIX)
    }
