"""From search hits to ranked candidates and a verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.contract.calibration import Evidence, probability
from service.contract.manifest import CalibrationSpec, LogisticSpec
from service.identity.kinematics import DEFAULT_MAX_SPEED_KN, check_kinematics
from service.identity.records import (
    Candidate,
    Checks,
    LengthCheck,
    Sighting,
    SightingHit,
    Verdict,
    Vessel,
    VesselHit,
)

DEFAULT_LENGTH_TOLERANCE = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """What the analyst allows.

    Attributes:
        max_speed_kn: faster than this is infeasible, in knots.
        length_tolerance: relative difference of measured and registered length, e.g. 0.2.
        drop_infeasible: leave infeasible vessels out, rather than flag them.
    """

    max_speed_kn: float = DEFAULT_MAX_SPEED_KN
    length_tolerance: float = DEFAULT_LENGTH_TOLERANCE
    drop_infeasible: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """A vessel with its most probable sighting."""

    vessel: Vessel
    hit: SightingHit
    probability: float


def length_ok(query_m: float, vessel_m: float, tolerance: float) -> bool:
    """Whether two lengths agree within a relative tolerance of the longer one."""
    return abs(query_m - vessel_m) <= tolerance * max(query_m, vessel_m)


def check(query: Sighting, vessel: Vessel, seen: Sighting, limits: Limits) -> Checks:
    """Compare the query with what is known of the vessel and of one of its sightings."""
    length = None
    if vessel.length_m is not None:
        length = LengthCheck(
            query_m=query.length_m,
            vessel_m=vessel.length_m,
            ok=length_ok(query.length_m, vessel.length_m, limits.length_tolerance),
        )
    return Checks(
        length=length,
        kinematics=check_kinematics(
            (query.position, query.captured_at),
            (seen.position, seen.captured_at),
            limits.max_speed_kn,
        ),
    )


def score(
    query: Sighting, hits: Sequence[VesselHit], weights: LogisticSpec, gallery_vessels: int
) -> list[Scored]:
    """Weigh each vessel by its most similar sighting; most probable first.

    Args:
        query: the sighting in question.
        hits: every vessel that the search returned, most similar first.
        weights: how evidence becomes probability.
        gallery_vessels: how many vessels were searched.
    """
    best = [hit.hits[0].similarity for hit in hits]
    scored = []
    for place, hit in enumerate(hits):
        top = hit.hits[0]
        rival = best[1 if place == 0 else 0] if len(best) > 1 else top.similarity
        evidence = Evidence(
            similarity=top.similarity,
            length_ratio=query.length_m / top.sighting.length_m,
            width_ratio=query.width_m / top.sighting.width_m,
            margin=top.similarity - rival,
            gallery_vessels=gallery_vessels,
        )
        scored.append(Scored(hit.vessel, top, probability(evidence, weights)))
    return sorted(scored, key=lambda s: (-s.probability, -s.hit.similarity, s.vessel.id))


def rank(
    query: Sighting, scored: Sequence[Scored], limits: Limits, top_k: int
) -> tuple[Candidate, ...]:
    """The `top_k` most probable vessels with their checks."""
    candidates: list[Candidate] = []
    for item in scored:
        checks = check(query, item.vessel, item.hit.sighting, limits)
        infeasible = checks.kinematics is not None and not checks.kinematics.feasible
        if infeasible and limits.drop_infeasible:
            continue
        candidates.append(
            Candidate(
                rank=len(candidates) + 1,
                probability=item.probability,
                similarity=item.hit.similarity,
                vessel=item.vessel,
                sighting=item.hit.sighting,
                checks=checks,
            )
        )
        if len(candidates) == top_k:
            break
    return tuple(candidates)


def decide(candidates: Sequence[Candidate], calibration: CalibrationSpec) -> Verdict:
    """One word for the whole.

    Confident: the first is probable enough, no second one is, and the ship could have sailed.
    No match: even the first is too improbable. Otherwise an analyst must look: ambiguous.
    """
    if not candidates or candidates[0].probability < calibration.no_match_below:
        return Verdict.NO_MATCH
    first = candidates[0]
    rivals = [c for c in candidates[1:] if c.probability >= calibration.confident_from]
    feasible = first.checks.kinematics is None or first.checks.kinematics.feasible
    if first.probability >= calibration.confident_from and not rivals and feasible:
        return Verdict.CONFIDENT
    return Verdict.AMBIGUOUS
