"""Matches: ranked vessels with probability, evidence and checks, and the verdict."""

from enum import StrEnum
from uuid import UUID

from service.identity.records.base import Record
from service.identity.records.sightings import GalleryCounts, Sighting, WayRound
from service.identity.records.vessels import Vessel


class Verdict(StrEnum):
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
    """The measured length compared with the registered length."""

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
    """Checks against registered attributes; None where a needed value is unknown."""

    length: LengthCheck | None = None
    kinematics: KinematicsCheck | None = None


class Candidate(Record):
    """One vessel that the query may show.

    `evidence` adds up to ln(probability / none_probability), see
    `contract.candidate_probabilities`. `way` is set when the query was compared both ways round.
    """

    rank: int
    probability: float
    similarity: float
    way: WayRound | None = None
    evidence: dict[str, float]
    vessel: Vessel
    sighting: Sighting
    checks: Checks


class Match(Record):
    """A query sighting, its ranked vessels and the verdict.

    `none_probability` is the probability of none of the scored vessels, which may be more than the
    candidates; None when there was no vessel to compare with. Matches recorded by older versions
    have no `explanation`.
    """

    id: UUID
    verdict: Verdict
    candidates: tuple[Candidate, ...]
    none_probability: float | None
    explanation: Explanation | None = None
    query: Sighting
    gallery: GalleryCounts
    stored: bool
