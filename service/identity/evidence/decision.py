"""From search hits to ranked candidates and a verdict."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from service.contract.calibration import Evidence
from service.contract.candidate_probabilities import contributions, probabilities_from_log_odds
from service.contract.manifest import CalibrationSpec, ChoiceSpec
from service.identity.evidence.kinematics import DEFAULT_MAX_SPEED_KN, check_kinematics
from service.identity.records.matches import Candidate, Checks, LengthCheck, Verdict
from service.identity.records.sightings import Sighting, SightingHit, VesselHit
from service.identity.records.vessels import Vessel

DEFAULT_LENGTH_TOLERANCE = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that the analyst sets.

    Attributes:
        max_speed_kn: a vessel that would need a higher speed is infeasible, in knots.
        length_tolerance: relative difference of measured and registered length, e.g. 0.2.
        drop_infeasible: leave infeasible vessels out, rather than flag them.
    """

    max_speed_kn: float = DEFAULT_MAX_SPEED_KN
    length_tolerance: float = DEFAULT_LENGTH_TOLERANCE
    drop_infeasible: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """A vessel with its most similar sighting, before its probability is known.

    Attributes:
        evidence: its contributions to the log odds against none, see `contributions`.
    """

    vessel: Vessel
    hit: SightingHit
    evidence: Mapping[str, float]

    @property
    def log_odds(self) -> float:
        """The sum of the evidence: ln(probability of this vessel / probability of none)."""
        return sum(self.evidence.values())


@dataclass(frozen=True, slots=True)
class Ranking:
    """The most probable vessels, and the probability of none of the scored vessels."""

    candidates: tuple[Candidate, ...]
    none_probability: float


def length_ok(query_m: float, vessel_m: float, tolerance: float) -> bool:
    """Return whether two lengths differ by at most `tolerance` times the longer one."""
    return abs(query_m - vessel_m) <= tolerance * max(query_m, vessel_m)


def check(query: Sighting, vessel: Vessel, known: Sighting, limits: Limits) -> Checks:
    """Compare the query with a vessel's attributes and one of its known sightings."""
    length = None
    if vessel.length_m is not None:
        length = LengthCheck(
            query_m=query.length_m,
            vessel_m=vessel.length_m,
            ok=length_ok(query.length_m, vessel.length_m, limits.length_tolerance),
        )
    return Checks(
        length=length,
        kinematics=check_kinematics(query.fix, known.fix, limits.max_speed_kn),
    )


def score(
    query: Sighting, hits: Sequence[VesselHit], weights: ChoiceSpec, gallery_vessels: int
) -> list[Scored]:
    """Score each vessel by its most similar sighting; return the best first.

    Args:
        query: the query sighting.
        hits: every vessel that the search returned, most similar first.
        weights: the calibrated weights of the evidence.
        gallery_vessels: the number of vessels that were searched.
    """
    scored = []
    for hit in hits:
        top = hit.hits[0]
        evidence = Evidence(
            similarity=top.similarity,
            length_ratio=query.length_m / top.sighting.length_m,
            width_ratio=query.width_m / top.sighting.width_m,
        )
        scored.append(Scored(hit.vessel, top, contributions(evidence, weights, gallery_vessels)))
    return best_first(scored)


def best_first(scored: Iterable[Scored]) -> list[Scored]:
    """Sort by log odds and similarity, both descending, then by id."""
    return sorted(scored, key=lambda s: (-s.log_odds, -s.hit.similarity, s.vessel.id))


def rank(query: Sighting, scored: Sequence[Scored], limits: Limits, top_k: int) -> Ranking:
    """Return the `top_k` most probable vessels with their checks.

    The probabilities of all scored vessels and of "none" sum to 1, not only those of the vessels
    returned. A vessel dropped as infeasible is left out of the sum: it is known to be another ship.
    """
    checked = [(item, check(query, item.vessel, item.hit.sighting, limits)) for item in scored]
    if limits.drop_infeasible:
        checked = [(item, checks) for item, checks in checked if _can_have_sailed(checks)]
    probabilities = probabilities_from_log_odds([item.log_odds for item, _ in checked])
    shown = zip(checked, probabilities.candidates, strict=True)
    candidates = tuple(
        Candidate(
            rank=place,
            probability=probability,
            similarity=item.hit.similarity,
            evidence=dict(item.evidence),
            vessel=item.vessel,
            sighting=item.hit.sighting,
            checks=checks,
        )
        for place, ((item, checks), probability) in enumerate(itertools.islice(shown, top_k), 1)
    )
    return Ranking(candidates, probabilities.none)


def decide(
    ranking: Ranking, calibration: CalibrationSpec, gallery_vessels: int, allow_confident: bool
) -> Verdict:
    """Return the verdict of a ranking.

    `confident`: the first vessel is probable enough for a gallery of this size, and could have
    sailed there; probabilities sum to 1, so no second vessel is as probable. `no_match`: the first
    vessel is too improbable, and less probable than "none" (look-alikes that share one ship's
    probability do not make the ship unknown). `ambiguous`: everything else; an analyst has to
    decide.
    """
    if not ranking.candidates:
        return Verdict.NO_MATCH
    first = ranking.candidates[0]
    if first.probability < min(calibration.no_match_below, ranking.none_probability):
        return Verdict.NO_MATCH
    threshold = calibration.confident_threshold(gallery_vessels) if allow_confident else None
    certain = threshold is not None and first.probability >= threshold
    if certain and _can_have_sailed(first.checks):
        return Verdict.CONFIDENT
    return Verdict.AMBIGUOUS


def _can_have_sailed(checks: Checks) -> bool:
    return checks.kinematics is None or checks.kinematics.feasible
