"""Load an encoder from a checkpoint, or several as an ensemble."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from model_training.encoder import Encoder, build_encoder
from model_training.encoder.config import EncoderConfig
from model_training.encoder.ensemble import Ensemble, Shrunk
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import without_former_options
from service.contract.manifest import PreprocessSpec

_PREFIX = "encoder."
_SIZE_EMBEDDING = "size_embed."


class EncoderLoadError(Exception):
    """A checkpoint does not hold the encoder that was expected."""


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """A trained encoder.

    Attributes:
        module: the encoder with averaged weights, in eval mode, on the CPU.
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
        training = EncoderTrainConfig.model_validate(without_former_options(checkpoint.config))
    except (OSError, TypeError, ValueError) as error:
        raise EncoderLoadError(f"{path} is not a checkpoint of an encoder run: {error}") from error
    except (RuntimeError, LookupError, EOFError, pickle.UnpicklingError) as error:  # of torch.load
        raise EncoderLoadError(f"{path} is not a checkpoint of an encoder run") from error
    module = build_encoder(training.encoder)
    module.load_state_dict(_encoder_state(checkpoint))
    return LoadedEncoder(module.eval(), training.encoder, training, checkpoint)


@dataclass(frozen=True, slots=True)
class LoadedEncoders:
    """One trained encoder, or an ensemble of several.

    Attributes:
        members: at least one; all take the same input, but for the size of the picture.
        module: the only member's module, or the ensemble; in eval mode, on the CPU.
    """

    members: tuple[LoadedEncoder, ...]
    module: nn.Module

    @property
    def preprocess(self) -> PreprocessSpec:
        """Return the preprocessing of chips: that of the member with the largest picture."""
        return _largest(self.members).config.preprocess

    @property
    def embedding_width(self) -> int:
        """Return the length D of the embedding: the sum over the members."""
        return sum(member.config.embedding_width for member in self.members)


def load_encoders(paths: Sequence[Path]) -> LoadedEncoders:
    """Read one checkpoint, or several as an ensemble.

    Raises:
        EncoderLoadError: a file is not a checkpoint of an encoder run, is given twice, or its
            encoder takes other input than the one with the largest picture, whose sides must be
            multiples of the others'; names the difference.
        ValueError: there are no paths.
    """
    if not paths:
        raise ValueError("give at least one checkpoint of an encoder")
    if len({path.resolve() for path in paths}) < len(paths):
        raise EncoderLoadError("a checkpoint is given twice; members of an ensemble must differ")
    return join_encoders([load_encoder(path) for path in paths], list(map(str, paths)))


def join_encoders(encoders: Sequence[LoadedEncoder], names: Sequence[str]) -> LoadedEncoders:
    """Combine encoders as an ensemble; a single one stays as it is.

    Args:
        encoders: at least one.

    Raises:
        EncoderLoadError: an encoder takes other input, see `load_encoders`.
    """
    members = tuple(encoders)
    if len(members) == 1:
        return LoadedEncoders(members, members[0].module)
    largest = _largest(members)
    spec, named = largest.config.preprocess, names[members.index(largest)]
    modules = []
    for name, member in zip(names, members, strict=True):
        own = member.config.preprocess
        factors = (spec.height // own.height, spec.width // own.width)
        if (own.height * factors[0], own.width * factors[1]) == (spec.height, spec.width):
            own = own.model_copy(update={"height": spec.height, "width": spec.width})
        if differences := _differences(spec, own):
            raise EncoderLoadError(
                f"{named} and {name} cannot be served as one, their inputs differ: {differences}"
            )
        per_chip = spec.normalisation == "per_chip"
        smaller = factors != (1, 1)
        modules.append(
            Shrunk(member.module, factors, per_chip=per_chip) if smaller else member.module
        )
    return LoadedEncoders(members, Ensemble(modules).eval())


def _largest(members: Sequence[LoadedEncoder]) -> LoadedEncoder:
    """Return the first of the members with the most pixels."""
    return max(members, key=lambda m: m.config.preprocess.height * m.config.preprocess.width)


def _differences(first: PreprocessSpec, second: PreprocessSpec) -> str:
    """Name the fields that differ, as `height 128 and 256, ...`; empty if none does."""
    return ", ".join(
        f"{name} {getattr(first, name)} and {getattr(second, name)}"
        for name in PreprocessSpec.model_fields
        if getattr(first, name) != getattr(second, name)
    )


def load_encoder_weights(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Copy a checkpoint's averaged encoder weights into the encoder of a new training model.

    The size embedding keeps its initial weights if the checkpoint has none, because TransOSS is
    pretrained without it.

    Raises:
        EncoderLoadError: the encoders differ; names the first parameters that do not match.
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
        raise EncoderLoadError(f"the checkpoint has a different encoder: {wrong[:5]} differ")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(stored[name])


def _encoder_state(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(_PREFIX): value
        for name, value in checkpoint.ema.items()
        if name.startswith(_PREFIX)
    }
