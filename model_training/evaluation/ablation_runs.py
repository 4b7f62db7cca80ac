"""Teach the variants of an ablation, each with several seeds, so that it can be measured.

A YAML file names one encoder run and how each variant differs from it:

    out: runs/ablation
    encoder: model_training/configs/ablation-encoder.yaml
    translator: model_training/configs/ablation-translator.yaml
    fusion: {samples: 5, alpha: 0.02}
    seeds: [1, 2, 3]
    data:
      - {name: simulated test ships, root: runs/data/ablation-test, simulate: {seed: 52}}
    variants:
      - {name: baseline, changes: {objective: {alignment: 0}}}
      - {name: + CMAL}
      - {name: + fusion, fusion: true}

`changes` are laid over the encoder's config, entry by entry; a variant without them is the config
itself. Variants of equal configs share their runs. Runs that are finished are not done again, and
one that was stopped goes on. Paths are those of every training config: relative to where the
command is given.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from model_training.embedding.checkpoint_embedder import CheckpointEmbedder
from model_training.embedding.chip_table import ChipEmbedder
from model_training.embedding.fused_embedder import FusedEmbedder
from model_training.encoder.train import train_encoder
from model_training.encoder.train_config import EncoderTrainConfig
from model_training.evaluation.ablation import (
    AblationError,
    DataEntry,
    Study,
    Variant,
    with_genuine,
)
from model_training.simulator import SimulatorConfig, write_dataset
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigT, TypedConfig, is_config_of, load_config
from model_training.translator.train import TranslatorConfig, load_translator, train_translator
from service.contract.manifest import FusionSpec


class TestData(TypedConfig):
    """Chips to measure on; with `simulate`, rendered there on first use by those settings."""

    __test__ = False  # pytest shall not take it for a test

    name: str
    root: Path
    simulate: dict[str, Any] | None = None


class Recipe(TypedConfig):
    """A variant: what differs from the encoder's config, and whether it is measured fused."""

    name: str
    changes: dict[str, Any] = Field(default_factory=dict)
    fusion: bool = False


class TrainedStudy(TypedConfig):
    """See the module's text."""

    out: Path
    encoder: Path
    translator: Path | None = None
    fusion: FusionSpec = FusionSpec()
    seeds: tuple[int, ...] = Field(min_length=1)
    data: tuple[TestData, ...] = Field(min_length=1)
    variants: tuple[Recipe, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> "TrainedStudy":
        if len({_slug(variant.name) for variant in self.variants}) < len(self.variants):
            raise ValueError("variants need names that differ in letters or digits")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must differ")
        if any(v.fusion for v in self.variants) and not (self.translator and self.fusion.samples):
            raise ValueError("a fused variant needs `translator`, and `fusion` with samples, alpha")
        return self


@dataclass(frozen=True, slots=True)
class TaughtStudy:
    """A study that can be measured by `model_training.evaluation.ablation.run_study`.

    Attributes:
        study: data that are there, and each variant's checkpoints by seed.
        open_model: a checkpoint's embedder, fused where a variant of it is.
    """

    study: Study
    open_model: Callable[[Path], ChipEmbedder]


def trains(path: Path) -> bool:
    """Whether a study's file tells how to teach its models, rather than where they are."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise AblationError(f"{path}: {error}") from error
    return isinstance(content, Mapping) and "encoder" in content


def teach(given: TrainedStudy, genuine: Path | None = None, threads: int = 0) -> TaughtStudy:
    """Render and train what is missing; `run_study` then measures it.

    Args:
        given: the study, from `load_config`.
        genuine: a folder of genuine chips to measure on too, without training on them.
        threads: CPU threads of the measurement.

    Raises:
        AblationError: data are missing, or a variant's changes do not fit the config.
        ConfigError: a training config cannot be read.
        ResumeError: a run's folder holds another run.
    """
    configs = {v.name: _variant_config(given, v) for v in given.variants}
    data = [_present(entry) for entry in given.data]
    folders: dict[str, Path] = {}
    for name, config in configs.items():
        folders.setdefault(config.model_dump_json(), given.out / _slug(name))
    variants, fused = [], set()
    for recipe in given.variants:
        config = configs[recipe.name]
        folder = folders[config.model_dump_json()]
        models = tuple(_taught(config, folder / f"seed-{seed}", seed) for seed in given.seeds)
        variants.append(Variant(name=recipe.name, models=models, fusion=recipe.fusion))
        fused |= set(models) if recipe.fusion else set()
    translator = load_translator(_taught_translator(given)) if fused else None

    def open_model(path: Path) -> ChipEmbedder:
        encoder = CheckpointEmbedder([path], threads)
        if translator is None or path not in fused:
            return encoder
        return FusedEmbedder(encoder, translator, given.fusion)

    study = Study(data=tuple(data), variants=tuple(variants))
    return TaughtStudy(with_genuine(study, genuine), open_model)


def _variant_config(given: TrainedStudy, recipe: Recipe) -> EncoderTrainConfig:
    base = load_config(given.encoder, EncoderTrainConfig).model_dump(mode="json")
    try:
        return EncoderTrainConfig.model_validate(_laid_over(base, recipe.changes))
    except ValidationError as error:
        raise AblationError(f"variant {recipe.name!r}: {error}") from error


def _laid_over(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, where both are mappings entry by entry."""
    merged = dict(base)
    for name, value in changes.items():
        before = merged.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _laid_over(before, value)
        else:
            merged[name] = value
    return merged


def _taught(config: EncoderTrainConfig, out: Path, seed: int) -> Path:
    """The checkpoint of a variant's run with one seed, trained if it is not finished."""
    run = config.run.model_copy(update={"out": out, "seed": seed})
    own = config.model_copy(update={"run": run})
    latest = out / "checkpoint.pt"
    if not _finished(latest, own, run.steps):
        train_encoder(own)
    return out / "best.pt" if run.select_by else latest


def _taught_translator(given: TrainedStudy) -> Path:
    """The translator's checkpoint; one serves all seeds of the encoder."""
    assert given.translator is not None  # a fused variant without one is refused when it is read
    config = load_config(given.translator, TranslatorConfig)
    latest = config.run.out / "checkpoint.pt"
    if not _finished(latest, config, config.run.steps):
        train_translator(config)
    return latest


def _finished(path: Path, config: ConfigT, steps: int) -> bool:
    """Whether a run of exactly this config has taken all its steps."""
    if not path.is_file():
        return False
    stored = Checkpoint.load(path)
    return stored.step >= steps and is_config_of(stored.config, config)


def _present(entry: TestData) -> DataEntry:
    """The data, rendered now if they can be."""
    if entry.simulate is not None and not (entry.root / "dataset.json").is_file():
        write_dataset(SimulatorConfig.from_dict(entry.simulate), entry.root)
    if not entry.root.is_dir():
        raise AblationError(f"{entry.name}: {entry.root} is not a folder")
    return DataEntry(name=entry.name, root=entry.root)


def _slug(name: str) -> str:
    """A variant's folder: its letters and digits."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))
