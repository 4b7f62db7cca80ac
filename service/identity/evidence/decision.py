"""Rank the candidates of a search, and decide the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from uuid import UUID

import numpy as np

from service.contract.candidate_probabilities import contributions, probabilities_from_log_odds
from service.contract.chip import Modality
from service.contract.weighing.context import context_terms
from service.contract.weighing.specs import CalibrationSpec, ChoiceSpec, ContextSpec
from service.contract.weighing.verdicts import decide, measured_point, thresholds_of
from service.identity.evidence.checks import (
    Limits,
    can_have_sailed,
    checks_of,
    facts_of,
    hardest_voyage,
)
from service.identity.evidence.pairs import evidence_of
from service.identity.evidence.terms import evidence_terms
from service.identity.evidence.wording import (
    Judged,
    RankedVessel,
    Ranking,
    explain,
    nothing_compared,
)
from service.identity.records.matches import Candidate, Explanation, Verdict, VerdictRate
from service.identity.records.sightings import Sighting, VesselHit
from service.identity.records.vessels import Vessel


@dataclass(frozen=True, slots=True)
class Scored:
    """A vessel that a search found, before its probability is known.

    Attributes:
        evidence: its contributions to the log odds against none, see `contributions`.
        log_odds: their sum, ln(probability of this vessel / probability of none).
    """

    hit: VesselHit
    evidence: Mapping[str, float]
    log_odds: float

    @property
    def vessel(self) -> Vessel:
        """The vessel."""
        return self.hit.vessel


def weights_for(
    calibration: CalibrationSpec, query: Sighting, modality: Modality
) -> ChoiceSpec | None:
    """Return the weights of evidence from sightings of a sensor type; None without them."""
    same = modality is query.modality
    return calibration.match_same_sensor if same else calibration.match


def score(
    query: Sighting, hits: Sequence[VesselHit], weights: ChoiceSpec, gallery_vessels: int
) -> list[Scored]:
    """Score each vessel by its most similar sighting; return the best first.

    Args:
        hits: every vessel that the search returned, most similar first.
    """
    evidence = [evidence_of(query, hit.sightings[0], hit.similarity) for hit in hits]
    parts = contributions(evidence, weights, gallery_vessels)
    scored = [Scored(hit, part, sum(part.values())) for hit, part in zip(hits, parts, strict=True)]
    scored.sort(key=lambda one: (-one.log_odds, -one.hit.similarity, one.vessel.id))
    return scored


def best_of_each_vessel(found: Mapping[Modality, Sequence[Scored]]) -> list[Scored]:
    """Return each vessel once, with its higher log odds, in any order."""
    best: dict[UUID, Scored] = {}
    for scored in found.values():
        for item in scored:
            known = best.get(item.vessel.id)
            if known is None or item.log_odds > known.log_odds:
                best[item.vessel.id] = item
    return list(best.values())


def rank(
    query: Sighting, scored: Sequence[Scored], limits: Limits, context: ContextSpec | None = None
) -> Ranking:
    """Return all scored vessels, the most probable first.

    The probabilities of all scored vessels and of "none" sum to 1. A vessel that cannot have
    sailed to the query in time comes last, whatever its other evidence.

    Args:
        context: how registered sizes, types and voyages are weighed; None if they are not.
    """
    trips = [hardest_voyage(query, one.vessel, one.hit.sightings, limits) for one in scored]
    facts = [
        facts_of(query, one.vessel, trip, limits) for one, trip in zip(scored, trips, strict=True)
    ]
    weighed = []
    for item, trip, more in zip(scored, trips, context_terms(facts, context), strict=True):
        evidence = {**item.evidence, **more}
        log_odds = sum(evidence.values())
        place = (not can_have_sailed(trip), -log_odds, -item.hit.similarity, item.vessel.id)
        weighed.append((place, log_odds, evidence, item, trip))
    weighed.sort(key=itemgetter(0))
    probabilities = probabilities_from_log_odds([log_odds for _, log_odds, *_ in weighed])
    ranked = tuple(
        RankedVessel(item.hit, evidence, trip, probability)
        for (*_, evidence, item, trip), probability in zip(
            weighed, probabilities.candidates, strict=True
        )
    )
    return Ranking(ranked, probabilities.none if ranked else None)


def explained(
    ranked: Sequence[RankedVessel], query: Sighting, limits: Limits, calibration: CalibrationSpec
) -> tuple[Candidate, ...]:
    """Return the first vessels of a ranking as an answer shows them; see `evidence_terms`."""
    shown = []
    for place, one in enumerate(ranked, 1):
        hit, checks = one.hit, checks_of(query, one.vessel, one.voyage, limits)
        weights = weights_for(calibration, query, hit.sightings[0].modality)
        shown.append(
            Candidate(
                rank=place,
                probability=one.probability,
                similarity=hit.similarity,
                way=hit.way,
                evidence=one.evidence,
                terms=evidence_terms(one.evidence, weights or calibration.match, checks),
                vessel=one.vessel,
                sighting=hit.sightings[0],
                checks=checks,
            )
        )
    return tuple(shown)


def judge(
    ranking: Ranking,
    calibration: CalibrationSpec,
    gallery_vessels: int,
    allow_confident: bool,
    defects: Sequence[str] = (),
) -> tuple[Verdict, Explanation]:
    """Return the verdict of a ranking and its explanation.

    With `defects`, sentences on what is bad about the query's chip, it is never `confident`, and
    `unclear` where it would be `ambiguous` or `no_match`: a bad chip rules nothing out.

    A ranking without candidates is `no_match` by name, and its explanation says that nothing was
    compared. A first vessel that cannot have sailed to the query is never named.
    """
    if ranking.none_probability is None:
        return Verdict.NO_MATCH, nothing_compared()
    thresholds = thresholds_of(calibration, gallery_vessels, allow_confident and not defects)
    row = np.array([[ranking.none_probability, *(c.probability for c in ranking.candidates)]])
    decided = decide(row, thresholds)
    verdict = Verdict(decided.verdicts[0])
    if defects and verdict is not Verdict.LIKELY:
        verdict = Verdict.UNCLEAR
    count = int(decided.named[0]) if verdict is Verdict.AMBIGUOUS else 0
    possible = [c for c in ranking.candidates[:count] if can_have_sailed(c.voyage)]
    outcomes = sorted(
        [(ranking.none_probability, None), *((c.probability, c) for c in possible)],
        key=lambda outcome: -outcome[0],
    )
    named = [candidate for _, candidate in outcomes[:count]]
    among = [candidate for candidate in named if candidate is not None]
    return verdict, explain(
        Judged(
            verdict=verdict,
            ranking=ranking,
            among=among,
            none_among=None in named,
            thresholds=thresholds,
            rate=_rate(calibration, verdict, gallery_vessels),
            defects=defects,
            withheld=_withheld(ranking, calibration, gallery_vessels, allow_confident, defects),
            gallery_vessels=gallery_vessels,
        )
    )


def _rate(
    calibration: CalibrationSpec, verdict: Verdict, gallery_vessels: int
) -> VerdictRate | None:
    """Return the measured rate of the verdict; None if the bundle has none for it."""
    point = measured_point(calibration, verdict.value, gallery_vessels)
    if point is not None:
        return VerdictRate(**point.model_dump(exclude={"verdict", "threshold"}))
    if verdict is not Verdict.CONFIDENT:
        return None
    sizes = [p for p in calibration.confident if gallery_vessels <= p.gallery_vessels]
    return VerdictRate(
        **sizes[0].model_dump(exclude={"threshold"}), measured_on=calibration.fitted_on
    )


def _withheld(
    ranking: Ranking,
    calibration: CalibrationSpec,
    gallery_vessels: int,
    allow_confident: bool,
    defects: Sequence[str],
) -> str | None:
    """Return why an answer that is probable enough is not `confident`; None where nothing is."""
    threshold = calibration.confident_threshold(gallery_vessels)
    if threshold is None or ranking.candidates[0].probability < threshold:
        return None
    if not allow_confident:
        return "this bundle was calibrated on simulated ships alone and may not say so"
    return "the chip is bad" if defects else None
