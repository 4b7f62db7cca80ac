"""Sightings: one chip of one ship at one time; filters and results of a search."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from service.contract.chip import GsdSource, Modality
from service.contract.framing.findings import Level
from service.contract.framing.records import Framing
from service.contract.utc_time import UtcTime
from service.identity.records.base import GeoPoint, Record
from service.identity.records.vessels import Vessel


class Sighting(Record):
    """One chip of one ship at one time; `vessel_id` is None while the ship is unknown.

    `origin_vessel_id` is the vessel that had it before merges and splits moved it.
    `captured_until` is set when only the day is known: its last moment, `captured_at` being its
    first. `length_m` and `width_m` are those of the framed chip. `file_name`, `case` and `note` are
    those of the upload. `bundle_id` names the models that made the embedding, so that vectors of
    two bundles are never compared.
    """

    id: UUID
    vessel_id: UUID | None
    origin_vessel_id: UUID | None = None
    modality: Modality
    captured_at: UtcTime | None = None
    captured_until: UtcTime | None = None
    position: GeoPoint | None = None
    sensor: str | None = Field(None, max_length=200)
    gsd_m: float = Field(gt=0)
    gsd_source: GsdSource
    length_m: float = Field(gt=0)
    width_m: float = Field(gt=0)
    bit_depth: str
    framing: Framing
    band: int | None = None
    source: str | None = Field(None, max_length=500)
    licence: str | None = Field(None, max_length=500)
    file_name: str | None = None
    case: str | None = None
    note: str | None = None
    chip_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bundle_id: str
    recorded_at: UtcTime
    warnings: tuple[str, ...] = ()

    @property
    def defects(self) -> tuple[str, ...]:
        """What is bad about the chip, in sentences; with any, no answer from it is confident."""
        return self.framing.complaints(Level.BAD)

    @property
    def fix(self) -> "Fix":
        """Where and when the ship was."""
        return Fix(self.position, self.captured_at, self.captured_until or self.captured_at)

    def with_warnings(self, more: Sequence[str]) -> "Sighting":
        """Return the sighting with more warnings."""
        return self.model_copy(update={"warnings": (*self.warnings, *more)}) if more else self


@dataclass(frozen=True, slots=True)
class Fix:
    """A position, and the first and last moment at which the ship may have been there."""

    position: GeoPoint | None
    first: datetime | None
    last: datetime | None

    @property
    def is_known(self) -> bool:
        """Whether both place and time are known."""
        return self.position is not None and self.first is not None


@dataclass(frozen=True, slots=True)
class EmbeddedSighting:
    """A sighting with its fused embedding: float32 `[D]`, unit length."""

    sighting: Sighting
    vector: NDArray[np.float32]


class SightingFilter(Record):
    """Which enrolled sightings a search may return; None matches any value.

    `vessel_types` and `vessel_length_m` filter by the vessel's registered attributes. A vessel
    whose registered length is unknown passes any length range: it cannot be ruled out.
    `other_chips` are digests of chips that are left out.
    """

    modality: Modality | None = None
    vessel_types: tuple[str, ...] | None = None
    vessel_length_m: tuple[float, float] | None = None
    other_chips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WayRound:
    """Which of a query's two ways round resembles a known chip more.

    `half_turned` says that it is the query turned by 180 degrees. `certainty`, 0.5 to 1, is the
    probability that this way is the right one, if both chips show one ship; None if the bundle
    does not measure it.
    """

    half_turned: bool
    certainty: float | None = None


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """The place of an open sighting in a group of sightings that may show one ship.

    Attributes:
        probability: that the sighting shows the ship of the group, as it was when the sighting
            joined it, see `matching.grouping`; None if it was sent with the others as one ship.
    """

    group_id: UUID
    probability: float | None


@dataclass(frozen=True, slots=True)
class GroupedSighting:
    """An open sighting with its place in a group."""

    sighting: Sighting
    place: GroupPlace


@dataclass(frozen=True, slots=True)
class SightingHit:
    """An open sighting and its cosine similarity to the query, -1 to 1.

    `place` is set for one in a group.
    """

    sighting: Sighting
    similarity: float
    place: GroupPlace | None = None


@dataclass(frozen=True, slots=True)
class VesselHit:
    """A vessel that a search found.

    Attributes:
        sightings: its best ones, most similar first, at least one.
        similarity: cosine of the first of them to the query, -1 to 1.
        way: set when the query was compared both ways round.
    """

    vessel: Vessel
    sightings: Sequence[Sighting]
    similarity: float
    way: WayRound | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What one search found: N sightings, vessel by vessel, the most similar vessel first.

    Attributes:
        vessels: intp `[N]`, the vessel of each sighting, by its place in `SearchResults.vessels`.
        sightings: intp `[N]`, by their places in `SearchResults.sightings`; of each vessel the most
            similar one first.
        similarity: float64 `[N]`, cosine to the query, -1 to 1.
    """

    vessels: NDArray[np.intp]
    sightings: NDArray[np.intp]
    similarity: NDArray[np.float64]

    @property
    def firsts(self) -> NDArray[np.intp]:
        """Where the sightings of each vessel begin."""
        begins = np.ones(len(self.vessels), np.bool_)
        np.not_equal(self.vessels[1:], self.vessels[:-1], out=begins[1:])
        return np.flatnonzero(begins)


@dataclass(frozen=True)
class SearchResults:
    """What several searches found.

    Attributes:
        vessels: visible vessels, each once.
        sightings: those of them that were found, each once.
    """

    vessels: Sequence[Vessel]
    sightings: Sequence[Sighting]
    found: Sequence[Found]

    @cached_property
    def chips(self) -> NDArray[np.object_]:
        """The digests of the chips of `sightings`, texts."""
        return np.array([one.chip_sha256 for one in self.sightings], np.object_)

    @staticmethod
    def of(searches: Iterable[Sequence[tuple[Vessel, Sighting, float]]]) -> "SearchResults":
        """Return the results of searches, each given as vessels, sightings and similarities."""
        vessels: dict[UUID, tuple[int, Vessel]] = {}
        sightings: dict[UUID, tuple[int, Sighting]] = {}
        found = []
        for hits in searches:
            owners = [vessels.setdefault(v.id, (len(vessels), v))[0] for v, _, _ in hits]
            rows = [sightings.setdefault(s.id, (len(sightings), s))[0] for _, s, _ in hits]
            similarity = np.array([one for _, _, one in hits], np.float64)
            found.append(Found(np.array(owners, np.intp), np.array(rows, np.intp), similarity))
        return SearchResults(
            [one for _, one in vessels.values()], [one for _, one in sightings.values()], found
        )


@dataclass(frozen=True, slots=True)
class VesselQuery:
    """One search: for sightings near `vector`, float32 `[D]` of unit length, within a filter."""

    vector: NDArray[np.float32]
    where: SightingFilter


@dataclass(frozen=True, slots=True)
class GalleryCounts:
    """The number of visible vessels, and of the sightings that belong to them."""

    vessels: int
    sightings: int
