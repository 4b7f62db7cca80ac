"""Vessels, sightings and matches: what the house remembers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from service.contract.chip import GsdSource, Modality
from service.identity.identifiers import meaningful, normalise_imo, normalise_mmsi


def as_utc(time: datetime) -> datetime:
    """A time in UTC; one without an offset is taken to be UTC.

    Raises:
        ValueError: in UTC it lies outside the years 1 to 9999.
    """
    if time.tzinfo is None:
        return time.replace(tzinfo=UTC)
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{time.isoformat()} is outside the years 1 to 9999 in UTC") from error


RECORDED = {"recorded": True}
"""Validation context of what was accepted earlier: it stays readable when a rule gets stricter."""


def of_new(check: Callable[[str], str]) -> Callable[[str, ValidationInfo], str]:
    """A rule for what is said now, and not for what was recorded."""

    def checked(text: str, info: ValidationInfo) -> str:
        return text if info.context == RECORDED else check(text)

    return checked


UtcTime = Annotated[datetime, AfterValidator(as_utc)]
Imo = Annotated[str, AfterValidator(of_new(normalise_imo))]
Mmsi = Annotated[str, AfterValidator(of_new(normalise_mmsi))]
Text = Annotated[str, Field(max_length=200), AfterValidator(of_new(meaningful))]


class Record(BaseModel):
    """Immutable, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GeoPoint(Record):
    """WGS 84, degrees."""

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


class VesselAttributes(Record):
    """What is said of a vessel; every field may be unknown, none may be a placeholder."""

    name: Text | None = None
    imo: Imo | None = None
    mmsi: Mmsi | None = None
    callsign: Text | None = None
    flag: Text | None = None
    type: Text | None = None
    length_m: float | None = Field(None, gt=1, le=500)
    beam_m: float | None = Field(None, gt=0.5, le=100)


ATTRIBUTE_NAMES = tuple(VesselAttributes.model_fields)


class Provenance(Record):
    """Where an attribute came from and as of when."""

    source: str = Field(max_length=500)
    as_of: UtcTime


class VesselState(StrEnum):
    """Where a vessel stands in a change of several writes.

    Only `active` and `syncing` vessels are visible. `enrolling`, `syncing` and `deleting` are
    changes under way; if they were never acknowledged, recovery finishes or undoes them. `merged`
    is what remains of a vessel that became part of another.
    """

    ENROLLING = "enrolling"
    ACTIVE = "active"
    SYNCING = "syncing"
    DELETING = "deleting"
    MERGED = "merged"

    @property
    def visible(self) -> bool:
        return self in (VesselState.ACTIVE, VesselState.SYNCING)


class Vessel(VesselAttributes):
    """A vessel. Its identity is `id` alone and never hangs on a transponder number.

    `merged_into` names the vessel that took this one's sightings, `split_from` the vessel that
    this one's first sightings were taken from. `leaving_chips` are digests of chips whose bytes
    are forgotten, unless something else refers to them, when the change under way is settled.
    """

    id: UUID
    provenance: dict[str, Provenance] = Field(default_factory=dict)
    created_at: UtcTime
    updated_at: UtcTime
    state: VesselState = VesselState.ACTIVE
    merged_into: UUID | None = None
    split_from: UUID | None = None
    leaving_chips: tuple[str, ...] = ()

    def attributes(self) -> VesselAttributes:
        said = self.model_dump(include=set(ATTRIBUTE_NAMES))
        return VesselAttributes.model_validate(said, context=RECORDED)

    @classmethod
    def from_record(cls, text: str | bytes) -> "Vessel":
        """A vessel that was written as JSON before, perhaps under other rules for attributes."""
        return cls.model_validate_json(text, context=RECORDED)


class Claim(Record):
    """Somebody is about to give a name that only one vessel may have to this one.

    `token` is drawn anew each time, so that two claims for one vessel can be told apart.
    """

    token: UUID
    vessel_id: UUID
    made_at: UtcTime


class Sighting(Record):
    """One chip of one ship at one time; `vessel_id` is None while the identity is open.

    `length_m` and `width_m` are measured on the chip. `bundle_id` names the models that made the
    embedding, so that vectors of two bundles are never compared.
    """

    id: UUID
    vessel_id: UUID | None
    modality: Modality
    captured_at: UtcTime | None = None
    position: GeoPoint | None = None
    sensor: str | None = Field(None, max_length=200)
    gsd_m: float = Field(gt=0)
    gsd_source: GsdSource
    length_m: float = Field(gt=0)
    width_m: float = Field(gt=0)
    bit_depth: str
    band: int | None = None
    source: str | None = Field(None, max_length=500)
    licence: str | None = Field(None, max_length=500)
    chip_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bundle_id: str
    recorded_at: UtcTime
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbeddedSighting:
    """A sighting with its fused embedding: float32 `[D]`, unit length."""

    sighting: Sighting
    vector: NDArray[np.float32]


class GeoRadius(Record):
    """A disc on the sphere."""

    centre: GeoPoint
    radius_m: float = Field(gt=0)


class SightingFilter(Record):
    """Which enrolled sightings a search may return; None leaves a property open.

    `vessel_types` and `vessel_length_m` speak of the vessel's registered attributes. A vessel
    whose registered length is unknown passes any length range: it cannot be ruled out.
    """

    modality: Modality | None = None
    vessel_types: tuple[str, ...] | None = None
    vessel_length_m: tuple[float, float] | None = None
    captured_between: tuple[datetime | None, datetime | None] | None = None
    within: GeoRadius | None = None

    @model_validator(mode="after")
    def _range_is_ordered(self) -> "SightingFilter":
        if self.vessel_length_m and self.vessel_length_m[0] > self.vessel_length_m[1]:
            raise ValueError("the length range is upside down")
        return self


class VesselFilter(Record):
    """Which vessels a list shows: name by substring, the rest as a whole; case does not matter."""

    name: str | None = None
    imo: str | None = None
    mmsi: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class VesselPage:
    """One page of vessels in order of id; `next_cursor` is None on the last."""

    vessels: Sequence[Vessel]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class SightingHit:
    """An enrolled sighting and its cosine similarity to the query, -1 to 1."""

    sighting: Sighting
    similarity: float


@dataclass(frozen=True, slots=True)
class VesselHit:
    """A visible vessel and its best sightings, most similar first, at least one."""

    vessel: Vessel
    hits: Sequence[SightingHit]


@dataclass(frozen=True, slots=True)
class GalleryCounts:
    """Visible vessels, and the sightings that belong to them."""

    vessels: int
    sightings: int


class Verdict(StrEnum):
    """The answer in one word."""

    CONFIDENT = "confident"
    AMBIGUOUS = "ambiguous"
    NO_MATCH = "no_match"


class LengthCheck(Record):
    """Measured against registered length."""

    query_m: float
    vessel_m: float
    ok: bool


class KinematicsCheck(Record):
    """Whether the vessel could have sailed from one sighting to the other in time."""

    distance_nm: float
    hours: float
    required_kn: float | None
    feasible: bool


class Checks(Record):
    """Evidence beside the pixels; None where something needed is unknown."""

    length: LengthCheck | None = None
    kinematics: KinematicsCheck | None = None


class Candidate(Record):
    """One vessel that the query may show.

    `evidence` adds up to ln(probability / none_probability), see `contract.choice`.
    """

    rank: int
    probability: float
    similarity: float
    evidence: dict[str, float]
    vessel: Vessel
    sighting: Sighting
    checks: Checks


class Match(Record):
    """A query sighting, its ranked vessels and the verdict.

    `none_probability` is that of none of the vessels weighed, which may be more than are shown.
    """

    id: UUID
    verdict: Verdict
    candidates: tuple[Candidate, ...]
    none_probability: float
    query: Sighting
    gallery: GalleryCounts
    stored: bool
