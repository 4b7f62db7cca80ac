"""Measure whether a model tells look-alikes apart: small galleries of one type and one size.

A gallery holds one chip each of up to 29 ships of one type whose lengths differ by at most 10 %
from that of one of them. Each of its ships asks with another chip, of the other sensor or of the
same one. A gallery of any ships rewards a model that knows the class of a ship; this one does not.

With one true match per gallery, the average precision of a query is 1 over the match's rank.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_training.embedding.chip_table import ChipTable
from model_training.evaluation.metrics import Estimate, bootstrap_mean, values_and_intervals
from model_training.ranking import size_distances
from service.contract.chip import Modality
from service.contract.hoss_names import DISTRACTOR_ID
from service.contract.manifest import Metric

LookAlikeProtocol = Literal["O2O", "S2O", "O2S"]
GALLERY_SHIPS = 29
"""As many as there are SAR queries in the genuine set that is held back for acceptance."""
LENGTH_TOLERANCE = 0.10
FEWEST_SHIPS = 5
"""Galleries of fewer look-alikes are left out: chance would do well in them."""
GALLERIES = 400
VESSELS_FILE = "vessels.csv"

_SENSORS: dict[LookAlikeProtocol, tuple[Modality, Modality]] = {
    "O2O": (Modality.OPTICAL, Modality.OPTICAL),
    "S2O": (Modality.SAR, Modality.OPTICAL),
    "O2S": (Modality.OPTICAL, Modality.SAR),
}


class LookAlikeError(Exception):
    """The chips allow no gallery of look-alikes."""


@dataclass(frozen=True, slots=True)
class KnownShip:
    """What a data set's `vessels.csv` says of a ship."""

    vessel_type: str
    length_m: float


@dataclass(frozen=True, slots=True)
class LookAlikeResult:
    """One protocol, per cent; intervals over ships.

    Attributes:
        mean_ap: mAP of the embeddings as the service uses them.
        first: R1 of the same.
        size_only_ap: mAP when the gallery is ranked by length and width alone.
        ships: how many different ships asked.
        gallery: mean number of ships in a gallery.
    """

    mean_ap: Estimate
    first: Estimate
    size_only_ap: Estimate
    ships: int
    gallery: float

    def document(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        numbers = {"mAP": self.mean_ap, "R1": self.first, "mAP_size_only": self.size_only_ap}
        return {**values_and_intervals(numbers), "ships": self.ships, "gallery": self.gallery}


def read_vessels(folder: Path) -> dict[int, KnownShip]:
    """Read types and lengths beside a simulated data set, or beside the set whose part it is.

    Returns:
        By vessel id; empty where there is no `vessels.csv`, as with genuine chips.
    """
    for place in (folder, folder.resolve().parent):
        path = place / VESSELS_FILE
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                return {
                    int(row["id"]): KnownShip(row["type"], float(row["length_m"]))
                    for row in csv.DictReader(file)
                }
    return {}


def look_alikes(
    table: ChipTable,
    known: Mapping[int, KnownShip],
    *,
    galleries: int = GALLERIES,
    types: Sequence[str] = (),
    draws: int = 2000,
    seed: int = 0,
) -> dict[LookAlikeProtocol, LookAlikeResult]:
    """Draw galleries of look-alikes and score them.

    Args:
        table: embedded chips; distractors are left out.
        known: types and lengths by vessel id. A ship that is not there is of unknown type, and its
            length is the median over its chips.
        galleries: how many are drawn per protocol.
        types: only ships of these types; empty takes all.

    Returns:
        By protocol; one that no gallery of `FEWEST_SHIPS` ships allows is left out.

    Raises:
        LookAlikeError: no protocol is left.
    """
    results: dict[LookAlikeProtocol, LookAlikeResult] = {}
    for protocol in _SENSORS:
        ships = _Ships.of(table, known, protocol, types)
        centres = [place for place, near in enumerate(ships.near) if len(near) >= FEWEST_SHIPS]
        if centres:
            results[protocol] = _score(table, ships, centres, galleries, draws, seed)
    if not results:
        raise LookAlikeError(
            f"no {FEWEST_SHIPS} ships of one type lie within {LENGTH_TOLERANCE:.0%} of a length"
        )
    return results


def look_alike_metrics(
    results: Mapping[LookAlikeProtocol, LookAlikeResult], dataset: str
) -> tuple[Metric, ...]:
    """Convert results to a bundle's metrics, named `look-alikes mAP`, `look-alikes R1`, …"""
    return tuple(
        estimate.metric(
            dataset,
            protocol,
            f"look-alikes {name}",
            queries=result.ships,
            gallery=round(result.gallery),
        )
        for protocol, result in results.items()
        for name, estimate in (
            ("mAP", result.mean_ap),
            ("R1", result.first),
            ("mAP size only", result.size_only_ap),
        )
    )


@dataclass(frozen=True, slots=True)
class _Ships:
    """The S ships that can ask and be asked for in a protocol.

    Attributes:
        ids: vessel ids `[S]`.
        asking: rows of the table, for each ship those of its chips that can ask.
        searched: likewise those that can stand in a gallery.
        near: for each ship the places of its look-alikes, itself included.
    """

    ids: NDArray[np.int64]
    asking: list[NDArray[np.int64]]
    searched: list[NDArray[np.int64]]
    near: list[NDArray[np.int64]]

    @classmethod
    def of(
        cls,
        table: ChipTable,
        known: Mapping[int, KnownShip],
        protocol: LookAlikeProtocol,
        types: Sequence[str],
    ) -> "_Ships":
        query, gallery = _SENSORS[protocol]
        ids, asking, searched, kinds, lengths = [], [], [], [], []
        rows = {sensor: table.rows_with(sensor) for sensor in Modality}
        vessels = table.vessel_ids
        for vessel in np.unique(vessels[vessels != DISTRACTOR_ID]).tolist():
            seen = {s: rows[s][vessels[rows[s]] == vessel] for s in (query, gallery)}
            ship = known.get(vessel)
            kind = ship.vessel_type if ship else ""
            enough = 2 if query is gallery else 1
            if min(map(len, seen.values())) < enough or (types and kind not in types):
                continue
            ids.append(vessel)
            asking.append(seen[query])
            searched.append(seen[gallery])
            kinds.append(kind)
            median = float(np.median(table.size_m[vessels == vessel, 0]))
            lengths.append(ship.length_m if ship else median)
        kind_of, length_m = np.array(kinds), np.array(lengths)
        near = [
            np.flatnonzero(
                (kind_of == kind) & (np.abs(length_m - length) <= LENGTH_TOLERANCE * length)
            )
            for kind, length in zip(kinds, lengths, strict=True)
        ]
        return cls(np.array(ids, np.int64), asking, searched, near)


def _score(
    table: ChipTable, ships: _Ships, centres: Sequence[int], galleries: int, draws: int, seed: int
) -> LookAlikeResult:
    """Draw galleries around centres, rank them, and average over ships."""
    rng = np.random.default_rng(seed)
    vectors = table.embeddings.served.astype(np.float64)
    asked: list[NDArray[np.int64]] = []
    ranks: list[NDArray[np.float64]] = []
    by_size: list[NDArray[np.float64]] = []
    sizes = []
    for centre in rng.choice(centres, galleries):
        members = rng.permutation(ships.near[centre])[:GALLERY_SHIPS]
        query, gallery = _one_chip_each(ships, members, rng)
        ranks.append(_match_ranks(1.0 - vectors[query] @ vectors[gallery].T))
        by_size.append(_match_ranks(size_distances(table.size_m[query], table.size_m[gallery])))
        asked.append(ships.ids[members])
        sizes.append(len(members))
    identities, rank = np.concatenate(asked), np.concatenate(ranks)

    def percent(values: NDArray[np.float64]) -> Estimate:
        return bootstrap_mean(100.0 * values, identities, draws, seed)

    return LookAlikeResult(
        mean_ap=percent(1.0 / rank),
        first=percent((rank == 1).astype(np.float64)),
        size_only_ap=percent(1.0 / np.concatenate(by_size)),
        ships=len(np.unique(identities)),
        gallery=float(np.mean(sizes)),
    )


def _one_chip_each(
    ships: _Ships, members: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw for each member one row that asks and another one that is searched."""
    query, gallery = [], []
    for place in members:
        asking = int(rng.choice(ships.asking[place]))
        others = ships.searched[place][ships.searched[place] != asking]
        query.append(asking)
        gallery.append(int(rng.choice(others)))
    return np.array(query, np.int64), np.array(gallery, np.int64)


def _match_ranks(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each row's own column in `[Q, Q]` distances, from 1.

    Columns at the same distance share the mean of their ranks, so that order brings no advantage.
    """
    own = np.diagonal(distances)[:, None]
    nearer = (distances < own).sum(axis=1)
    tied = (distances == own).sum(axis=1) - 1
    return np.asarray(1.0 + nearer + tied / 2)
