"""Measure retrieval with coarser queries against a gallery at its own resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_training.embedding.chip_table import ChipEmbedder
from model_training.evaluation import loose_crops
from model_training.evaluation.framing_report import scene_fleet
from model_training.ranking import Direction
from model_training.simulator.views import render_view
from service.contract.chip import Chip, Modality
from service.contract.manifest import Metric

GSDS_M = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0)
FINEST_M = min(GSDS_M)
LEAST_SIDE_PX = 8
"""The service refuses chips with a shorter side."""
_LENGTH_SHARE = 1 / 1.15
"""Share of a tight chip's length that is hull."""


@dataclass(frozen=True, slots=True)
class AtGsd:
    """The results with queries of one GSD.

    Attributes:
        retrieval: by direction.
        accepted: share of the query chips, 0 to 1, whose sides are long enough for the service.
        hull_pixels: median number of pixels along the hull of the query chips, by sensor.
    """

    retrieval: Mapping[Direction, loose_crops.Retrieval]
    accepted: float
    hull_pixels: Mapping[Modality, float]

    def document(self) -> dict[str, Any]:
        """Return the numbers for JSON."""
        return {
            **{direction: result.document() for direction, result in self.retrieval.items()},
            "accepted": self.accepted,
            "hull_pixels": {modality.value: n for modality, n in self.hull_pixels.items()},
        }


def rendered_at(gsd_m: float | None, count: int, seed: int) -> tuple[NDArray[np.int64], list[Chip]]:
    """Render tight chips of `count` ships by both sensors: vessel ids and chips.

    Args:
        gsd_m: metres per pixel; None takes each sensor's own.
        seed: of the fleet; equal seeds give the same acquisitions at any GSD.
    """
    config, vessels = scene_fleet(count, seed)
    ids, chips = [], []
    for modality in Modality:
        for number, (ship, _) in enumerate(vessels):
            view = render_view(ship, modality.value, number, config, gsd_m)
            ids.append(number)
            chips.append(loose_crops.chip_of(view.pixels, modality, view.gsd_m))
    return np.array(ids, np.int64), chips


def coarsen(chip: Chip, gsd_m: float) -> Chip:
    """Return the chip sampled at `gsd_m`, by the mean over the area of each new pixel.

    Of radar chips the mean is that of power, as in multilooking. A chip that is as coarse already
    comes back as it is. Sides have at least one pixel.
    """
    if gsd_m <= chip.gsd_m * 1.001:
        return chip
    height, width = (max(round(size * chip.gsd_m / gsd_m), 1) for size in chip.pixels.shape[:2])

    def resize(plane: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BOX))

    if chip.modality is Modality.SAR:
        power = resize(np.square(chip.pixels, dtype=np.float32))
        return replace(chip, pixels=np.sqrt(power), gsd_m=gsd_m)
    return replace(chip, pixels=resize(chip.pixels), gsd_m=gsd_m)


def measure_gsds(
    vessel_ids: NDArray[np.int64],
    chips: Sequence[Chip],
    gallery: Sequence[Chip],
    embed: ChipEmbedder,
    draws: int,
    seed: int,
    advance: loose_crops.Advance = lambda _: None,
) -> dict[float, AtGsd]:
    """Search the gallery chips of one sensor with coarsened chips of the other.

    Args:
        vessel_ids: int64 `[N]`, of both `chips` and `gallery`.
        chips: the queries before they are coarsened. A GSD is measured only if no chip is coarser
            than it.
        gallery: the same acquisitions at the sensors' own GSD.

    Raises:
        ValueError: no query has a true match in the gallery.
    """
    known = loose_crops.embed_all(gallery, embed, advance)
    sar = np.array([chip.modality is Modality.SAR for chip in chips])
    asking: dict[Direction, NDArray[np.bool_]] = {"S2O": sar, "O2S": ~sar}
    coarsest = max(chip.gsd_m for chip in chips)
    results = {}
    for gsd_m in GSDS_M:
        if gsd_m < coarsest * 0.999:
            continue
        coarse = [coarsen(chip, gsd_m) for chip in chips]
        vectors = loose_crops.embed_all(coarse, embed, advance)
        along = np.array([max(chip.pixels.shape[:2]) for chip in coarse])
        results[gsd_m] = AtGsd(
            retrieval={
                direction: loose_crops.summarise_scores(
                    loose_crops.search(loose_crops.Search(vectors, None, known), rows, vessel_ids),
                    draws,
                    seed,
                )
                for direction, rows in asking.items()
            },
            accepted=float(np.mean([min(c.pixels.shape[:2]) >= LEAST_SIDE_PX for c in coarse])),
            hull_pixels={
                modality: float(np.median(along[rows]) * _LENGTH_SHARE)
                for modality, rows in ((Modality.SAR, sar), (Modality.OPTICAL, ~sar))
            },
        )
    return results


def gsd_metrics(results: Mapping[float, AtGsd], dataset: str) -> tuple[Metric, ...]:
    """Return the results for a bundle's manifest; the GSD is part of the protocol."""
    return tuple(
        metric
        for gsd_m, at_gsd in results.items()
        for direction, result in at_gsd.retrieval.items()
        for metric in result.metrics(dataset, f"{direction}, queries at {gsd_m:g} m")
    )
