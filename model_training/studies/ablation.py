"""Measure what each part of the method adds: the gain of each variant over the previous one.

A YAML file lists data sets and variants:

    data:
      - {name: simulated test, root: data/simulated/test}
    variants:
      - {name: baseline, models: [runs/baseline-0/best.pt, runs/baseline-1/best.pt]}
      - {name: + CMAL, models: [runs/cmal-0/best.pt, runs/cmal-1/best.pt]}
      - {name: + fusion, models: [bundles/full-0, bundles/full-1], fusion: true}

A variant's models are the same recipe with several seeds: each query's score is averaged over
them, and the spread of their mAP is shown. Paths are relative to the file. The gain over the
previous variant is paired: the same queries, the same drawn ships. The last row of every protocol
is the size-only floor of `crossfix-train evaluate`: a variant at the floor has learnt nothing from
pixels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import Field, ValidationError

from model_training.data.hoss import Split, read_hoss
from model_training.embedding.chip_table import ChipEmbedder, ChipTable, embed_chips
from model_training.evaluation.evaluate import (
    ProtocolName,
    chips_of,
    named_estimates,
    protocols_of,
    score_by_size,
    score_split,
)
from model_training.evaluation.metrics import (
    CMC_RANKS,
    Estimate,
    RetrievalResult,
    bootstrap_mean,
    summarise,
)
from model_training.ranking import FloatMatrix, QueryScores
from model_training.training.config import TypedConfig

SIZE_ONLY = "size only"


class AblationError(Exception):
    """The study cannot be run; says what is wrong."""


class DataEntry(TypedConfig):
    """A data set in HOSS layout, or a plain folder of chips."""

    name: str
    root: Path


class Variant(TypedConfig):
    """One recipe: its models by seed, and whether optical embeddings are fused."""

    name: str
    models: tuple[Path, ...] = Field(min_length=1)
    fusion: bool = False


class Study(TypedConfig):
    """Variants in the order in which parts are added."""

    data: tuple[DataEntry, ...] = Field(min_length=1)
    variants: tuple[Variant, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One variant, or the size-only floor, under one protocol.

    Attributes:
        variant: its name, or `SIZE_ONLY`.
        models: how many models the variant has; the floor has none.
        result: averaged over the variant's models.
        spread: standard deviation of mAP over the models, None for a single one.
        gain: mAP minus that of the previous variant, in points; None for the first and the floor.
    """

    data: str
    protocol: ProtocolName
    variant: str
    models: int
    result: RetrievalResult
    spread: float | None
    gain: Estimate | None

    @property
    def is_floor(self) -> bool:
        """Whether the row is the size-only floor."""
        return not self.models

    def document(self) -> dict[str, Any]:
        """Return the row for a JSON file; per cent."""
        estimates = named_estimates(self.result)
        return {
            "data": self.data,
            "protocol": self.protocol,
            "variant": self.variant,
            "models": self.models,
            "spread": self.spread,
            "gain": None if self.gain is None else self.gain.document(),
            "queries": self.result.queries,
            "gallery": self.result.gallery,
            **{name: estimate.document() for name, estimate in estimates.items()},
        }


def read_study(path: Path) -> Study:
    """Read the YAML file and resolve the paths in it, which are relative to the file.

    Raises:
        AblationError: the file is missing, is no YAML, has unknown keys, or names missing paths.
    """
    try:
        study = Study.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError, ValidationError) as error:
        raise AblationError(f"{path}: {error}") from error
    base = path.parent
    resolved = Study(
        data=tuple(d.model_copy(update={"root": base / d.root}) for d in study.data),
        variants=tuple(
            v.model_copy(update={"models": tuple(base / m for m in v.models)})
            for v in study.variants
        ),
    )
    named = [d.root for d in resolved.data] + [m for v in resolved.variants for m in v.models]
    missing = [str(p) for p in named if not p.exists()]
    if missing:
        raise AblationError(f"{path} names what does not exist: {', '.join(missing)}")
    return resolved


def with_genuine(study: Study, folder: Path | None) -> Study:
    """Return the study with a folder of genuine chips added to its data.

    Raises:
        AblationError: the folder does not exist.
    """
    if folder is None:
        return study
    if not folder.is_dir():
        raise AblationError(f"{folder} is not a folder of genuine chips")
    entry = DataEntry(name=f"{folder.resolve().name}, zero-shot", root=folder)
    return study.model_copy(update={"data": (*study.data, entry)})


def run_study(
    study: Study,
    open_model: Callable[[Path], ChipEmbedder],
    progress: Callable[[int], None] = lambda _: None,
    draws: int = 2000,
    seed: int = 0,
) -> list[AblationRow]:
    """Measure every variant on every data set, embedding each set once per model.

    Returns:
        Rows by data set and protocol: the variants in the study's order, then the size-only floor.

    Raises:
        AblationError: a variant is fused and its model has no fusion.
        DatasetError: a data set cannot be read.
    """
    rows = []
    for entry in study.data:
        splits = protocols_of(read_hoss(entry.root))
        tables: dict[Path, ChipTable] = {}
        for model in {m: None for v in study.variants for m in v.models}:
            table = embed_chips(chips_of(splits), open_model(model), progress)
            tables[model] = table
        for protocol, split in splits.items():
            previous: FloatMatrix | None = None
            for variant in study.variants:
                scores = [_score(split, tables[model], variant) for model in variant.models]
                row = _row(entry.name, protocol, variant.name, scores, previous, draws, seed)
                previous = _mean_precision(scores)
                rows.append(row)
            rows.append(_floor(entry.name, protocol, split, table, draws, seed))
    return rows


def _score(split: Split, table: ChipTable, variant: Variant) -> QueryScores:
    if variant.fusion and table.embeddings.fused is None:
        raise AblationError(
            f"variant {variant.name!r} requires fusion, but one of its models has no fusion; "
            "give bundles that fuse, or leave fusion out"
        )
    vectors = table.embeddings.served if variant.fusion else table.embeddings.plain
    return score_split(split, table, vectors)


def _row(
    data: str,
    protocol: ProtocolName,
    variant: str,
    scores: Sequence[QueryScores],
    previous: FloatMatrix | None,
    draws: int,
    seed: int,
) -> AblationRow:
    first = scores[0]

    def percent(values: FloatMatrix) -> Estimate:
        return bootstrap_mean(100.0 * values, first.identities, draws, seed)

    precision = _mean_precision(scores)
    ranks = np.stack([s.first_match_rank for s in scores])  # [models, N]
    means = [100.0 * float(s.average_precision.mean()) for s in scores]
    return AblationRow(
        data=data,
        protocol=protocol,
        variant=variant,
        models=len(scores),
        result=RetrievalResult(
            mean_ap=percent(precision),
            cmc={rank: percent((ranks <= rank).mean(axis=0)) for rank in CMC_RANKS},
            queries=first.identities.size,
            gallery=first.gallery,
            skipped=first.skipped,
        ),
        spread=float(np.std(means, ddof=1)) if len(means) > 1 else None,
        gain=None if previous is None else percent(precision - previous),
    )


def _floor(
    data: str, protocol: ProtocolName, split: Split, table: ChipTable, draws: int, seed: int
) -> AblationRow:
    """Return the size-only row; chip sizes are the same in the table of any model."""
    return AblationRow(
        data=data,
        protocol=protocol,
        variant=SIZE_ONLY,
        models=0,
        result=summarise(score_by_size(split, table), draws, seed),
        spread=None,
        gain=None,
    )


def _mean_precision(scores: Sequence[QueryScores]) -> FloatMatrix:
    """Return float64 `[N]`: each query's average precision, averaged over the models."""
    return np.asarray(np.mean([s.average_precision for s in scores], axis=0))
