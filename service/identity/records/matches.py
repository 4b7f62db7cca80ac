"""Matches: ranked vessels with probability, evidence and checks, and the verdict."""

from enum import StrEnum
from uuid import UUID

from service.identity.records.base import Record
from service.identity.records.sightings import GalleryCounts, Sighting
from service.identity.records.vessels import Vessel


class Verdict(StrEnum):
    """The answer of a match in one word, see `decision.decide`."""

    CONFIDENT = "confident"
    AMBIGUOUS = "ambiguous"
    NO_MATCH = "no_match"


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
    `contract.candidate_probabilities`.
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

    `none_probability` is the probability of none of the scored vessels, which may be more than the
    candidates.
    """

    id: UUID
    verdict: Verdict
    candidates: tuple[Candidate, ...]
    none_probability: float
    query: Sighting
    gallery: GalleryCounts
    stored: bool
