"""The response bodies of the service.

Fields that this version does not know are kept as they are, so that a newer service can answer.
"""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from pydantic import AliasChoices, Field

from service.client.remote.chip_models import (
    Body as Body,
    ChipFacts as ChipFacts,
    Finding as Finding,
    Framing as Framing,
    Modality as Modality,
    Outline as Outline,
    Pixel as Pixel,
    Position as Position,
    Quality as Quality,
    Query as Query,
    Sighting as Sighting,
)

T = TypeVar("T")

Outcome = Literal["enrolled", "unchanged", "refused"]
Decision = Literal["confirmed", "rejected", "withdrawn"]
Standing = Literal["open", "confirmed", "rejected"]
State = Literal["asked", "new", "settled"]
Verdict = Literal["confident", "likely", "ambiguous", "no_match", "unclear"]


def percent(share: float, digits: int = 1) -> str:
    """Write a share from 0 to 1 in per cent, never as 0 % or 100 %, which no answer is sure of."""
    least = 10.0**-digits
    if 100.0 * share < least:
        return f"<{least:g}%"
    return f">{100.0 - least:g}%" if 100.0 * share > 100.0 - least else f"{share:.{digits}%}"


class Page(Body, Generic[T]):
    """One page of a list; `next_cursor` is None on the last."""

    items: tuple[T, ...] = Field(
        validation_alias=AliasChoices("items", "matches", "vessels", "groups")
    )
    next_cursor: str | None = None


class WayRound(Body):
    """Which of a query's two ways round resembles a known chip more, and how surely."""

    half_turned: bool
    certainty: float | None = None


class Provenance(Body):
    """The source of an attribute, and the time as of which it holds."""

    source: str
    as_of: datetime


class Vessel(Body):
    """A vessel and where each of its attributes came from."""

    id: UUID
    name: str | None = None
    imo: str | None = None
    mmsi: str | None = None
    callsign: str | None = None
    flag: str | None = None
    type: str | None = None
    length_m: float | None = None
    beam_m: float | None = None
    provenance: dict[str, Provenance] = Field(default_factory=dict)
    created_at: datetime
    updated_at: datetime

    @property
    def label(self) -> str:
        """Name, IMO number, MMSI or id: the first that is known."""
        if self.name:
            return self.name
        if self.imo:
            return f"IMO {self.imo}"
        return f"MMSI {self.mmsi}" if self.mmsi else str(self.id)


class VesselDetail(Vessel):
    """A vessel with its sightings; `warnings` say which facts of the request were not used."""

    sightings: tuple[Sighting, ...]
    warnings: tuple[str, ...] = ()


class EnrolledVessel(VesselDetail):
    """A vessel after a registration; `created` tells whether this request registered it."""

    created: bool


class Problem(Body):
    """Why something was refused (RFC 9457)."""

    type: str
    status: int
    detail: str


class EnrolledChip(Body):
    """What became of a chip of a bulk enrolment; `created` tells whether it registered the vessel.

    A chip that was refused has a `problem` and no sighting.
    """

    chip: str
    outcome: Outcome
    created: bool = False
    vessel_id: UUID | None = None
    sighting_id: UUID | None = None
    warnings: tuple[str, ...] = ()
    problem: Problem | None = None


class TrackPosition(Body):
    """Where and when a vessel was, by one of its sightings."""

    sighting_id: UUID
    captured_at: datetime
    captured_until: datetime | None = None
    position: Position
    modality: Modality
    sensor: str | None = None
    source: str | None = None


class Track(Body):
    """The known positions of a vessel in order of time."""

    vessel_id: UUID
    positions: tuple[TrackPosition, ...]


class LengthCheck(Body):
    """Measured length of the query against the registered length, metres."""

    query_m: float
    vessel_m: float
    ok: bool


class KinematicsCheck(Body):
    """Whether the vessel could have sailed from its sighting to the query in time."""

    distance_nm: float
    hours: float
    required_kn: float | None = None
    feasible: bool


class Checks(Body):
    """Checks of a candidate; None where data is missing."""

    length: LengthCheck | None = None
    kinematics: KinematicsCheck | None = None


class Candidate(Body):
    """Ranked vessel with its calibrated probability and its most similar sighting.

    `evidence` tells what each kind of evidence adds to ln(probability / none_probability).
    """

    rank: int
    probability: float
    similarity: float
    way: WayRound | None = None
    evidence: dict[str, float] = Field(default_factory=dict)
    vessel: Vessel
    sighting: Sighting
    checks: Checks = Checks()


class Model(Body):
    """Bundle that answered, and the domain of its training data."""

    bundle_id: str
    name: str
    training_domain: str


class Gallery(Body):
    """Size of the gallery that was searched."""

    vessels: int
    sightings: int


class VerdictRate(Body):
    """How often answers with this verdict were right in the calibration's measurements."""

    right: float
    right_low: float
    right_high: float | None = None
    answers: int
    gallery_vessels: int
    measured_on: str


class Explanation(Body):
    """What the verdict means, in words, and what separates the vessels that share it."""

    text: str
    compared: int = 0
    threshold: float | None = None
    rate: VerdictRate | None = None
    among: tuple[UUID, ...] = ()
    none_among: bool = False
    differences: tuple[str, ...] = ()


class SceneShare(Body):
    """How the answer about a chip of an image differs from that of the chip alone."""

    scene_id: UUID
    chips: int
    alone_verdict: Verdict
    alone_vessel_id: UUID | None = None
    alone_probability: float | None = None
    alone_none_probability: float | None = None
    text: str


class BaseMatch(Body):
    """What the response to a match and its stored record share."""

    match_id: UUID
    verdict: Verdict
    candidates: tuple[Candidate, ...]
    none_probability: float | None
    explanation: Explanation | None = None
    scene: SceneShare | None = None
    query: Query
    queries: tuple[Query, ...] = ()
    model: Model
    gallery: Gallery

    @property
    def none_percent(self) -> str:
        """The probability of none of the vessels in per cent; a dash if nothing was compared."""
        return "-" if self.none_probability is None else percent(self.none_probability)


class Match(BaseMatch):
    """The response to a match; `stored` tells whether it can be looked up and judged."""

    stored: bool = True
    timings_ms: dict[str, float] = Field(default_factory=dict)


class Scene(Body):
    """The response about the chips of one image: a match for each, in their order."""

    scene_id: UUID
    matches: tuple[Match, ...]


class Judgement(Body):
    """What an analyst decided; `vessel_id` is set when a vessel was confirmed."""

    decision: Decision
    vessel_id: UUID | None = None
    by: str
    at: datetime
    note: str | None = None


class AuditPosition(Body):
    """Where the match stands in the audit log."""

    chain: str
    number: int
    sha256: str


class FoundBy(Body):
    """The vessel and its new chip for which an open sighting was matched again."""

    vessel_id: UUID
    sighting_id: UUID


class MatchRecord(BaseMatch):
    """A stored match and all its judgements, the latest last.

    `sighting` is the query sighting as it is now; None when it was deleted.
    """

    asked_at: datetime
    asked_by: str
    options: dict[str, Any] = Field(default_factory=dict)
    standing: Standing
    state: State = "asked"
    found_by: FoundBy | None = None
    audit: AuditPosition | None = None
    judgements: tuple[Judgement, ...] = ()
    sighting: Sighting | None = None


class MatchSummary(Body):
    """A stored match in a list, with its most probable vessel and the judgement in force."""

    match_id: UUID
    asked_at: datetime
    asked_by: str
    verdict: Verdict
    standing: Standing
    state: State = "asked"
    query: Query
    first: Candidate | None = None
    none_probability: float | None = None
    judgement: Judgement | None = None
    found_by: FoundBy | None = None


class GroupMember(Body):
    """An open sighting in a group, its newest match, and how probably it shows the group's ship."""

    match_id: UUID
    probability: float | None
    sighting: Sighting


class SightingGroup(Body):
    """Open sightings that may show one unknown ship."""

    group_id: UUID
    chips: int
    probability: float | None
    sightings: tuple[GroupMember, ...]


class Verification(Body):
    """The comparison of two chips."""

    probability: float
    prior: float
    similarity: float
    length_ratio: float
    width_ratio: float
    kinematics: KinematicsCheck | None = None
    way: WayRound | None = None
    chips: tuple[Query, Query]
    model: Model
    timings_ms: dict[str, float] = Field(default_factory=dict)


class Bundle(Body):
    """The models that answer, their manifest and their model card."""

    bundle_id: str
    device: str
    precision: str | None = None
    manifest: dict[str, Any]
    model_card: str
