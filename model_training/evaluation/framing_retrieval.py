"""What loose and turned chips cost in retrieval: tight chips against turned and framed ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from model_training.data.hoss import LabelledChip
from model_training.embedding.chip_table import ChipEmbedder
from model_training.evaluation.metrics import cosine_distances, score_queries
from model_training.simulator.scenes import set_in_sea
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.framing.frame import frame_chip

Change = Callable[[Chip, np.random.Generator], Chip]


def keep(chip: Chip, rng: np.random.Generator) -> Chip:
    """Return a tight chip as it is."""
    del rng
    return chip


def turn(chip: Chip, rng: np.random.Generator) -> Chip:
    """Return a chip turned by 180 degrees."""
    del rng
    return replace(chip, pixels=np.ascontiguousarray(chip.pixels[::-1, ::-1]))


def set_loose(chip: Chip, rng: np.random.Generator) -> Chip:
    """Return a chip at any heading in sea of its own kind, 300 x 300 pixels or more."""
    return replace(chip, pixels=set_in_sea(chip.pixels, float(rng.uniform(0, 360)), rng))


def set_loose_and_frame(chip: Chip, rng: np.random.Generator) -> Chip:
    """Return what framing makes of such a loose chip."""
    loose = set_loose(chip, rng)
    return replace(loose, pixels=frame_chip(loose.pixels, loose.modality, loose.gsd_m).pixels)


def set_loose_bow_kept_and_frame(chip: Chip, rng: np.random.Generator) -> Chip:
    """Return the same for headings within 80 degrees of upright, so that the bow stays in place.

    It shows what framing alone costs, apart from the direction of the bow.
    """
    pixels = set_in_sea(chip.pixels, float(rng.uniform(-80, 80)), rng)
    framed = frame_chip(pixels, chip.modality, chip.gsd_m).pixels
    return replace(chip, pixels=framed)


CHANGES: dict[str, Change] = {
    "tight": keep,
    "turned by 180 degrees": turn,
    "loose, as it is": set_loose,
    "loose, framed": set_loose_and_frame,
    "loose within 80 degrees, framed": set_loose_bow_kept_and_frame,
}


def measure_retrieval(
    chips: Sequence[LabelledChip], embed: ChipEmbedder, seed: int, rounds: int = 1
) -> dict[str, dict[str, dict[str, float]]]:
    """Search tight chips of one sensor with changed chips of the other.

    Args:
        chips: tight, upright, genuine chips.
        embed: the model.
        seed: of headings, places and sea.
        rounds: how often each change is drawn; results are averaged.

    Returns:
        For each of `CHANGES` and each direction (`S2O`: SAR queries, `O2S`: optical queries) mAP
        and MRR, 0..1.
    """
    tight = [decode_chip(chip.path.read_bytes(), modality=chip.modality) for chip in chips]
    gallery = embed(tight).served
    ids = np.array([chip.vessel_id for chip in chips], np.int64)
    sar = np.array([chip.modality is Modality.SAR for chip in tight])
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, change in CHANGES.items():
        scores: dict[str, list[tuple[float, float]]] = {"S2O": [], "O2S": []}
        for number in range(1 if change in (keep, turn) else rounds):
            rng = np.random.default_rng((seed, number))
            queries = gallery if change is keep else embed([change(c, rng) for c in tight]).served
            for direction, asking in (("S2O", sar), ("O2S", ~sar)):
                distances = cosine_distances(queries[asking], gallery[~asking])
                found = score_queries(distances, ids[asking], ids[~asking])
                reciprocal = float((1.0 / found.first_match_rank).mean())
                scores[direction].append((float(found.average_precision.mean()), reciprocal))
        results[name] = {
            direction: {
                "mAP": float(np.mean([pair[0] for pair in pairs])),
                "MRR": float(np.mean([pair[1] for pair in pairs])),
            }
            for direction, pairs in scores.items()
        }
    return results
