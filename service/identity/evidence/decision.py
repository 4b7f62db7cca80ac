"""Rank the candidates of a search, and decide the verdict."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from uuid import UUID

import numpy as np

from service.contract.candidate_probabilities import contributions, probabilities_from_log_odds
from service.contract.chip import Modality
from service.contract.weighing.context import context_terms
from service.contract.weighing.specs import CalibrationSpec, ChoiceSpec, ContextSpec
from service.contract.weighing.verdicts import decide, measured_point, thresholds_of
from service.identity.evidence.checks import Limits, can_have_sailed, check, facts_of
from service.identity.evidence.pairs import evidence_of
from service.identity.evidence.terms import evidence_terms
from service.identity.evidence.wording import Judged, Ranking, explain, nothing_compared
from service.identity.records.matches import (
    Candidate,
    Explanation,
    Verdict,
    VerdictRate,
)
from service.identity.records.sightings import Sighting, SightingHit, VesselHit
from service.identity.records.vessels import Vessel


@dataclass(frozen=True, slots=True)
class Scored:
    """A vessel with its most similar sighting, before its probability is known.

    Attributes:
        hits: its most similar sightings, most similar first.
        evidence: its contributions to the log odds against none, see `contributions`.
    """

    vessel: Vessel
    hits: Sequence[SightingHit]
    evidence: Mapping[str, float]

    @property
    def hit(self) -> SightingHit:
        """Its most similar sighting."""
        return self.hits[0]

    @property
    def log_odds(self) -> float:
        """The sum of the evidence: ln(probability of this vessel / probability of none)."""
        return sum(self.evidence.values())


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
        query: the query sighting.
        hits: every vessel that the search returned, most similar first.
        weights: the calibrated weights of the evidence.
        gallery_vessels: the number of vessels that were searched.
    """
    evidence = [evidence_of(query, hit.hits[0].sighting, hit.hits[0].similarity) for hit in hits]
    parts = contributions(evidence, weights, gallery_vessels)
    return best_first(
        Scored(hit.vessel, hit.hits, part) for hit, part in zip(hits, parts, strict=True)
    )


def best_first(scored: Iterable[Scored]) -> list[Scored]:
    """Sort by log odds and similarity, both descending, then by id."""
    return sorted(scored, key=_best_first)


def best_of_each_vessel(found: Mapping[Modality, Sequence[Scored]]) -> list[Scored]:
    """Return each vessel once, with its higher log odds; best first."""
    best: dict[UUID, Scored] = {}
    for scored in found.values():
        for item in scored:
            known = best.get(item.vessel.id)
            if known is None or item.log_odds > known.log_odds:
                best[item.vessel.id] = item
    return best_first(best.values())


def _best_first(item: Scored) -> tuple[float, float, UUID]:
    return -item.log_odds, -item.hit.similarity, item.vessel.id


def rank(
    query: Sighting,
    scored: Sequence[Scored],
    limits: Limits,
    context: ContextSpec | None = None,
) -> Ranking:
    """Return all scored vessels with their checks, without terms, the most probable first.

    The probabilities of all scored vessels and of "none" sum to 1. A vessel that cannot have
    sailed to the query in time comes last, whatever its other evidence.

    Args:
        query: the query sighting.
        scored: vessels weighed by their chips.
        limits: what the analyst states.
        context: how registered sizes, types and voyages are weighed; None if they are not.
    """
    checked = []
    for item in scored:
        checks = check(query, item.vessel, [hit.sighting for hit in item.hits], limits)
        more = context_terms(facts_of(query, item.vessel, checks, limits), context)
        evidence = {**item.evidence, **more}
        log_odds = sum(evidence.values())
        place = (not can_have_sailed(checks), -log_odds, -item.hit.similarity, item.vessel.id)
        checked.append((place, log_odds, evidence, item, checks))
    checked.sort(key=itemgetter(0))
    probabilities = probabilities_from_log_odds([log_odds for _, log_odds, *_ in checked])
    candidates = tuple(
        Candidate(
            rank=number,
            probability=probability,
            similarity=item.hit.similarity,
            way=item.hit.way,
            evidence=evidence,
            vessel=item.vessel,
            sighting=item.hit.sighting,
            checks=checks,
        )
        for number, ((*_, evidence, item, checks), probability) in enumerate(
            zip(checked, probabilities.candidates, strict=True), 1
        )
    )
    return Ranking(candidates, probabilities.none if candidates else None)


def explained(
    candidates: Sequence[Candidate], query: Sighting, calibration: CalibrationSpec
) -> tuple[Candidate, ...]:
    """Return candidates that are shown with their evidence in words; see `evidence_terms`."""
    shown = []
    for one in candidates:
        weights = weights_for(calibration, query, one.sighting.modality)
        terms = evidence_terms(one.evidence, weights or calibration.match, one.checks)
        shown.append(one.model_copy(update={"terms": terms}))
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
    possible = [one for one in ranking.candidates if can_have_sailed(one.checks)]
    thresholds = thresholds_of(calibration, gallery_vessels, allow_confident and not defects)
    row = np.array([[ranking.none_probability, *(c.probability for c in ranking.candidates)]])
    decided = decide(row, thresholds)
    verdict = Verdict(decided.verdicts[0])
    if defects and verdict is not Verdict.LIKELY:
        verdict = Verdict.UNCLEAR
    outcomes = sorted(
        [(ranking.none_probability, None), *((c.probability, c) for c in possible)],
        key=lambda outcome: -outcome[0],
    )
    count = int(decided.named[0]) if verdict is Verdict.AMBIGUOUS else 0
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
