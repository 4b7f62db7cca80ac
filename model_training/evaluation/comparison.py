"""Compare two encoders on the same ships: the mean mAP of both directions, and its gain."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_training.data.holdout import archive_part
from model_training.data.hoss import read_hoss
from model_training.embedding.chip_table import ChipTable, embed_chips
from model_training.embedding.models import open_model
from model_training.encoder.loading import LoadedEncoder, load_encoders
from model_training.encoder.stores import open_stores
from model_training.encoder.train_config import ArchiveData
from model_training.evaluation.metrics import Estimate, identity_weights, interval_95
from model_training.ranking import (
    DIRECTIONS,
    Direction,
    FloatMatrix,
    QueryScores,
    score_across_sensors,
)
from service.contract.chip import Modality


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two encoders on the same queries and galleries; per cent, intervals over ships.

    Attributes:
        older: mAP, the mean of both directions.
        newer: likewise.
        gain: newer minus older, paired: the same drawn ships.
        by_direction: older and newer mAP of each direction.
    """

    older: Estimate
    newer: Estimate
    gain: Estimate
    by_direction: dict[Direction, tuple[float, float]]
    ships: int

    @property
    def is_better(self) -> bool:
        """Whether the newer encoder has the higher mAP on these ships."""
        return self.gain.value > 0

    @property
    def is_certain(self) -> bool:
        """Whether the interval of the gain lies above 0."""
        return self.gain.low is not None and self.gain.low > 0

    def document(self) -> dict[str, Any]:
        """Return the comparison for a JSON file; per cent."""
        return asdict(self)

    def __str__(self) -> str:
        directions = ", ".join(
            f"{name} {older:.1f} -> {newer:.1f}"
            for name, (older, newer) in self.by_direction.items()
        )
        return (
            f"mAP on {self.ships} ships, mean of both directions: {self.older} -> {self.newer}, "
            f"gain {self.gain:+.1f} ({directions})"
        )


def compare(
    older: ChipTable, newer: ChipTable, among: Collection[int] | None = None, draws: int = 2000
) -> Comparison:
    """Measure two embeddings of the same chips.

    Args:
        older: embedded by the older encoder.
        newer: the same chips in the same order.
        among: the ships that are queried; None: all. The gallery holds all chips of the other
            sensor.

    Raises:
        ValueError: the tables hold different chips, or no queried ship has chips of both sensors.
    """
    if [chip.path for chip in older.chips] != [chip.path for chip in newer.chips]:
        raise ValueError("the two encoders embedded different chips")
    before, after = (scores_by_direction(t, t.embeddings.served, among) for t in (older, newer))
    return compared(before, after, draws)


def compared(
    before: Mapping[Direction, QueryScores],
    after: Mapping[Direction, QueryScores],
    draws: int = 2000,
) -> Comparison:
    """Compare the scores of the same queries, by direction."""
    return Comparison(
        older=mean_of_directions([before], draws),
        newer=mean_of_directions([after], draws),
        gain=mean_of_directions([after, before], draws),
        by_direction={name: (_percent(before[name]), _percent(after[name])) for name in DIRECTIONS},
        ships=len(np.unique(before["S2O"].identities)),
    )


def compare_on_held_out(paths: Sequence[Path], older: Sequence[Path]) -> Comparison:
    """Compare encoders that learnt from an archive with others, on ships of the archive.

    These are ships that the runs held out, other ones than chose the checkpoint (`archive_part`).
    They are searched among all ships of the archive.

    Args:
        paths: checkpoints that are used as one; at least one of them learnt from an archive.
        older: a bundle's folder, or checkpoints.

    Raises:
        ValueError: no encoder learnt from an archive, or two held out different ships.
        StoreError: the archive has changed since the run.
        EncoderLoadError, ModelError, BundleError: an encoder cannot be read.
        DatasetError: the archive cannot be read.
    """
    members = load_encoders(paths).members
    adapted = [m for m in members if isinstance(m.training.data, ArchiveData)]
    if not adapted:
        raise ValueError(
            "encoders are compared on the held-out ships of an archive, but none was trained "
            "on one (data: {kind: archive})"
        )
    held_out = [_held_out(member) for member in adapted]
    if any(ships != held_out[0] for ships in held_out):
        raise ValueError("the encoders held out different ships; train them on one archive")
    data = adapted[0].training.data
    assert isinstance(data, ArchiveData)
    part = archive_part(held_out[0], "comparison", data.split_seed)
    chips = read_hoss(data.folder).train
    before, after = (embed_chips(chips, open_model(*models)) for models in (older, paths))
    return compare(before, after, part.vessels)


def _held_out(member: LoadedEncoder) -> frozenset[int]:
    """Return the ships that a run held out of its archive, which must be as it was."""
    data = member.training.data
    stores = open_stores(data, member.config.preprocess)
    if stores.digest != member.checkpoint.data_digest:
        raise ValueError("the archive or the replay holds other chips than the run learnt from")
    return frozenset(stores.validation.vessels.tolist())


def scores_by_direction(
    table: ChipTable, vectors: NDArray[np.float32], among: Collection[int] | None = None
) -> dict[Direction, QueryScores]:
    """Search every chip of one sensor among those of the other; queries of the ships `among`."""
    ids = table.vessel_ids
    is_sar = np.array([chip.modality is Modality.SAR for chip in table.chips])
    asked = None if among is None else np.isin(ids, list(among))
    return score_across_sensors(vectors, ids, is_sar, asked)


def mean_of_directions(runs: Sequence[Mapping[Direction, QueryScores]], draws: int) -> Estimate:
    """Return the mean mAP of both directions of one run, or by how much it exceeds another's.

    A ship counts in both directions with the same weight in each bootstrap sample.

    Args:
        runs: scores by direction; of two runs, the second is subtracted.
    """
    values: list[float] = []
    samples: list[FloatMatrix] = []
    ships = 0
    for name in DIRECTIONS:
        precision = 100 * runs[0][name].average_precision
        if len(runs) == 2:
            precision = precision - 100 * runs[1][name].average_precision
        identities = runs[0][name].identities
        ships = len(np.unique(identities))
        weights = identity_weights(identities, draws, seed=0)  # [draws, N]
        values.append(float(precision.mean()))
        samples.append((weights @ precision) / weights.sum(axis=1))
    mean = float(np.mean(values))
    if ships < 2:
        return Estimate(mean, None, None)
    return Estimate(mean, *interval_95(np.mean(samples, axis=0), ships))


def _percent(scores: QueryScores) -> float:
    return 100 * float(scores.average_precision.mean())
