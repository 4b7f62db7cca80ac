"""Typed configs of training runs, read from YAML and compared with those of checkpoints."""

from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class TypedConfig(BaseModel):
    """Base of every training config: immutable, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ConfigT = TypeVar("ConfigT", bound=TypedConfig)


class ConfigError(Exception):
    """A config file cannot be read, or has entries that the schema does not allow."""


class RunConfig(TypedConfig):
    """Length, precision, device and outputs of a run.

    `select_by` names the validation metric (higher is better) that decides which checkpoint
    becomes `best.pt`; without it only the latest checkpoint is written. With `patience`, the
    initial weights are validated as well, and the run ends when `select_by` was not improved in so
    many validations.
    """

    out: Path
    steps: int = Field(ge=1)
    seed: int = Field(0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = Field(None, ge=1)
    compile: bool = False
    loader_workers: int = Field(0, ge=0)
    ema_decay: float = Field(0.999, ge=0, lt=1)
    log_every: int = Field(20, ge=1)
    checkpoint_every: int = Field(200, ge=1)
    validate_every: int = Field(1000, ge=1)
    select_by: str | None = None
    patience: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _require_a_criterion(self) -> "RunConfig":
        if self.patience is not None and self.select_by is None:
            raise ValueError("patience needs select_by: the metric that is to improve")
        return self


def load_config(path: Path, schema: type[ConfigT]) -> ConfigT:
    """Read a YAML file into its schema.

    A file with `extends: FILE` contains only the differences from that file of the same folder:
    mappings are merged, any other value replaces the value of the extended file.

    Raises:
        ConfigError: a file is missing, is not YAML, extends itself, or has unknown or wrong
            entries.
    """
    try:
        return schema.model_validate(_read(path, ()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(path: Path, extending: tuple[Path, ...]) -> object:
    """Return the content of a file, merged into the one it extends."""
    if path in extending:
        raise ConfigError(f"{path} extends itself")
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or "extends" not in content:
        return content
    base = path.parent / str(content.pop("extends"))
    return merged(_read(base, (*extending, path)), content)


def merged(base: object, changes: object) -> object:
    """Return `base` overridden by `changes`; entries that are mappings in both are merged."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}


# options that earlier versions had, with the value that this code always has
_FORMER_OPTIONS: dict[str, Any] = {
    "optimiser": {"beta2": 0.98},
    "encoder": {"detail": False, "modality_scale": 3.0},
    "objective": {
        "hard_stretch": 8,
        "low_resolution_steps": 0,
        "max_logit_scale": 100.0,
        "structure": 0.0,
        "cross_entropy": 1.0,
        "label_smoothing": 0.0,
        "triplet": 1.0,
    },
    "channels_last": True,
    "bridge": {"spacing": "trailing", "clip_x0": False},
    "validation_vessels": 64,
}


def without_former_options(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the config of a checkpoint without the options that this code no longer has.

    An option that had another value than this code stays, so that the schema refuses it.
    """
    return _without(stored, _FORMER_OPTIONS)


def _without(stored: dict[str, Any], former: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without(value, former.get(key, {})) if isinstance(value, dict) else value
        for key, value in stored.items()
        if key not in former or former[key] != value
    }


def is_config_of(stored: dict[str, Any], config: TypedConfig) -> bool:
    """Whether a stored config equals this one, with defaults for the options that it lacks.

    A run can thus be continued by a later version of this code that has other options.
    """
    try:
        return type(config).model_validate(without_former_options(stored)) == config
    except ValidationError:
        return False
