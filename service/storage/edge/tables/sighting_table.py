"""The sightings of vessels as a table, for exact searches, filters and counts.

The only process that has the gallery open keeps this table beside the shard, which holds the
records. Sightings without a vessel are in `OpenTable`.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.identity.ports.gallery import SIGHTINGS_OF_VESSEL
from service.identity.records.sightings import GalleryCounts
from service.identity.records.vessels import VesselState
from service.storage.edge.tables import bounded_search
from service.storage.edge.tables.bounded_search import Similarities, best_groups, similar_rows
from service.storage.edge.tables.rows import ID, IDS, BeforeMove, EmbeddedFacts, Rows, ignore_moves
from service.storage.edge.tables.sketched_vectors import SketchedVectors
from service.storage.edge.tables.vector_file import Arrays
from service.storage.points import payloads
from service.storage.points.filters import AnyOf, BetweenOrUnknown, Clause, Known, NoneOf
from service.storage.points.payloads import VESSEL_ID, Payload

FIELDS = [
    payloads.VESSEL_ID,
    payloads.MODALITY,
    payloads.CHIP,
    payloads.VESSEL_TYPE,
    payloads.VESSEL_LENGTH_M,
]
"""The fields of a payload that are kept, and whose clauses `passing` evaluates."""

VESSELS, MODALITIES, TYPES = "vessels", "modalities", "types"
LENGTHS_M, CHIPS = "lengths_m", "chips"
WORDS, VESSEL_IDS, VISIBLE = "words", "vessel_ids", "visible"

Mask = NDArray[np.bool_]
Numbers = NDArray[np.intp]
Passing = Callable[[Numbers | slice], Mask]
"""Tells which of these rows pass a filter."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """What a search found: N rows, vessel by vessel, the most similar first.

    Attributes:
        vessels: intp `[N]`, the numbers of their vessels.
        rows: intp `[N]`.
        similarity: float32 `[N]`.
    """

    vessels: Numbers
    rows: Numbers
    similarity: NDArray[np.float32]


class SightingTable:
    """Which vessels there are, and their sightings. For one thread at a time."""

    def __init__(
        self,
        path: Path,
        width: int,
        saved: Arrays | None = None,
        before_move: BeforeMove = ignore_moves,
    ) -> None:
        """Start empty, or with what was saved.

        Args:
            path: of the file of embeddings; see `VectorFile`.
            width: D, the numbers of an embedding.
            saved: what `columns` returned; see `Rows`.
            before_move: see `Rows`.

        Raises:
            ValueError, KeyError: `saved` does not belong to the file, or is of another table.
        """
        count = 0 if saved is None else len(saved[IDS])
        self._vectors = SketchedVectors(path, width, count, saved)
        self._rows = Rows(
            self._vectors,
            saved,
            before_move,
            vessels="i4",  # the number of the vessel
            modalities="i4",  # the number of the word
            types="i4",  # likewise, of the vessel's type; 0 without one
            lengths_m="f8",  # of the vessel; NaN if it is unknown
            chips="2u8",  # see `_chip_key`
        )
        words = [] if saved is None else json.loads(str(saved[WORDS]))
        ids = b"" if saved is None else saved[VESSEL_IDS].tobytes()
        self._words = {word: number for number, word in enumerate(words, 1)}
        self._vessels = [UUID(bytes=ids[at : at + ID]) for at in range(0, len(ids), ID)]
        self._number_of = {vessel: number for number, vessel in enumerate(self._vessels)}
        self._visible = np.zeros(0, np.bool_) if saved is None else saved[VISIBLE]
        self._counts: GalleryCounts | None = None

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return copies of all but the embeddings, from which the table can be opened."""
        ids = b"".join(vessel.bytes for vessel in self._vessels)
        return {
            **self._rows.columns(),
            **self._vectors.axes(),
            WORDS: np.array(json.dumps([*self._words])),
            VESSEL_IDS: np.frombuffer(ids, np.uint8),
            VISIBLE: self._visible.copy(),
        }

    def check(self) -> None:
        """Raise ValueError if an embedding is not what was put."""
        self._rows.check()

    def sync(self) -> None:
        """Bring all embeddings to disk; raise OSError if the disk refuses."""
        self._vectors.sync()

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

    def put_sightings(self, sightings: Sequence[EmbeddedFacts], new: bool = False) -> None:
        """Insert or replace sightings; drop those without a vessel.

        Args:
            sightings: id, D numbers, and a payload with at least `FIELDS`.
            new: none of them is in the table, and none is there twice.
        """
        if not new:
            self.delete_sightings([i for i, _, row in sightings if not row.get(VESSEL_ID)])
        owned = [one for one in sightings if one[2].get(VESSEL_ID)]
        payload = [row for _, _, row in owned]
        facts: dict[str, ArrayLike] = {
            VESSELS: [self._vessel_number(UUID(row[VESSEL_ID])) for row in payload],
            MODALITIES: [self._number(str(row.get(payloads.MODALITY))) for row in payload],
            TYPES: [self._type_of(row) for row in payload],
            LENGTHS_M: [_length_of(row) for row in payload],
            CHIPS: [_chip_key(str(row.get(payloads.CHIP))) for row in payload],
        }
        if owned:
            self._rows.put([one[0] for one in owned], [one[1] for one in owned], facts, new)
        self._counts = None

    def make_room(self, more: int) -> None:
        """Make room for more sightings, so that no later `put_sightings` of them fails."""
        self._rows.make_room(more)

    def describe_vessel(self, vessel_id: UUID, owner: Payload) -> None:
        """Set type and length of a vessel in all its sightings; see `ownership_payload`."""
        if vessel_id in self._number_of:
            own = self._rows[VESSELS] == self._number_of[vessel_id]
            self._rows[TYPES][own] = self._type_of(owner)
            self._rows[LENGTHS_M][own] = _length_of(owner)

    def delete_sightings(self, ids: Collection[UUID]) -> None:
        """Delete sightings; absent ids are ignored."""
        if ids:
            self._rows.delete(ids)
            self._counts = None

    def __len__(self) -> int:
        """Return how many sightings have a vessel."""
        return len(self._rows)

    def sightings_of(self, vessels: Collection[UUID]) -> list[UUID]:
        """Return the ids of the sightings of vessels."""
        numbers = [self._number_of[one] for one in vessels if one in self._number_of]
        own = np.flatnonzero(np.isin(self._rows[VESSELS], numbers))
        return [UUID(bytes=one) for one in self._rows.ids(own)]

    def ids(self, rows: Numbers) -> list[bytes]:
        """Return the ids of the sightings in these rows."""
        return self._rows.ids(rows)

    def vessel_ids(self, numbers: Numbers) -> list[bytes]:
        """Return the ids of the vessels with these numbers."""
        return [self._vessels[number].bytes for number in numbers.tolist()]

    def having_vessel(self, ids: Collection[UUID]) -> set[UUID]:
        """Return those of `ids` that exist and have a vessel."""
        return {UUID(bytes=one) for one in self._rows.find(ids)}

    def shows_chip(self, chip: str) -> bool:
        """Return whether a sighting is of this chip."""
        return len(self._rows_of(chip)) > 0

    def without_sighting(self, chips: Collection[str]) -> set[str]:
        """Return those of these chips that no sighting is of."""
        keys = self._rows[CHIPS].tobytes()
        shown = {keys[at : at + ID] for at in range(0, len(keys), ID)}
        return {chip for chip in chips if _chip_key(chip).tobytes() not in shown}

    def counts(self) -> GalleryCounts:
        """Return the counts of visible vessels and their sightings; cached until a change."""
        if self._counts is None:
            shown = self._visible[self._rows[VESSELS]]
            self._counts = GalleryCounts(int(self._visible.sum()), int(shown.sum()))
        return self._counts

    def passing(self, clauses: Sequence[Clause]) -> Passing:
        """Return a filter for sightings of visible vessels that pass clauses on `FIELDS`.

        It is valid until a change.
        """

        def passes(rows: Numbers | slice) -> Mask:
            mask: Mask = self._visible[self._rows[VESSELS][rows]]
            for clause in clauses:
                mask &= self._holds(clause, rows)
            return mask

        if len(self._rows) > bounded_search.SAMPLE:
            return passes
        every = passes(slice(None))
        return lambda rows: every[rows]

    def nearest(
        self, queries: Sequence[NDArray[np.float32]], filters: Sequence[Passing], vessels: int
    ) -> list[Nearest]:
        """Return for each query the most similar vessels with their best sightings, best first.

        This is exact: only rows whose products cannot matter are left out.

        Args:
            queries: Q times float32 `[D]`, unit length; bounds for equal ones are computed once.
            filters: which sightings each query is compared with.
        """
        if not len(self._rows):
            none = np.zeros(0, np.intp)
            return [Nearest(none, none, np.zeros(0, np.float32)) for _ in queries]
        # np.unique would make a type of D fields, which takes longer than a small product.
        places: dict[bytes, int] = {}
        rows = [np.asarray(one, np.float32).tobytes() for one in queries]
        which = [places.setdefault(one, len(places)) for one in rows]
        different = np.stack([np.frombuffer(one, np.float32) for one in places])  # [<= Q, D]
        bounds = self._vectors.bounds(different, len(self._rows))
        searches = [
            Similarities(self._vectors, different[number], bounds[number]) for number in which
        ]
        first = [
            self._first_vessels(similarities, passes, vessels)
            for similarities, passes in zip(searches, filters, strict=True)
        ]
        shown = np.zeros(len(self._vessels), np.bool_)
        shown[np.concatenate(first)] = True
        own = np.flatnonzero(shown[self._rows[VESSELS]])  # rows of a vessel that was found
        return [
            self._with_sightings(found, own, similarities, passes)
            for found, similarities, passes in zip(first, searches, filters, strict=True)
        ]

    def _first_vessels(self, similarities: Similarities, passes: Passing, vessels: int) -> Numbers:
        """Return the numbers of the vessels with the most similar sightings, best first."""
        owners = self._rows[VESSELS]
        rows = similar_rows(similarities, passes, owners, vessels)
        return best_groups(owners[rows], similarities.of(rows), vessels)[0]

    def _with_sightings(
        self, first: Numbers, rows: Numbers, similarities: Similarities, passes: Passing
    ) -> Nearest:
        """Return vessels with the best of those rows that pass, best first."""
        place = np.full(len(self._vessels), -1)
        place[first] = np.arange(len(first))
        rows = rows[place[self._rows[VESSELS][rows]] >= 0]
        rows = rows[passes(rows)]
        places, found = place[self._rows[VESSELS][rows]], similarities.of(rows)
        order = np.lexsort((-found, places))  # vessel by vessel, best first
        places, found, rows = places[order], found[order], rows[order]
        turn = np.arange(len(rows)) - np.searchsorted(places, places)  # within its vessel, from 0
        shown = np.flatnonzero(turn < SIGHTINGS_OF_VESSEL)
        return Nearest(first[places[shown]], rows[shown], found[shown])

    def _holds(self, clause: Clause, rows: Numbers | slice) -> Mask:
        """Return for which of these rows a clause holds."""
        holds: Mask
        match clause:
            case Known(payloads.VESSEL_ID):
                holds = np.ones(len(self._rows[VESSELS][rows]), np.bool_)
            case AnyOf(payloads.MODALITY, words):
                holds = self._allowed(words)[self._rows[MODALITIES][rows]]
            case AnyOf(payloads.VESSEL_TYPE, words):
                holds = self._allowed(words)[self._rows[TYPES][rows]]
            case BetweenOrUnknown(payloads.VESSEL_LENGTH_M, low, high):
                lengths = self._rows[LENGTHS_M][rows]
                holds = ~((lengths < low) | (lengths > high))
            case NoneOf(payloads.CHIP, chips):
                shown = self._rows[CHIPS][rows]
                holds = np.ones(len(shown), np.bool_)
                for chip in chips:
                    holds &= (shown != _chip_key(chip)).any(axis=1)
            case _:
                raise ValueError(f"the table keeps no field for {clause}")
        return holds

    def _rows_of(self, chip: str) -> NDArray[np.intp]:
        first, second = _chip_key(chip)
        chips = self._rows[CHIPS]
        rows = np.flatnonzero(chips[:, 0] == first)
        found: NDArray[np.intp] = rows[chips[rows, 1] == second]
        return found

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

    def _allowed(self, words: Iterable[str]) -> Mask:
        """Return which numbers are those of these words."""
        allowed = np.zeros(len(self._words) + 1, np.bool_)
        allowed[[self._words[word] for word in words if word in self._words]] = True
        return allowed


def _length_of(owner: Mapping[str, Any]) -> float:
    known = owner.get(payloads.VESSEL_LENGTH_M)
    return float(known) if isinstance(known, int | float) else np.nan


def _chip_key(chip: str) -> NDArray[np.uint64]:
    """Return 128 bits of the digest of a chip's name, whatever is stored as its name."""
    return np.frombuffer(hashlib.blake2b(chip.encode(), digest_size=16).digest(), np.uint64)
