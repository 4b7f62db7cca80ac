"""Measure what learning from confirmed ships gains: by their number, and on ships left out.

`grow_archive` renders ships of a *simulated* sensor other than the one that the encoder knows,
lets ever more of them be confirmed, goes on from the encoder with each archive, and measures on
ships of that sensor that no run saw. `leave_out` takes a folder of genuine chips and leaves every
ship out of one run. Finished runs are not repeated.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from model_training.data.hoss import LabelledChip, all_chips, read_hoss
from model_training.embedding.chip_table import embed_chips
from model_training.embedding.models import open_model
from model_training.encoder.train import train_encoder
from model_training.encoder.train_config import ArchiveData, EncoderTrainConfig
from model_training.evaluation.comparison import (
    Comparison,
    compare,
    compare_on_held_out,
    compared,
    scores_by_direction,
)
from model_training.ranking import DIRECTIONS, Direction, QueryScores
from model_training.simulator import SimulatorConfig, write_dataset
from model_training.training.checkpoint import Checkpoint, read_metric
from model_training.training.config import ConfigError, TypedConfig, load_config
from service.contract.chip import Modality
from service.contract.hoss_names import TRAIN_FOLDER


class AdaptationStudy(TypedConfig):
    """A study of how much an encoder gains.

    `run` is the config of a run on an archive, of which the study replaces folder, cache and `out`.
    `sensor` overrides settings of the simulator (`SimulatorConfig`), and `ships` are the numbers of
    confirmed ships; its `vessels` must leave so many for training. In `folds` runs a part of the
    genuine ships is left out.
    """

    out: Path
    run: Path
    ships: tuple[int, ...] = Field(min_length=1)
    sensor: dict[str, Any]
    folds: int = Field(3, ge=2)


@dataclass(frozen=True, slots=True)
class GrowthPoint:
    """What an archive of so many confirmed ships gains.

    Attributes:
        confirmed: ships of the archive, those included that the run holds out.
        test: on ships of the same sensor that are in no archive.
        last: likewise, with the last weights of the run instead of the chosen ones.
        held_out: on the archive's held-out ships, as `crossfix-export bundle --better-than` does.
        replay: mAP on simulated ships of the usual sensors, before and after.
        step: of the checkpoint that the held-out ships chose.
    """

    confirmed: int
    test: Comparison
    last: Comparison
    held_out: Comparison
    replay: tuple[float, float]
    step: int

    def document(self) -> dict[str, Any]:
        """Return the point for a JSON file; per cent."""
        return {
            "confirmed": self.confirmed,
            "test": self.test.document(),
            "last": self.last.document(),
            "held_out": self.held_out.document(),
            "bundle_written": self.held_out.is_better,
            "replay": self.replay,
            "step": self.step,
        }


def read_run(study: AdaptationStudy) -> EncoderTrainConfig:
    """Read the config of the run that the study repeats.

    Raises:
        ConfigError: it cannot be read, learns from no archive, or has no `initial` weights or
            `patience`.
    """
    config = load_config(study.run, EncoderTrainConfig)
    if not isinstance(config.data, ArchiveData):
        raise ConfigError(f"{study.run}: data: a study of adaptation needs `kind: archive`")
    if config.initial is None or config.run.patience is None:
        raise ConfigError(f"{study.run}: name the `initial` weights and the `patience`")
    return config


def grow_archive(
    study: AdaptationStudy, progress: Callable[[str], None] = lambda _: None
) -> list[GrowthPoint]:
    """Continue the training of the encoder on archives of each size, and measure each result.

    Raises:
        ConfigError: a config cannot be used, or the fleet has too few ships.
    """
    config = read_run(study)
    assert config.initial is not None
    root = study.out / "sensor"
    if not (root / "dataset.json").is_file():
        progress("rendering the other sensor's ships")
        write_dataset(SimulatorConfig.model_validate(study.sensor), root)
    dataset = read_hoss(root)
    ids = sorted({chip.vessel_id for chip in dataset.train})
    if max(study.ships) > len(ids):
        raise ConfigError(f"ships: {max(study.ships)} exceeds the {len(ids)} of the fleet")
    test = all_chips(dataset)
    before = embed_chips(test, open_model(config.initial))
    points = []
    for count in study.ships:
        progress(f"{count} confirmed ships")
        chips = [chip for chip in dataset.train if chip.vessel_id in ids[:count]]
        best, last = _adapt(config, study.out / f"ships-{count}", chips)
        points.append(
            GrowthPoint(
                confirmed=count,
                test=compare(before, embed_chips(test, open_model(best))),
                last=compare(before, embed_chips(test, open_model(last))),
                held_out=compare_on_held_out([best], [config.initial]),
                replay=_replay(best),
                step=Checkpoint.load(best).step,
            )
        )
    return points


def leave_out(
    study: AdaptationStudy, genuine: Path, progress: Callable[[str], None] = lambda _: None
) -> tuple[Comparison, Comparison]:
    """Compare on genuine ships, each queried with an encoder that was not taught with it.

    The gallery of every query are all chips of the other sensor, those of the taught ships among
    them.

    Args:
        genuine: a folder in HOSS layout.

    Returns:
        With the weights that the held-out ships of each run chose, and with its last ones.

    Raises:
        ConfigError: a config cannot be used.
        DatasetError: the folder cannot be read.
    """
    config = read_run(study)
    assert config.initial is not None
    chips = all_chips(read_hoss(genuine))
    before = embed_chips(chips, open_model(config.initial))
    older: list[dict[Direction, QueryScores]] = []
    newer: tuple[list[dict[Direction, QueryScores]], ...] = ([], [])
    for number, fold in enumerate(folds(chips, study.folds)):
        progress(f"fold {number + 1} of {study.folds}: {len(fold)} ships are left out")
        rest = [chip for chip in chips if chip.vessel_id not in fold and not chip.is_distractor]
        older.append(scores_by_direction(before, before.embeddings.served, fold))
        runs = _adapt(config, study.out / f"fold-{number + 1}", rest)
        for scores, weights in zip(newer, runs, strict=True):
            after = embed_chips(chips, open_model(weights))
            scores.append(scores_by_direction(after, after.embeddings.served, fold))
    chosen, last = (compared(_pooled(older), _pooled(scores)) for scores in newer)
    return chosen, last


def folds(chips: Sequence[LabelledChip], count: int) -> Iterator[frozenset[int]]:
    """Deal the ships with chips of both sensors, in order of their ids, into parts."""
    sensors: dict[int, set[Modality]] = {}
    for chip in chips:
        if not chip.is_distractor:
            sensors.setdefault(chip.vessel_id, set()).add(chip.modality)
    both = sorted(ship for ship, seen in sensors.items() if len(seen) == 2)
    for number in range(count):
        yield frozenset(both[number::count])


def _pooled(runs: Sequence[Mapping[Direction, QueryScores]]) -> dict[Direction, QueryScores]:
    """Join the scores of different queries in galleries of one size."""
    return {
        name: QueryScores(
            identities=np.concatenate([run[name].identities for run in runs]),
            average_precision=np.concatenate([run[name].average_precision for run in runs]),
            first_match_rank=np.concatenate([run[name].first_match_rank for run in runs]),
            gallery=runs[0][name].gallery,
            skipped=sum(run[name].skipped for run in runs),
        )
        for name in DIRECTIONS
    }


def _adapt(
    config: EncoderTrainConfig, out: Path, chips: Collection[LabelledChip]
) -> tuple[Path, Path]:
    """Train on an archive of these chips, unless that is done; return best and last checkpoint."""
    folder = out / "archive"
    train = folder / TRAIN_FOLDER
    train.mkdir(parents=True, exist_ok=True)
    for chip in chips:
        if not (train / chip.path.name).exists():
            os.symlink(chip.path.resolve(), train / chip.path.name)
    data = config.data.model_copy(update={"folder": folder, "cache": out / "cache"})
    run = config.run.model_copy(update={"out": out / "run"})
    train_encoder(config.model_copy(update={"data": data, "run": run}))
    return out / "run" / "best.pt", out / "run" / "checkpoint.pt"


def _replay(best: Path) -> tuple[float, float]:
    """Return the mAP on simulated validation ships at the start and at the best step of a run."""
    values = read_metric(best.parent, "validation", "replay_mAP")
    return values[0], values[Checkpoint.load(best).step]
