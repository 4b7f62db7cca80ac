"""Measure retrieval with chips as detectors crop them, beside the same chips cut tight.

A loose chip is an acquisition at any heading with sea around it: of rendered ships a whole scene
with neighbours, quays and wakes, of other chips the chip itself, turned and set into sea that looks
like its border. Queries are framed as the service frames them and compared both ways round, because
framing does not tell at which end the bow is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_training.data.hoss import LabelledChip
from model_training.embedding.chip_table import BATCH, ChipEmbedder
from model_training.evaluation.framing_report import Errors, scene_fleet
from model_training.evaluation.metrics import Estimate, bootstrap_mean
from model_training.ranking import Direction, QueryScores, cosine_distances, score_queries
from model_training.simulator.scenes import Scene, set_in_sea
from model_training.simulator.views import render_view
from service.contract.chip import Chip, Modality
from service.contract.framing.frame import frame_chip
from service.contract.framing.half_turn import better_way, half_turn
from service.contract.manifest import Metric

Condition = Literal[
    "tight, as given",
    "turned by 180 degrees, as given",
    "tight, as served",
    "turned by 180 degrees, as served",
    "tight, framed, both ways",
    "loose, as given",
    "loose, framed, one way",
    "loose, framed, both ways",
    "loose, framed, both ways, one view",
    "loose, framed, turned as the tight chip",
]
Vectors = NDArray[np.float32]
Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Ships:
    """N acquisitions of ships of known identity, each tight and loose.

    Attributes:
        vessel_ids: int64 `[N]`.
        tight: the acquisitions cut out tight and upright.
        loose: the same with sea around them; empty where only tight chips are measured.
        tops_deg: where in each loose chip the top of the tight one lies, clockwise from the top.
    """

    vessel_ids: NDArray[np.int64]
    tight: Sequence[Chip]
    loose: Sequence[Chip] = ()
    tops_deg: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Results of one direction; percentages, but for the mean reciprocal rank, 0 to 1."""

    mean_ap: Estimate
    first: Estimate
    reciprocal_rank: Estimate
    queries: int
    gallery: int

    def document(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return {
            "mAP": self.mean_ap.document(),
            "R1": self.first.document(),
            "MRR": self.reciprocal_rank.document(),
            "queries": self.queries,
            "gallery": self.gallery,
        }

    def metrics(self, dataset: str, protocol: str) -> tuple[Metric, ...]:
        """Return the numbers for a bundle's manifest."""
        named = {"mAP": self.mean_ap, "R1": self.first, "MRR (0 to 1)": self.reciprocal_rank}
        return tuple(
            estimate.metric(dataset, protocol, name, queries=self.queries, gallery=self.gallery)
            for name, estimate in named.items()
        )


Results = Mapping[Condition, Mapping[Direction, Retrieval]]


def read_chips(chips: Sequence[LabelledChip]) -> tuple[NDArray[np.int64], list[Chip]]:
    """Read chips from files: vessel ids and chips, as `Ships` takes them.

    Raises:
        DatasetError: a file is not a usable chip.
    """
    return np.array([chip.vessel_id for chip in chips], np.int64), [chip.read() for chip in chips]


def set_loose(chips: Sequence[LabelledChip], seed: int) -> Ships:
    """Read tight chips and set each at any heading into 300 x 300 pixels of sea, or more.

    Args:
        chips: tight and upright, of both sensors, no distractors.

    Raises:
        DatasetError: a file is not a usable chip.
    """
    rng = np.random.default_rng(seed)
    ships = Ships(*read_chips(chips))
    loose, tops = [], []
    for chip in ships.tight:
        tops.append(float(rng.uniform(0, 360)))
        loose.append(replace(chip, pixels=set_in_sea(chip.pixels, tops[-1], rng)))
    return replace(ships, loose=loose, tops_deg=tops)


def choose_ships(chips: Sequence[LabelledChip], most: int, seed: int) -> tuple[LabelledChip, ...]:
    """Return all labelled chips of at most `most` ships, drawn at random."""
    ids = np.unique([chip.vessel_id for chip in chips if not chip.is_distractor])
    drawn = set(np.random.default_rng(seed).permutation(ids)[:most].tolist())
    return tuple(chip for chip in chips if chip.vessel_id in drawn)


def rendered_ships(scenes: Mapping[Modality, Sequence[Scene]], seed: int) -> Ships:
    """Render the tight chip of each simulated scene, of the same acquisition.

    Args:
        scenes: of both sensors, from `framing_report.simulate_scenes` with the same seed.
    """
    ids: list[int] = []
    tight, loose, tops = [], [], []
    for modality, of_sensor in scenes.items():
        config, vessels = scene_fleet(len(of_sensor), seed)
        for number, scene in enumerate(of_sensor):
            view = render_view(vessels[number][0], modality.value, number, config)
            ids.append(number)
            tight.append(chip_of(view.pixels, modality, view.gsd_m))
            loose.append(chip_of(scene.pixels, modality, scene.gsd_m))
            tops.append(scene.axis_deg)
    return Ships(np.array(ids, np.int64), tight, loose, tops)


@dataclass(frozen=True, slots=True)
class Search:
    """Embeddings of N chips, float32 `[N, D]` each, of which some are queries.

    Attributes:
        queries: of the chips as queries.
        half_turns: of the same turned by 180 degrees; None for searches one way.
        gallery: of the chips as known ones.
        preference: float64 `[N, N]`, what a half turn loses in similarity to each known chip.
    """

    queries: Vectors
    half_turns: Vectors | None
    gallery: Vectors
    preference: NDArray[np.float64] | None = None


def measure_crops(
    ships: Ships,
    embed: ChipEmbedder,
    draws: int,
    seed: int,
    advance: Advance = lambda _: None,
    bow_preference: float | None = None,
) -> Results:
    """Search tight chips of one sensor with tight, turned and loose chips of the other.

    As given, query and gallery are embedded as they are. Framed, both pass through framing, and the
    query is compared one way, both ways, or with the same end up as the tight chip, which shows
    what framing costs apart from the end that it cannot tell. Loose chips are embedded as the mean
    of two views, or as one view, see `preprocess.prepare_views`.

    Args:
        ships: see `Ships`; without loose chips only tight and turned ones are measured.
        bow_preference: of the bundle, see `BothWaysSpec`; with it, tight and turned chips are also
            measured as the service compares them.

    Raises:
        ValueError: no query has a true match in the gallery.
    """
    given = embed_all(ships.tight, embed, advance)
    framed = [framed_chip(chip) for chip in ships.tight]
    straight = given.copy()
    changed = [row for row, chip in enumerate(framed) if chip is not ships.tight[row]]
    if changed:
        straight[changed] = embed_all([framed[row] for row in changed], embed, advance)
    turned = embed_all([turned_chip(chip) for chip in framed], embed, advance)
    searches: dict[Condition, Search] = {
        "tight, as given": Search(given, None, given),
        "turned by 180 degrees, as given": Search(turned, None, given),
        "tight, framed, both ways": Search(straight, turned, straight),
    }
    if bow_preference is not None:
        unchanged = np.ones(len(framed), np.float64)
        unchanged[changed] = 0.0
        preference = bow_preference * np.outer(unchanged, unchanged)  # [N, N]
        searches |= {
            "tight, as served": Search(straight, turned, straight, preference),
            "turned by 180 degrees, as served": Search(turned, straight, straight, preference),
        }
    if ships.loose:
        framings = [frame_chip(one.pixels, one.modality, one.gsd_m) for one in ships.loose]
        cut = [
            replace(chip, pixels=found.pixels, cut_out=found.framing.cut_out)
            for chip, found in zip(ships.loose, framings, strict=True)
        ]
        one_way = embed_all(cut, embed, advance)
        other_way = embed_all([turned_chip(chip) for chip in cut], embed, advance)
        one_view = [replace(chip, cut_out=False) for chip in cut]
        turns = np.array([found.framing.turned_deg for found in framings]) + ships.tops_deg
        upright = np.cos(np.radians(turns)) > 0.0
        searches |= {
            "loose, as given": Search(embed_all(ships.loose, embed, advance), None, given),
            "loose, framed, one way": Search(one_way, None, straight),
            "loose, framed, both ways": Search(one_way, other_way, straight),
            "loose, framed, both ways, one view": Search(
                embed_all(one_view, embed, advance),
                embed_all([turned_chip(chip) for chip in one_view], embed, advance),
                straight,
            ),
            "loose, framed, turned as the tight chip": Search(
                np.where(upright[:, None], one_way, other_way), None, straight
            ),
        }
    sar = np.array([chip.modality is Modality.SAR for chip in ships.tight])
    asking: dict[Direction, NDArray[np.bool_]] = {"S2O": sar, "O2S": ~sar}
    return {
        condition: {
            direction: summarise_scores(search(one, rows, ships.vessel_ids), draws, seed)
            for direction, rows in asking.items()
        }
        for condition, one in searches.items()
    }


def search(
    vectors: Search, asking: NDArray[np.bool_], vessel_ids: NDArray[np.int64]
) -> QueryScores:
    """Search the other sensor's chips.

    Args:
        vectors: of N chips.
        asking: bool `[N]`, which rows are queries; the others are the gallery.
        vessel_ids: int64 `[N]`.
    """
    distances = cosine_distances(vectors.queries[asking], vectors.gallery[~asking])
    if vectors.half_turns is not None:
        other_way = cosine_distances(vectors.half_turns[asking], vectors.gallery[~asking])
        preference = 0.0 if vectors.preference is None else vectors.preference[asking][:, ~asking]
        better = better_way(1.0 - distances, 1.0 - other_way, 0.0, preference)
        distances = 1.0 - better.similarity
    return score_queries(distances, vessel_ids[asking], vessel_ids[~asking])


def summarise_scores(scores: QueryScores, draws: int, seed: int) -> Retrieval:
    """Return means over queries with their 95 % intervals over ships."""
    ids, ranks = scores.identities, scores.first_match_rank
    return Retrieval(
        mean_ap=bootstrap_mean(100.0 * scores.average_precision, ids, draws, seed),
        first=bootstrap_mean(100.0 * (ranks == 1), ids, draws, seed),
        reciprocal_rank=bootstrap_mean(1.0 / ranks, ids, draws, seed),
        queries=ids.size,
        gallery=scores.gallery,
    )


def crop_metrics(results: Results, dataset: str) -> tuple[Metric, ...]:
    """Return the results for a bundle's manifest; the condition is part of the protocol."""
    return tuple(
        metric
        for condition, directions in results.items()
        for direction, result in directions.items()
        for metric in result.metrics(dataset, f"{direction}, {condition}")
    )


def error_metrics(errors: Errors, modality: Modality, dataset: str) -> tuple[Metric, ...]:
    """Return the errors of framing on scenes with truth for a bundle's manifest, in per cent."""
    named = {
        "axis within 3 degrees": errors.axis_within_3_deg,
        "length within 8 %": errors.length_within_8_percent,
        "median error of length": errors.length_median_error,
        "median error of width": errors.width_median_error,
    }
    return tuple(
        Metric(
            dataset=dataset,
            protocol=f"framing, {modality.value}",
            name=name,
            value=100.0 * value,
            queries=errors.scenes,
        )
        for name, value in named.items()
    )


def embed_all(chips: Sequence[Chip], embed: ChipEmbedder, advance: Advance) -> Vectors:
    """Embed chips in batches, as the service stores them: float32 `[N, D]`."""
    parts = []
    for start in range(0, len(chips), BATCH):
        parts.append(embed(chips[start : start + BATCH]).served)
        advance(len(parts[-1]))
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32)


def framed_chip(chip: Chip) -> Chip:
    """Return what framing makes of a chip: the same object where it passes unchanged."""
    framed = frame_chip(chip.pixels, chip.modality, chip.gsd_m)
    if framed.pixels is chip.pixels:
        return chip
    return replace(chip, pixels=framed.pixels, cut_out=framed.framing.cut_out)


def turned_chip(chip: Chip) -> Chip:
    """Return the chip turned by 180 degrees."""
    return replace(chip, pixels=half_turn(chip.pixels))


def chip_of(pixels: NDArray[Any], modality: Modality, gsd_m: float) -> Chip:
    """Return rendered pixels as a chip; the digest is that of the pixels."""
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    return Chip(pixels, modality, gsd_m, "parameter", str(pixels.dtype), digest)
