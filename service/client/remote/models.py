"""The response bodies of the service.

Fields that this version does not know are kept as they are, so that a newer service can answer.
"""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

Decision = Literal["confirmed", "rejected", "withdrawn"]
Modality = Literal["optical", "sar"]
Standing = Literal["open", "confirmed", "rejected"]
State = Literal["asked", "new", "settled"]
Verdict = Literal["confident", "likely", "ambiguous", "no_match", "unclear"]


class Body(BaseModel):
    """Immutable response body or part of one."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def document(self) -> dict[str, Any]:
        """Return the body as JSON values."""
        return self.model_dump(mode="json")


class Position(Body):
    """WGS 84, degrees."""

    lat: float
    lon: float


class Pixel(Body):
    """Column and row of a place in the chip as it was sent."""

    x: float
    y: float


class Outline(Body):
    """The corners of the rectangle around the hull; on the ground if the chip is georeferenced."""

    pixels: tuple[Pixel, ...]
    positions: tuple[Position, ...] | None = None


class Framing(Body):
    """How the ship was cut out of the chip; `turned_deg` is the turn that made it upright.

    The axis is clockwise from the chip's top, its heading from true north; lengths are metres, with
    their standard errors.
    """

    mode: Literal["auto", "as_is"] = "as_is"
    method: str
    turned_deg: float = 0.0
    axis_deg: float | None = None
    heading_axis_deg: float | None = None
    outline: Outline | None = None
    length_m: float | None = None
    length_error_m: float | None = None
    width_m: float | None = None
    width_error_m: float | None = None
    removed_share: float = 0.0


class Finding(Body):
    """One judgement of the quality of a chip, the number behind it, and what it means."""

    kind: str
    level: Literal["ok", "doubtful", "bad"]
    value: float
    sentence: str


class Quality(Body):
    """What was judged of a chip, the worst first."""

    level: Literal["ok", "doubtful", "bad"]
    findings: tuple[Finding, ...] = ()


class ChipFacts(Body):
    """What is known of a chip."""

    modality: Modality
    gsd_m: float
    gsd_source: str
    length_m: float
    width_m: float
    bit_depth: str
    sha256: str
    captured_at: datetime | None = None
    captured_until: datetime | None = None
    position: Position | None = None
    file_name: str | None = None
    case: str | None = None
    note: str | None = None
    framing: Framing | None = None
    quality: Quality | None = None
    warnings: tuple[str, ...] = ()

    def complaints(self, level: Literal["doubtful", "bad"]) -> tuple[str, ...]:
        """Return the sentences of the findings of a level."""
        found = self.quality.findings if self.quality else ()
        return tuple(finding.sentence for finding in found if finding.level == level)


class Sighting(ChipFacts):
    """One chip of one ship at one time; `vessel_id` is None while no vessel is assigned."""

    id: UUID
    vessel_id: UUID | None
    origin_vessel_id: UUID | None = None
    sensor: str | None = None
    source: str | None = None
    licence: str | None = None
    recorded_at: datetime
    chip_url: str
    preview_url: str
    pseudo_sar_url: str | None = None


class Query(ChipFacts):
    """The query chip as the service read it; `sighting_id` is None when it was not stored."""

    sighting_id: UUID | None
    preview_url: str | None = None


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
    provenance: dict[str, Provenance] = {}
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
    """A vessel with its sightings; `warnings` say what the request said in vain."""

    sightings: tuple[Sighting, ...]
    warnings: tuple[str, ...] = ()


class EnrolledVessel(VesselDetail):
    """A vessel after a registration; `created` tells whether this request registered it."""

    created: bool


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
    evidence: dict[str, float] = {}
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
    model: Model
    gallery: Gallery

    @property
    def none_percent(self) -> str:
        """The probability of none of the vessels in per cent; a dash if nothing was compared."""
        return "-" if self.none_probability is None else f"{self.none_probability:.1%}"


class Match(BaseMatch):
    """The response to a match; `stored` tells whether it can be looked up and judged."""

    stored: bool = True
    timings_ms: dict[str, float] = {}


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
    """The vessel and its new chip that made the service ask again about an open sighting."""

    vessel_id: UUID
    sighting_id: UUID


class MatchRecord(BaseMatch):
    """A stored match and all its judgements, the latest last.

    `sighting` is the query sighting as it is now; None when it was deleted.
    """

    asked_at: datetime
    asked_by: str
    options: dict[str, Any] = {}
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
    judgement: Judgement | None = None


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
    timings_ms: dict[str, float] = {}


class Bundle(Body):
    """The models that answer, their manifest and their model card."""

    bundle_id: str
    device: str
    manifest: dict[str, Any]
    model_card: str
