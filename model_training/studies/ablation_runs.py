"""Train the variants of an ablation, each with several seeds, so that it can be measured.

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

`changes` override the encoder's config, entry by entry; a variant without them is the config
itself. Variants of equal configs share their runs. Finished runs are not repeated, and a stopped
run is continued. As in every training config, paths are relative to the working directory.
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
from model_training.simulator import SimulatorConfig, write_dataset
from model_training.studies.ablation import AblationError, DataEntry, Study, Variant, with_genuine
from model_training.training.checkpoint import Checkpoint
from model_training.training.config import ConfigT, TypedConfig, is_config_of, load_config, merged
from model_training.translator.train import TranslatorConfig, load_translator, train_translator
from service.contract.manifest import FusionSpec


class TestData(TypedConfig):
    """Chips to measure on; with `simulate`, rendered into `root` on first use."""

    __test__ = False  # the name starts with "Test", so pytest would collect the class

    name: str
    root: Path
    simulate: dict[str, Any] | None = None


class Recipe(TypedConfig):
    """A variant: what differs from the encoder's config, and whether it is measured fused."""

    name: str
    changes: dict[str, Any] = Field(default_factory=dict)
    fusion: bool = False


class TrainedStudy(TypedConfig):
    """A study whose models are trained first, see the module's docstring."""

    out: Path
    encoder: Path
    translator: Path | None = None
    fusion: FusionSpec = FusionSpec()
    seeds: tuple[int, ...] = Field(min_length=1)
    data: tuple[TestData, ...] = Field(min_length=1)
    variants: tuple[Recipe, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _require_distinct_runs(self) -> "TrainedStudy":
        if len({_folder_name(variant.name) for variant in self.variants}) < len(self.variants):
            raise ValueError("variants need names that differ in letters or digits")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds must differ")
        if any(v.fusion for v in self.variants) and not (self.translator and self.fusion.samples):
            raise ValueError("a fused variant needs `translator`, and `fusion` with samples, alpha")
        return self


@dataclass(frozen=True, slots=True)
class PreparedStudy:
    """A study that can be measured by `model_training.studies.ablation.run_study`.

    Attributes:
        study: existing data, and each variant's checkpoints by seed.
        open_model: opens a checkpoint's embedder, which fuses when a variant of it does.
    """

    study: Study
    open_model: Callable[[Path], ChipEmbedder]


def requires_runs(path: Path) -> bool:
    """Whether a study's file describes models to train, rather than naming existing models.

    Raises:
        AblationError: the file is missing or is no YAML.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise AblationError(f"{path}: {error}") from error
    return isinstance(content, Mapping) and "encoder" in content


def prepare_study(
    config: TrainedStudy, genuine: Path | None = None, threads: int = 0
) -> PreparedStudy:
    """Render missing data and train missing models, so that `run_study` can measure them.

    Args:
        config: the study, from `load_config`.
        genuine: a folder of genuine chips to measure on too, without training on them.

    Raises:
        AblationError: data are missing, or a variant's changes do not fit the config.
        ConfigError: a training config cannot be read.
        ResumeError: a run's folder holds another run.
    """
    encoders = {v.name: _variant_config(config, v) for v in config.variants}
    data = [_ensure_data(entry) for entry in config.data]
    folders: dict[str, Path] = {}
    for name, encoder_config in encoders.items():
        folders.setdefault(encoder_config.model_dump_json(), config.out / _folder_name(name))
    variants, fused = [], set()
    for recipe in config.variants:
        encoder_config = encoders[recipe.name]
        folder = folders[encoder_config.model_dump_json()]
        models = tuple(
            _ensure_encoder(encoder_config, folder / f"seed-{seed}", seed) for seed in config.seeds
        )
        variants.append(Variant(name=recipe.name, models=models, fusion=recipe.fusion))
        fused |= set(models) if recipe.fusion else set()
    translator = load_translator(_ensure_translator(config)) if fused else None

    def open_model(path: Path) -> ChipEmbedder:
        encoder = CheckpointEmbedder([path], threads)
        if translator is None or path not in fused:
            return encoder
        return FusedEmbedder(encoder, translator, config.fusion)

    study = Study(data=tuple(data), variants=tuple(variants))
    return PreparedStudy(with_genuine(study, genuine), open_model)


def _variant_config(config: TrainedStudy, recipe: Recipe) -> EncoderTrainConfig:
    base = load_config(config.encoder, EncoderTrainConfig).model_dump(mode="json")
    try:
        return EncoderTrainConfig.model_validate(merged(base, recipe.changes))
    except ValidationError as error:
        raise AblationError(f"variant {recipe.name!r}: {error}") from error


def _ensure_encoder(config: EncoderTrainConfig, out: Path, seed: int) -> Path:
    """Return the checkpoint of a variant's run with one seed, training it if it is not finished."""
    run = config.run.model_copy(update={"out": out, "seed": seed})
    own = config.model_copy(update={"run": run})
    latest = out / "checkpoint.pt"
    if not _finished(latest, own, run.steps):
        train_encoder(own)
    return out / "best.pt" if run.select_by else latest


def _ensure_translator(study: TrainedStudy) -> Path:
    """Return the checkpoint of the translator that all seeds share, training it if necessary."""
    assert study.translator is not None  # validation refuses a fused variant without a translator
    config = load_config(study.translator, TranslatorConfig)
    latest = config.run.out / "checkpoint.pt"
    if not _finished(latest, config, config.run.steps):
        train_translator(config)
    return latest


def _finished(path: Path, config: ConfigT, steps: int) -> bool:
    """Whether the file is the checkpoint of a run of this config that took all its steps."""
    if not path.is_file():
        return False
    stored = Checkpoint.load(path)
    return stored.step >= steps and is_config_of(stored.config, config)


def _ensure_data(entry: TestData) -> DataEntry:
    """Return the data, rendering them if they are simulated and missing."""
    if entry.simulate is not None and not (entry.root / "dataset.json").is_file():
        write_dataset(SimulatorConfig.model_validate(entry.simulate), entry.root)
    if not entry.root.is_dir():
        raise AblationError(f"{entry.name}: {entry.root} is not a folder")
    return DataEntry(name=entry.name, root=entry.root)


def _folder_name(name: str) -> str:
    """Return a variant's folder name: its letters and digits."""
    return "-".join(re.findall(r"[a-z0-9]+", name.lower()))
