"""Say in plain words what a verdict means, how often it is right, and what to do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.contract.weighing.verdicts import Thresholds
from service.identity.evidence.terms import SUBJECTS, factor, voyage_words
from service.identity.records.matches import (
    Candidate,
    Explanation,
    KinematicsCheck,
    Verdict,
    VerdictRate,
)
from service.identity.records.sightings import VesselHit
from service.identity.records.vessels import Vessel

MIN_FACTOR = 1.2
"""Evidence that separates two vessels by less than this factor is not mentioned."""


@dataclass(frozen=True, slots=True)
class RankedVessel:
    """A vessel that was weighed, without what only a `Candidate`, which is shown, needs.

    Attributes:
        evidence: adds up to ln(probability / none_probability).
        voyage: to the query, the hardest one; None if it is not known.
        probability: 0 to 1.
    """

    hit: VesselHit
    evidence: dict[str, float]
    voyage: KinematicsCheck | None
    probability: float

    @property
    def vessel(self) -> Vessel:
        """The vessel."""
        return self.hit.vessel


@dataclass(frozen=True, slots=True)
class Ranking:
    """All vessels that were weighed, the most probable first, and the probability of none.

    `none_probability` is None when there was no vessel to compare with.
    """

    candidates: tuple[RankedVessel, ...]
    none_probability: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict and what it rests on.

    Attributes:
        among: the vessels that an ambiguous answer names.
        none_among: whether it names "none of them" as well.
        defects: what is bad about the query's chip, in sentences.
        withheld: why it is not `confident` although it is probable enough; None if it is not.
    """

    verdict: Verdict
    ranking: Ranking
    among: Sequence[RankedVessel]
    none_among: bool
    thresholds: Thresholds
    rate: VerdictRate | None
    defects: Sequence[str]
    withheld: str | None
    gallery_vessels: int


def nothing_compared(
    reason: str = "the gallery holds no other chip to compare with",
) -> Explanation:
    """Return the explanation of an answer without a vessel to compare with."""
    text = f"Nothing was compared: {reason}. This says nothing of the ship."
    return Explanation(text=text, compared=0)


def explain(judged: Judged) -> Explanation:
    """Return the explanation of a verdict on at least one compared vessel."""
    thresholds = judged.thresholds
    threshold = {
        Verdict.CONFIDENT: thresholds.confident,
        Verdict.LIKELY: thresholds.likely,
        Verdict.NO_MATCH: thresholds.no_match,
        Verdict.AMBIGUOUS: thresholds.ambiguous,
        Verdict.UNCLEAR: None,
    }[judged.verdict]
    differences = tuple(difference(judged.among[0], other) for other in judged.among[1:])
    sentences = [*judged.defects, _finding(judged), *_caveats(judged), _rate_words(judged)]
    return Explanation(
        text=" ".join(sentences),
        compared=len(judged.ranking.candidates),
        threshold=threshold,
        rate=judged.rate,
        among=tuple(one.vessel.id for one in judged.among),
        none_among=judged.none_among,
        differences=differences,
    )


def difference(first: RankedVessel, other: RankedVessel) -> str:
    """Say which evidence separates two candidates, the strongest first."""
    names = sorted((first.evidence.keys() | other.evidence.keys()) - {"none"})
    gaps = [(first.evidence.get(n, 0.0) - other.evidence.get(n, 0.0), n) for n in names]
    telling = [
        f"{SUBJECTS.get(name, name)} ×{factor(abs(gap))} for "
        f"{vessel_name(first if gap > 0 else other)}"
        for gap, name in sorted(gaps, key=lambda one: -abs(one[0]))
        if abs(gap) >= math.log(MIN_FACTOR)
    ]
    pair = f"{vessel_name(first)} or {vessel_name(other)}"
    return f"{pair}: {', '.join(telling) or 'nothing measured separates them'}"


def vessel_name(candidate: Candidate | RankedVessel) -> str:
    """Return the vessel's name, IMO number, MMSI or the start of its id."""
    vessel = candidate.vessel
    if vessel.name:
        return vessel.name
    if vessel.imo:
        return f"IMO {vessel.imo}"
    return f"MMSI {vessel.mmsi}" if vessel.mmsi else f"vessel {str(vessel.id)[:8]}"


def percent(share: float) -> str:
    """Write a share as per cent, without claiming 0 % or 100 %."""
    if 0.0 <= share < 0.01:
        return "under 1 %"
    return "over 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def _finding(judged: Judged) -> str:
    candidates, none = judged.ranking.candidates, judged.ranking.none_probability or 0.0
    first = candidates[0]
    match judged.verdict:
        case Verdict.CONFIDENT:
            return f"{vessel_name(first)}, {percent(first.probability)} in this answer."
        case Verdict.LIKELY:
            return (
                f"Probably {vessel_name(first)}, {percent(first.probability)} in this answer: "
                "compare the two chips once before you rely on it."
            )
        case Verdict.NO_MATCH:
            return f"Probably none of the vessels compared, {percent(none)} in this answer."
        case Verdict.AMBIGUOUS:
            options = [(one.probability, vessel_name(one)) for one in judged.among]
            if judged.none_among:
                options.append((none, "none of them"))
            options.sort(key=lambda option: -option[0])
            listed = [f"{name} ({percent(probability)})" for probability, name in options]
            if len(listed) == 1:
                return f"Most probably {listed[0]}, but not surely: compare the pictures."
            text = f"{', '.join(listed[:-1])} or {listed[-1]}: compare these."
            return text[0].upper() + text[1:]
        case Verdict.UNCLEAR:
            return (
                f"The chip cannot tell: the most probable vessel, {vessel_name(first)}, has only "
                f"{percent(first.probability)}, and many share the rest. A better chip, or its "
                "time, place and metres per pixel, may tell."
            )


def _caveats(judged: Judged) -> list[str]:
    said = []
    alike = [c for c in judged.ranking.candidates if "voyage" in c.evidence]
    alike = [c for c in alike if c.voyage and not c.voyage.feasible]
    best = max(alike, key=_without_voyage, default=None)
    first = judged.ranking.candidates[0]
    if (
        best is not None
        and best.voyage
        and (best is first or _without_voyage(best) > _without_voyage(first))
    ):
        said.append(
            f"{vessel_name(best)} looks most like it, but cannot have sailed there: "
            f"{voyage_words(best.voyage)}. Check the times and places."
        )
    if judged.withheld is not None:
        said.append(f"It would be `confident`, but {judged.withheld}.")
    return said


def _without_voyage(candidate: RankedVessel) -> float:
    return sum(value for name, value in candidate.evidence.items() if name != "voyage")


def _rate_words(judged: Judged) -> str:
    rate = judged.rate
    if rate is None:
        return "How often answers with this verdict are right was not measured for this bundle."
    claim = {
        Verdict.CONFIDENT: "the vessel was right",
        Verdict.LIKELY: "the vessel was right",
        Verdict.NO_MATCH: "the ship was indeed not enrolled",
        Verdict.AMBIGUOUS: "the truth was among those named",
        Verdict.UNCLEAR: "the first vessel was right",
    }[judged.verdict]
    high = "" if rate.right_high is None else f" to {percent(rate.right_high)}"
    size = f"galleries of {rate.gallery_vessels} vessels"
    if judged.gallery_vessels > rate.gallery_vessels:
        size += f", fewer than the {judged.gallery_vessels} here"
    return (
        f"In {percent(rate.right)} of all {rate.answers} answers with this verdict, more and less "
        f"probable ones, {claim} (95 % interval: from {percent(rate.right_low)}{high}), measured "
        f"on {rate.measured_on} with {size}."
    )
