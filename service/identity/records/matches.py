"""Matches: ranked vessels with probability, evidence and checks, and the verdict."""

from uuid import UUID

from service.contract.choice import Choice
from service.identity.records.base import Record
from service.identity.records.sightings import GalleryCounts, Sighting, WayRound
from service.identity.records.vessels import Vessel


class Verdict(Choice):
    """The answer of a match in one word, see `contract.weighing.verdicts.decide`."""

    CONFIDENT = "confident"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"
    NO_MATCH = "no_match"
    UNCLEAR = "unclear"


class VerdictRate(Record):
    """How often answers with this verdict were right in the calibration's measurements.

    `right`, `right_low` and `right_high` are shares from 0 to 1, the latter two of the 95 %
    interval over ships; `gallery_vessels` is the size of the galleries that were searched.
    """

    right: float
    right_low: float
    right_high: float | None = None
    answers: int
    gallery_vessels: int
    measured_on: str


class Explanation(Record):
    """Why a match has its verdict, and what an analyst should do.

    `compared` is the number of vessels that were weighed; with 0, nothing was judged. `threshold`
    is the probability that the verdict needs, None for `unclear`. An ambiguous answer names the
    vessels that share the probability in `among`, says in `none_among` whether "none of them" is
    one of the possibilities, and lists in `differences` what separates the vessels.
    """

    text: str
    compared: int
    threshold: float | None = None
    rate: VerdictRate | None = None
    among: tuple[UUID, ...] = ()
    none_among: bool = False
    differences: tuple[str, ...] = ()


class LengthCheck(Record):
    """A measured length or width compared with the registered one.

    `query_m` is estimated for the ship: the chip's side without the usual share of sea.
    `tolerance` is the relative difference that is allowed, of the longer one.
    """

    query_m: float
    vessel_m: float
    ok: bool
    tolerance: float


class KinematicsCheck(Record):
    """Whether the vessel could have sailed from one sighting to the other in time.

    `feasible` says that `required_kn` is at most `max_speed_kn`, with `slack_nm` less distance for
    the error of the positions; `usual_kn` is the usual speed of the vessel's type.
    """

    distance_nm: float
    hours: float
    required_kn: float | None
    feasible: bool
    max_speed_kn: float
    usual_kn: float | None
    slack_nm: float


class Checks(Record):
    """Checks against registered attributes; None where a needed value is unknown."""

    length: LengthCheck | None = None
    width: LengthCheck | None = None
    kinematics: KinematicsCheck | None = None


class EvidenceTerm(Record):
    """One kind of evidence about a candidate.

    `factor` is its likelihood ratio: how much likelier the evidence is if the candidate is the ship
    than if another vessel is. The factors of a candidate multiply to probability /
    none_probability; that of `none` is the odds before the chip was seen.
    """

    name: str
    subject: str
    factor: float
    words: str


class Candidate(Record):
    """One vessel that the query may show.

    `rank` counts from 1, `probability` is 0 to 1, `similarity` a cosine, -1 to 1. `evidence` adds
    up to ln(probability / none_probability), see `contract.candidate_probabilities`. `way` is set
    when the query was compared both ways round.
    """

    rank: int
    probability: float
    similarity: float
    way: WayRound | None = None
    evidence: dict[str, float]
    terms: tuple[EvidenceTerm, ...]
    vessel: Vessel
    sighting: Sighting
    checks: Checks


class SceneShare(Record):
    """What asking the chips of one image together changed for one of them.

    Attributes:
        scene_id: shared by the matches of one request.
        chips: number of chips that were asked about together.
        alone_vessel_id: the vessel that was first alone; None without candidates.
        alone_probability: its probability alone; None without candidates.
        alone_none_probability: of none of the vessels, alone.
        text: how the answer differs from the chip's alone, and why.
    """

    scene_id: UUID
    chips: int
    alone_verdict: Verdict
    alone_vessel_id: UUID | None
    alone_probability: float | None
    alone_none_probability: float | None
    text: str


class Match(Record):
    """A query sighting, its ranked vessels and the verdict.

    `none_probability` is the probability of none of the scored vessels, which may be more than the
    candidates; None when there was no vessel to compare with. `scene` is set when the chip was
    asked about with others of one image. `more_queries` are the other chips of the ship, if several
    were sent.
    """

    id: UUID
    verdict: Verdict
    candidates: tuple[Candidate, ...]
    none_probability: float | None
    explanation: Explanation
    scene: SceneShare | None = None
    query: Sighting
    more_queries: tuple[Sighting, ...] = ()
    gallery: GalleryCounts
    stored: bool

    @property
    def queries(self) -> tuple[Sighting, ...]:
        """All chips that were sent, the first one first."""
        return (self.query, *self.more_queries)

    @property
    def sighting_ids(self) -> tuple[UUID, ...]:
        """The ids of the sightings of `queries`."""
        return tuple(one.id for one in self.queries)
