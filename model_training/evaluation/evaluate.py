"""Measure retrieval across sensors: mAP, R1, R5, R10 per protocol, with 95 % intervals.

Protocols: `ALL` (queries and gallery of both sensors), `O2S` (optical queries, SAR gallery) and
`S2O` (SAR queries, optical gallery). Each result comes with the same without fusion, and with the
size-only floor: what length and width alone would reach. A model at the floor has learnt nothing
from the pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_training.data.hoss import HossDataset, LabelledChip, Split
from model_training.embedding.chip_table import ChipTable
from model_training.evaluation.metrics import (
    CMC_RANKS,
    Estimate,
    RetrievalResult,
    summarise,
    values_and_intervals,
)
from model_training.ranking import QueryScores, cosine_distances, score_queries, size_distances
from service.contract.chip import Modality
from service.contract.manifest import Metric

ProtocolName = Literal["ALL", "O2S", "S2O"]
_SENSORS: dict[Literal["O2S", "S2O"], tuple[Modality, Modality]] = {
    "O2S": (Modality.OPTICAL, Modality.SAR),
    "S2O": (Modality.SAR, Modality.OPTICAL),
}


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """The results of one protocol.

    Attributes:
        served: the embeddings that the service uses, fused where the model fuses.
        without_fusion: the encoder's embeddings alone.
        size_only: ranked by length and width, no pixels.
    """

    served: RetrievalResult
    without_fusion: RetrievalResult
    size_only: RetrievalResult


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results by protocol, and whether the model fuses at all."""

    protocols: Mapping[ProtocolName, ProtocolResult]
    fuses: bool

    def document(self) -> dict[str, Any]:
        """Return the results for a JSON file, in per cent.

        Each protocol holds the served result, and in it `without_fusion` and `size_only`.
        """
        protocols: dict[str, Any] = {
            name: _retrieval_document(result.served)
            | {
                "without_fusion": _retrieval_document(result.without_fusion),
                "size_only": _retrieval_document(result.size_only),
            }
            for name, result in self.protocols.items()
        }
        return protocols | {"fuses": self.fuses}


def protocols_of(dataset: HossDataset) -> dict[ProtocolName, Split]:
    """Return the queries and the gallery of each protocol that a data set allows.

    * With `query/` and `bounding_box_test/`: `ALL` is that split, including gallery chips of the
      query's own sensor. `O2S` and `S2O` are the published subsets, or, when the folder has none,
      the split's queries of one sensor against its gallery chips of the other.
    * Without them: every labelled chip queries all chips of the other modality (`O2S`, `S2O`);
      there is no `ALL`, because a chip would find its own neighbours of the same pass.

    A protocol without queries or without a gallery is left out.
    """
    if dataset.test is None and not dataset.subsets:
        chips = dataset.train + dataset.loose
        labelled = tuple(chip for chip in chips if not chip.is_distractor)
        return _across_sensors(Split(query=labelled, gallery=chips))
    splits: dict[ProtocolName, Split] = {}
    if dataset.test is not None:
        splits = {"ALL": dataset.test, **_across_sensors(dataset.test)}
    for name in _SENSORS:
        if name in dataset.subsets:
            splits[name] = dataset.subsets[name]
    return splits


def chips_of(splits: Mapping[ProtocolName, Split]) -> list[LabelledChip]:
    """Return every chip that some protocol needs; a chip may occur more than once."""
    return [chip for split in splits.values() for chip in (*split.query, *split.gallery)]


def evaluate(
    splits: Mapping[ProtocolName, Split], table: ChipTable, draws: int = 2000, seed: int = 0
) -> Evaluation:
    """Score every protocol.

    Args:
        splits: see `protocols_of`.

    Raises:
        ValueError: there is no protocol, or one without a single query that has a true match.
    """
    if not splits:
        raise ValueError(
            "the data set allows no protocol: it needs chips of both sensors (RGB and SAR)"
        )
    return Evaluation(
        protocols={
            name: _score_protocol(split, table, draws, seed) for name, split in splits.items()
        },
        fuses=table.embeddings.fused is not None,
    )


def evaluation_metrics(evaluation: Evaluation, dataset: str) -> tuple[Metric, ...]:
    """Return the results for a bundle's manifest: `mAP`, `mAP without fusion`, `mAP size only`…"""
    rows = []
    for protocol, result in evaluation.protocols.items():
        variants = {
            "": result.served,
            " without fusion": result.without_fusion,
            " size only": result.size_only,
        }
        for suffix, numbers in variants.items():
            rows += [
                estimate.metric(
                    dataset,
                    protocol,
                    name + suffix,
                    queries=numbers.queries,
                    gallery=numbers.gallery,
                )
                for name, estimate in named_estimates(numbers).items()
            ]
    return tuple(rows)


def named_estimates(result: RetrievalResult) -> dict[str, Estimate]:
    """Return `mAP`, `R1`, `R5`, `R10`, in this order."""
    return {"mAP": result.mean_ap} | {f"R{rank}": result.cmc[rank] for rank in CMC_RANKS}


def _across_sensors(split: Split) -> dict[ProtocolName, Split]:
    """Return the split's queries of one sensor with its gallery chips of the other sensor."""
    splits: dict[ProtocolName, Split] = {}
    for name, (query_sensor, gallery_sensor) in _SENSORS.items():
        query = tuple(chip for chip in split.query if chip.modality is query_sensor)
        gallery = tuple(chip for chip in split.gallery if chip.modality is gallery_sensor)
        if query and gallery:
            splits[name] = Split(query, gallery)
    return splits


def score_split(split: Split, table: ChipTable, vectors: NDArray[np.float32]) -> QueryScores:
    """Rank a split by the cosine of embeddings.

    Args:
        split: queries and gallery; all its chips are in the table.
        vectors: float32 `[N, D]`, unit rows in the table's order, `plain` or `served`.
    """
    query, gallery = table.rows_of(split.query), table.rows_of(split.gallery)
    ids = table.vessel_ids
    return score_queries(
        cosine_distances(vectors[query], vectors[gallery]), ids[query], ids[gallery]
    )


def score_by_size(split: Split, table: ChipTable) -> QueryScores:
    """Rank a split by length and width alone, see `ranking.size_distances`.

    Args:
        split: queries and gallery; all its chips are in the table.
        table: the chips; its embeddings are not used.
    """
    query, gallery = table.rows_of(split.query), table.rows_of(split.gallery)
    ids, sizes = table.vessel_ids, table.size_m
    return score_queries(size_distances(sizes[query], sizes[gallery]), ids[query], ids[gallery])


def _score_protocol(split: Split, table: ChipTable, draws: int, seed: int) -> ProtocolResult:
    return ProtocolResult(
        served=summarise(score_split(split, table, table.embeddings.served), draws, seed),
        without_fusion=summarise(score_split(split, table, table.embeddings.plain), draws, seed),
        size_only=summarise(score_by_size(split, table), draws, seed),
    )


def _retrieval_document(result: RetrievalResult) -> dict[str, Any]:
    return {
        **values_and_intervals(named_estimates(result)),
        "queries": result.queries,
        "gallery": result.gallery,
        "skipped": result.skipped,
    }
