"""The sightings of vessels in memory, for exact searches, filters and counts.

The only process that has the gallery open keeps this table beside the shard, which holds the
records. Nothing is kept of sightings without a vessel, which grow in number with each stored match.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.identity.records.sightings import GalleryCounts
from service.identity.records.vessels import VesselState
from service.storage.edge.fixed_point import FixedPointMatrix
from service.storage.points import payloads
from service.storage.points.filters import AnyOf, BetweenOrUnknown, Clause, Known, NoneOf
from service.storage.points.payloads import Payload

FIELDS = [
    payloads.VESSEL_ID,
    payloads.MODALITY,
    payloads.CHIP,
    payloads.VESSEL_TYPE,
    payloads.VESSEL_LENGTH_M,
]
"""The fields of a payload that are kept, and whose clauses `passing` evaluates."""

ID = 16
"""Bytes of an id. Ids are bytes here, because Python compares UUIDs by functions of their own."""

Mask = NDArray[np.bool_]
FIRST_ROWS = 1024


@dataclass(slots=True)
class Columns:
    """The facts of each row; the first axis has room for more rows.

    Attributes:
        ids: uint8 `[rows, 16]`.
        vessels: the number of the vessel.
        modalities: the number of the word.
        types: likewise, of the vessel's type; 0 without one.
        lengths_m: of the vessel; NaN if it is unknown.
        chips: `[rows, 2]`, see `_chip_key`.
    """

    ids: NDArray[np.uint8]
    vessels: NDArray[np.intp]
    modalities: NDArray[np.int32]
    types: NDArray[np.int32]
    lengths_m: NDArray[np.float64]
    chips: NDArray[np.uint64]

    @staticmethod
    def empty(rows: int) -> "Columns":
        """Return columns with room for so many rows."""
        return Columns(
            np.zeros((rows, 16), np.uint8),
            np.zeros(rows, np.intp),
            np.zeros(rows, np.int32),
            np.zeros(rows, np.int32),
            np.zeros(rows, np.float64),
            np.zeros((rows, 2), np.uint64),
        )

    def doubled(self) -> "Columns":
        """Return the same rows with as much room again."""
        halves = [getattr(self, one.name) for one in fields(self)]
        return Columns(*(np.concatenate([half, np.zeros_like(half)]) for half in halves))

    def move(self, source: int, target: int) -> None:
        """Copy a row to the place of another."""
        for one in fields(self):
            column = getattr(self, one.name)
            column[target] = column[source]


@dataclass(frozen=True, slots=True)
class NearVessel:
    """A vessel that a search found; its sightings are ids with similarities, best first."""

    vessel: bytes
    sightings: list[tuple[bytes, float]]


class SightingTable:
    """Which vessels there are, and their sightings. For one thread at a time."""

    def __init__(self, width: int) -> None:
        """Start empty; embeddings have `width` numbers."""
        self._matrix = FixedPointMatrix(width)
        self._columns = Columns.empty(FIRST_ROWS)
        self._row_of: dict[bytes, int] = {}
        self._words: dict[str, int] = {}
        self._vessels: list[UUID] = []
        self._number_of: dict[UUID, int] = {}
        self._visible = np.zeros(0, np.bool_)
        self._counts: GalleryCounts | None = None

    def put_vessel(self, vessel_id: UUID, state: VesselState) -> None:
        """Note a vessel, and whether it is visible."""
        number = self._vessel_number(vessel_id)
        self._visible[number] = state.visible
        self._counts = None

    def delete_vessel(self, vessel_id: UUID) -> None:
        """Hide a vessel."""
        if vessel_id in self._number_of:
            self._visible[self._number_of[vessel_id]] = False
            self._counts = None

    def put_sightings(self, sightings: Sequence[tuple[UUID, ArrayLike, Mapping[str, Any]]]) -> None:
        """Insert or replace sightings, each with embedding and payload; drop those without vessel.

        Args:
            sightings: id, D numbers, and a payload with at least `FIELDS`.
        """
        self.delete_sightings(i for i, _, row in sightings if not row.get(payloads.VESSEL_ID))
        owned = [one for one in sightings if one[2].get(payloads.VESSEL_ID)]
        if owned:
            rows = [self._put_facts(sighting_id, row) for sighting_id, _, row in owned]
            vectors = [np.asarray(vector, np.float32) for _, vector, _ in owned]
            self._matrix.put(rows, np.stack(vectors))
        self._counts = None

    def describe_vessel(self, vessel_id: UUID, owner: Payload) -> None:
        """Set type and length of a vessel in all its sightings; see `ownership_payload`."""
        if vessel_id in self._number_of:
            own = self._of_rows(self._columns.vessels) == self._number_of[vessel_id]
            self._of_rows(self._columns.types)[own] = self._type_of(owner)
            self._of_rows(self._columns.lengths_m)[own] = _length_of(owner)

    def delete_sightings(self, ids: Iterable[UUID]) -> None:
        """Delete sightings; absent ids are ignored."""
        for sighting_id in ids:
            row = self._row_of.pop(sighting_id.bytes, None)
            last = len(self._row_of)
            if row is not None and row != last:
                self._columns.move(last, row)
                self._matrix.move(last, row)
                self._row_of[self._columns.ids[row].tobytes()] = row
        self._counts = None

    def __len__(self) -> int:
        """Return how many sightings have a vessel."""
        return len(self._row_of)

    def has_vessel(self, sighting_id: UUID) -> bool:
        """Return whether the sighting exists and has a vessel."""
        return sighting_id.bytes in self._row_of

    def counts(self) -> GalleryCounts:
        """Return the counts of visible vessels and their sightings; cached until a change."""
        if self._counts is None:
            shown = self._visible[self._of_rows(self._columns.vessels)]
            self._counts = GalleryCounts(int(self._visible.sum()), int(shown.sum()))
        return self._counts

    def passing(self, clauses: Iterable[Clause]) -> Mask:
        """Return which sightings of visible vessels pass clauses on `FIELDS`."""
        columns = self._columns
        mask: Mask = self._visible[self._of_rows(columns.vessels)]
        for clause in clauses:
            match clause:
                case Known(payloads.VESSEL_ID):
                    pass
                case AnyOf(payloads.MODALITY, words):
                    mask &= np.isin(self._of_rows(columns.modalities), self._numbers(words))
                case AnyOf(payloads.VESSEL_TYPE, words):
                    mask &= np.isin(self._of_rows(columns.types), self._numbers(words))
                case BetweenOrUnknown(payloads.VESSEL_LENGTH_M, low, high):
                    lengths = self._of_rows(columns.lengths_m)
                    mask &= ~((lengths < low) | (lengths > high))
                case NoneOf(payloads.CHIP, chips):
                    for chip in chips:
                        same = self._of_rows(columns.chips) == _chip_key(chip)
                        mask &= ~same.all(axis=1)
                case _:
                    raise ValueError(f"the table keeps no field for {clause}")
        return mask

    def among(self, ids: Iterable[UUID]) -> Mask:
        """Return which sightings have one of these ids."""
        mask = np.zeros(len(self._row_of), np.bool_)
        mask[[row for one in ids if (row := self._row_of.get(one.bytes)) is not None]] = True
        return mask

    def nearest(
        self,
        queries: NDArray[np.float32],
        masks: Sequence[Mask],
        vessels: int,
        sightings_per_vessel: int,
    ) -> list[list[NearVessel]]:
        """Return for each query the most similar vessels with their best sightings, best first.

        Args:
            queries: float32 `[Q, D]`, unit length.
            masks: which sightings each query is compared with.
            vessels: the largest number of vessels.
            sightings_per_vessel: the largest number of sightings of each.
        """
        products = self._matrix.products(queries, len(self._row_of))
        return [
            self._grouped(np.flatnonzero(mask), similarities, vessels, sightings_per_vessel)
            for mask, similarities in zip(masks, products, strict=True)
        ]

    def _grouped(
        self,
        rows: NDArray[np.intp],
        similarities: NDArray[np.float32],
        vessels: int,
        sightings_per_vessel: int,
    ) -> list[NearVessel]:
        owners, found = self._columns.vessels[rows], similarities[rows]
        best = np.full(len(self._vessels), -np.inf, np.float32)
        np.maximum.at(best, owners, found)
        first = np.argsort(-best, kind="stable")[:vessels]
        first = first[best[first] > -np.inf]
        place = np.full(len(self._vessels), -1)
        place[first] = np.arange(len(first))
        own = np.flatnonzero(place[owners] >= 0)
        own = own[np.lexsort((-found[own], place[owners[own]]))]  # vessel by vessel, best first
        places = place[owners[own]]
        turn = np.arange(len(own)) - np.searchsorted(places, places)  # within its vessel, from 0
        hits = [NearVessel(self._vessels[number].bytes, []) for number in first]
        shown = np.flatnonzero(turn < sightings_per_vessel)
        ids = self._columns.ids[rows[own[shown]]].tobytes()
        pairs = zip(places[shown].tolist(), found[own[shown]].tolist(), strict=True)
        for at, (vessel, similarity) in enumerate(pairs):
            hits[vessel].sightings.append((ids[ID * at : ID * (at + 1)], similarity))
        return hits

    def _put_facts(self, sighting_id: UUID, row: Mapping[str, Any]) -> int:
        number = self._row_of.setdefault(sighting_id.bytes, len(self._row_of))
        if number == len(self._columns.vessels):
            self._columns = self._columns.doubled()
        columns = self._columns
        columns.ids[number] = np.frombuffer(sighting_id.bytes, np.uint8)
        columns.vessels[number] = self._vessel_number(UUID(row[payloads.VESSEL_ID]))
        columns.modalities[number] = self._number(str(row.get(payloads.MODALITY)))
        columns.types[number] = self._type_of(row)
        columns.lengths_m[number] = _length_of(row)
        columns.chips[number] = _chip_key(str(row.get(payloads.CHIP)))
        return number

    def _of_rows(self, column: NDArray[Any]) -> NDArray[Any]:
        return column[: len(self._row_of)]

    def _vessel_number(self, vessel_id: UUID) -> int:
        number = self._number_of.setdefault(vessel_id, len(self._vessels))
        if number == len(self._vessels):
            self._vessels.append(vessel_id)
            if number >= len(self._visible):
                self._visible = np.concatenate([self._visible, np.zeros(number + 1, np.bool_)])
        return number

    def _type_of(self, owner: Mapping[str, Any]) -> int:
        known = owner.get(payloads.VESSEL_TYPE)
        return 0 if known is None else self._number(str(known))

    def _number(self, word: str) -> int:
        return self._words.setdefault(word, len(self._words) + 1)

    def _numbers(self, words: Iterable[str]) -> list[int]:
        return [self._words[word] for word in words if word in self._words]


def _length_of(owner: Mapping[str, Any]) -> float:
    known = owner.get(payloads.VESSEL_LENGTH_M)
    return float(known) if isinstance(known, int | float) else np.nan


def _chip_key(chip: str) -> NDArray[np.uint64]:
    """Return 128 bits of the digest of a chip's name, whatever is stored as its name."""
    return np.frombuffer(hashlib.blake2b(chip.encode(), digest_size=16).digest(), np.uint64)
