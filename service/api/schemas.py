"""Request and response bodies."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, FailFast, Field

from service.api.chip_schemas import DAY_ALONE, ONE_WAY, QueryOut, ResponseBody, SightingOut, WayOut
from service.api.exports.rows import track
from service.contract.chip import Modality
from service.contract.manifest import Manifest
from service.identity.curate import VesselPatch
from service.identity.enrol import EnrolledVessel
from service.identity.matching.match import MatchResult
from service.identity.matching.verify import Comparison
from service.identity.records.base import GeoPoint
from service.identity.records.match_records import AnsweringModel
from service.identity.records.matches import (
    Checks,
    EvidenceTerm,
    Explanation,
    KinematicsCheck,
    Match,
    SceneShare,
    Verdict,
)
from service.identity.records.sightings import GalleryCounts, Sighting
from service.identity.records.vessels import Provenance, Vessel

STAGES = ("decode", "frame", "denoise", "encode", "translate", "fuse", "search", "total")


class VesselOut(ResponseBody):
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


class VesselDetail(VesselOut):
    """A vessel with its sightings."""

    sightings: tuple[SightingOut, ...]
    warnings: tuple[str, ...] = Field(
        (), description="stated facts that were not used, and chips that other vessels have too"
    )

    @classmethod
    def of_enrolled(cls, enrolled: EnrolledVessel) -> "VesselDetail":
        """Build the response body of an enrolled vessel."""
        return cls.of(enrolled.vessel, enrolled.sightings, enrolled.warnings)

    @classmethod
    def of(
        cls, vessel: Vessel, sightings: Sequence[Sighting], warnings: tuple[str, ...] = ()
    ) -> "VesselDetail":
        """Build the response body of a vessel and its sightings."""
        return cls(
            **VesselOut.model_validate(vessel).model_dump(),
            sightings=tuple(SightingOut.of(s) for s in sightings),
            warnings=warnings,
        )


class VesselListing(ResponseBody):
    """One page of vessels; pass `next_cursor` as `cursor` to get the next page."""

    vessels: tuple[VesselOut, ...]
    next_cursor: str | None


class VesselTypes(ResponseBody):
    """The types by which vessels can be listed."""

    types: tuple[str, ...] = Field(description="in lower case, by alphabet")


class TrackPosition(ResponseBody):
    """Where and when a vessel was, by one of its sightings."""

    sighting_id: UUID
    captured_at: datetime
    captured_until: datetime | None = Field(description=DAY_ALONE)
    position: GeoPoint
    modality: Modality
    sensor: str | None
    source: str | None


class TrackOut(ResponseBody):
    """The known positions of a vessel in order of time."""

    vessel_id: UUID
    positions: tuple[TrackPosition, ...]

    @classmethod
    def of(cls, vessel: Vessel, sightings: Sequence[Sighting]) -> "TrackOut":
        """Build the response body of a vessel and all its sightings."""
        positions = [
            TrackPosition.model_validate(sighting.model_dump() | {"sighting_id": sighting.id})
            for sighting in track(sightings)
        ]
        return cls(vessel_id=vessel.id, positions=tuple(positions))


class CandidateOut(ResponseBody):
    """One vessel that the query may show, with its most similar sighting."""

    rank: int
    probability: float = Field(
        description="calibrated probability, 0 to 1; with the probabilities of all other vessels "
        "considered and none_probability it sums to 1"
    )
    similarity: float = Field(description="cosine similarity, -1 to 1")
    way: WayOut | None = Field(description=ONE_WAY)
    evidence: dict[str, float] = Field(
        description="what each kind of evidence adds to ln(probability / none_probability)"
    )
    terms: tuple[EvidenceTerm, ...] = Field(
        description="each kind of evidence with its own likelihood ratio and in plain words; the "
        "factors multiply to probability / none_probability"
    )
    vessel: VesselOut
    sighting: Annotated[SightingOut, BeforeValidator(SightingOut.of)]
    checks: Checks


class BaseMatchOut(ResponseBody):
    """The part of a match that `POST /match` and `GET /matches/{id}` share."""

    match_id: UUID = Field(description="if the match was stored, `GET /matches/{id}` returns it")
    verdict: Verdict
    candidates: tuple[CandidateOut, ...]
    none_probability: float | None = Field(
        description="probability, 0 to 1, that the ship is none of the vessels considered; null "
        "when there was no vessel to compare with"
    )
    explanation: Explanation = Field(
        description="what the verdict means in plain words, how often such answers are right, and "
        "what separates the vessels of an ambiguous answer"
    )
    scene: SceneShare | None = Field(
        description="how the answer differs from that of the chip alone; null unless the chip was "
        "asked about with others of one image"
    )
    query: QueryOut
    queries: tuple[QueryOut, ...] = Field(
        description="all chips that were sent; the first one is `query`"
    )
    model: AnsweringModel
    gallery: GalleryCounts

    @classmethod
    def of_match(cls, match: Match, model: AnsweringModel) -> "BaseMatchOut":
        """Build the shared part."""
        queries = tuple(QueryOut.of(one, stored=match.stored) for one in match.queries)
        return cls.made_of(match, match_id=match.id, query=queries[0], queries=queries, model=model)


class MatchOut(BaseMatchOut):
    """The response of `POST /match`."""

    stored: bool = Field(
        description="whether the match was stored; if it was to be stored and was not, a warning "
        "of `query` says what becomes of it"
    )
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, result: MatchResult, model: AnsweringModel) -> "MatchOut":
        """Build the response body of a match."""
        shared = BaseMatchOut.of_match(result.match, model)
        stages = all_stages(result.timings_ms)
        return cls(**dict(shared), stored=result.match.stored, timings_ms=stages)


class SceneOut(ResponseBody):
    """The response of `POST /match/scene`: one match for each chip, in the order of the chips."""

    scene_id: UUID
    matches: tuple[MatchOut, ...]

    @classmethod
    def of(cls, results: Sequence[MatchResult], model: AnsweringModel) -> "SceneOut":
        """Build the response body of the matches of one image."""
        matches = tuple(MatchOut.of(result, model) for result in results)
        scene = next(one.scene for one in matches if one.scene is not None)
        return cls(scene_id=scene.scene_id, matches=matches)


class VerifyOut(ResponseBody):
    """The response of `POST /verify`."""

    probability: float
    prior: float
    similarity: float
    way: WayOut | None = Field(description=ONE_WAY)
    length_ratio: float
    width_ratio: float
    kinematics: KinematicsCheck | None
    chips: tuple[QueryOut, QueryOut]
    model: AnsweringModel
    timings_ms: dict[str, float]

    @classmethod
    def of(cls, compared: Comparison, model: AnsweringModel) -> "VerifyOut":
        """Build the response body of a comparison."""
        chips = [QueryOut.of(one, stored=False) for one in (compared.first, compared.second)]
        stages = all_stages(compared.timings_ms)
        return cls.made_of(compared, chips=chips, model=model, timings_ms=stages)


class MergeIn(BaseModel):
    """The vessel to merge into the vessel in the path."""

    model_config = ConfigDict(extra="forbid")

    other: UUID = Field(description="id of the vessel to merge")


Ids = Annotated[list[UUID], FailFast()]
"""Ids of sightings, of which the first wrong one is described."""


class SplitIn(BaseModel):
    """The sightings to move to a new vessel, and the attributes of that vessel."""

    model_config = ConfigDict(extra="forbid")

    sightings: Ids = Field(min_length=1)
    vessel: VesselPatch = VesselPatch()


class BundleOut(ResponseBody):
    """The manifest and the model card of the bundle, and which graph of the encoder runs where."""

    bundle_id: str
    device: str
    precision: str
    manifest: Manifest
    model_card: str


class StatusOut(ResponseBody):
    """Whether the service is ready; `parts` maps each part to its error, null when it works."""

    ready: bool
    parts: dict[str, str | None]


def all_stages(timings_ms: Mapping[str, float]) -> dict[str, float]:
    """Return the milliseconds of every stage in order, 0 for a stage that did not run."""
    return {stage: round(timings_ms.get(stage, 0.0), 3) for stage in STAGES}
