"""What goes over the wire, with examples that work when pasted."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.contract.chip import GsdSource, Modality
from service.contract.manifest import Manifest
from service.identity.curate import VesselPatch
from service.identity.enrol import Enrolled
from service.identity.match import MatchResult
from service.identity.records.base import GeoPoint
from service.identity.records.match_records import AnsweringModel
from service.identity.records.matches import Candidate, Checks, KinematicsCheck, Match, Verdict
from service.identity.records.sightings import Sighting
from service.identity.records.vessels import Provenance, Vessel
from service.identity.verify import Comparison

STAGES = ("decode", "denoise", "encode", "translate", "fuse", "search", "total")


class Wire(BaseModel):
    """Immutable response body."""

    model_config = ConfigDict(frozen=True)


class SightingOut(Wire):
    """One chip of one ship; `vessel_id` is null while its identity is open."""

    id: UUID
    vessel_id: UUID | None
    modality: Modality
    captured_at: datetime | None
    position: GeoPoint | None
    sensor: str | None
    gsd_m: float
    gsd_source: GsdSource
    length_m: float
    width_m: float
    bit_depth: str
    source: str | None
    licence: str | None
    sha256: str
    recorded_at: datetime
    warnings: tuple[str, ...]
    chip_url: str
    preview_url: str
    pseudo_sar_url: str | None

    @classmethod
    def of(cls, sighting: Sighting) -> "SightingOut":
        base = f"/sightings/{sighting.id}"
        optical = sighting.modality is Modality.OPTICAL
        return cls(
            **sighting.model_dump(exclude={"chip_sha256", "bundle_id", "band", "position"}),
            position=sighting.position,
            sha256=sighting.chip_sha256,
            chip_url=f"{base}/chip",
            preview_url=f"{base}/preview.png",
            pseudo_sar_url=f"{base}/pseudo-sar.png" if optical else None,
        )


class VesselOut(Wire):
    """A vessel and where each of its attributes came from."""

    id: UUID
    name: str | None
    imo: str | None
    mmsi: str | None
    callsign: str | None
    flag: str | None
    type: str | None
    length_m: float | None
    beam_m: float | None
    provenance: dict[str, Provenance]
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, vessel: Vessel) -> "VesselOut":
        return cls.model_validate(vessel.model_dump(include=set(cls.model_fields)))


class VesselDetail(VesselOut):
    """A vessel with its sightings."""

    sightings: tuple[SightingOut, ...]

    @classmethod
    def of_enrolled(cls, enrolled: Enrolled) -> "VesselDetail":
        return cls.of_parts(enrolled.vessel, enrolled.sightings)

    @classmethod
    def of_parts(cls, vessel: Vessel, sightings: Sequence[Sighting]) -> "VesselDetail":
        return cls(
            **VesselOut.of(vessel).model_dump(),
            sightings=tuple(SightingOut.of(s) for s in sightings),
        )


class VesselListing(Wire):
    """One page of vessels; pass `next_cursor` as `cursor` for the next."""

    vessels: tuple[VesselOut, ...]
    next_cursor: str | None


class CandidateOut(Wire):
    """One vessel that the query may show, with the sighting it was recognised by."""

    rank: int
    probability: float = Field(
        description="calibrated probability, 0 to 1; those of all vessels weighed and "
        "none_probability sum to 1"
    )
    similarity: float = Field(description="cosine similarity, -1 to 1")
    evidence: dict[str, float] = Field(
        description="what each kind of evidence adds to ln(probability / none_probability)"
    )
    vessel: VesselOut
    sighting: SightingOut
    checks: Checks

    @classmethod
    def of(cls, candidate: Candidate) -> "CandidateOut":
        return cls(
            rank=candidate.rank,
            probability=candidate.probability,
            similarity=candidate.similarity,
            evidence=candidate.evidence,
            vessel=VesselOut.of(candidate.vessel),
            sighting=SightingOut.of(candidate.sighting),
            checks=candidate.checks,
        )


class QueryOut(Wire):
    """What was read from the uploaded chip; `sighting_id` is null when it was not stored."""

    sighting_id: UUID | None
    sha256: str
    modality: Modality
    gsd_m: float
    gsd_source: GsdSource
    length_m: float
    width_m: float
    bit_depth: str
    captured_at: datetime | None
    position: GeoPoint | None
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, sighting: Sighting, stored: bool) -> "QueryOut":
        shared: dict[str, Any] = sighting.model_dump(
            include=set(cls.model_fields) - {"sighting_id", "sha256"}
        )
        return cls(
            **shared, sighting_id=sighting.id if stored else None, sha256=sighting.chip_sha256
        )


class ModelOut(Wire):
    """Which models answered, and what they were taught with."""

    bundle_id: str
    name: str
    training_domain: str

    @classmethod
    def of(cls, model: AnsweringModel) -> "ModelOut":
        return cls.model_validate(model.model_dump())


class GalleryOut(Wire):
    """How much was searched."""

    vessels: int
    sightings: int


class AnsweredOut(Wire):
    """What was answered to "which vessel?"."""

    match_id: UUID = Field(description="looked up with `GET /matches/{id}` when it was stored")
    verdict: Verdict
    candidates: tuple[CandidateOut, ...]
    none_probability: float = Field(
        description="probability, 0 to 1, that the ship is none of the vessels weighed"
    )
    query: QueryOut
    model: ModelOut
    gallery: GalleryOut

    @classmethod
    def of_match(cls, match: Match, model: ModelOut) -> "AnsweredOut":
        return cls(
            match_id=match.id,
            verdict=match.verdict,
            candidates=tuple(CandidateOut.of(c) for c in match.candidates),
            none_probability=match.none_probability,
            query=QueryOut.of(match.query, stored=match.stored),
            model=model,
            gallery=GalleryOut(vessels=match.gallery.vessels, sightings=match.gallery.sightings),
        )


class MatchOut(AnsweredOut):
    """The answer of `POST /match`."""

    timings_ms: dict[str, float]

    @classmethod
    def of(cls, answer: MatchResult, model: ModelOut) -> "MatchOut":
        answered = AnsweredOut.of_match(answer.match, model)
        return cls(**dict(answered), timings_ms=all_stages(answer.timings_ms))


class VerifyOut(Wire):
    """The answer of `POST /verify`."""

    probability: float
    similarity: float
    length_ratio: float
    width_ratio: float
    kinematics: KinematicsCheck | None
    chips: tuple[QueryOut, QueryOut]
    model: ModelOut
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, compared: Comparison, model: ModelOut) -> "VerifyOut":
        return cls(
            probability=compared.probability,
            similarity=compared.similarity,
            length_ratio=compared.length_ratio,
            width_ratio=compared.width_ratio,
            kinematics=compared.kinematics,
            chips=(
                QueryOut.of(compared.first, stored=False),
                QueryOut.of(compared.second, stored=False),
            ),
            model=model,
            timings_ms=all_stages(compared.timings_ms),
        )


class MergeIn(BaseModel):
    """Which vessel becomes part of the one in the path."""

    model_config = ConfigDict(extra="forbid")

    other: UUID = Field(description="id of the vessel that is absorbed")


class SplitIn(BaseModel):
    """Which sightings become a new vessel, and what is known of it."""

    model_config = ConfigDict(extra="forbid")

    sightings: list[UUID] = Field(min_length=1)
    vessel: VesselPatch = VesselPatch()


class BundleOut(Wire):
    """The model card and every number behind the answers."""

    bundle_id: str
    device: str
    manifest: Manifest
    model_card: str


class StatusOut(Wire):
    """Ready or not, part by part; a part is null when it works."""

    ready: bool
    parts: dict[str, str | None]


def all_stages(timings_ms: Mapping[str, float]) -> dict[str, float]:
    """Every stage in order; one that did not run took 0 ms."""
    return {stage: round(timings_ms.get(stage, 0.0), 3) for stage in STAGES}
