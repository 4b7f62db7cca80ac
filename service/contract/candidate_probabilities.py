"""Scores of candidates -> probabilities: which of these vessels is it, or none of them?

Candidates compete: a look-alike takes probability from the first, and "none of them" takes part as
one more alternative. That is a conditional (multinomial) logit with an outside option:

    P(candidate i) = exp(s_i) / (exp(s_0) + sum_j exp(s_j)),    s_i = sum of weight x evidence_i,
    P(none)        = exp(s_0) / (exp(s_0) + sum_j exp(s_j)),    s_0 = bias + slope x ln(vessels).

Source: D. McFadden, "Conditional logit analysis of qualitative choice behavior", in Frontiers in
Econometrics (1974), equation 12. With s_i the logarithm of a likelihood ratio of same against
another vessel, this is Bayes' rule for a ship that may be any of G vessels or a stranger; then the
slope is 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.contract.calibration import Evidence
from service.contract.manifest import ChoiceSpec


@dataclass(frozen=True, slots=True)
class Choice:
    """Probabilities that sum to one.

    Attributes:
        candidates: of each candidate, 0 to 1, in the order in which they were given.
        none: that it is none of the candidates, 0 to 1.
    """

    candidates: tuple[float, ...]
    none: float


def contributions(evidence: Evidence, spec: ChoiceSpec, gallery_vessels: int) -> dict[str, float]:
    """What each kind of evidence adds to a candidate's log odds against none of them.

    The parts add up to `s_i - s_0`, which is ln(P(candidate i) / P(none)) whoever competes.

    Args:
        evidence: what is known of the candidate.
        spec: how it is weighed.
        gallery_vessels: how many vessels were searched, at least 1.

    Returns:
        weight x evidence by name, and as `none` the score of none of them, negated.
    """
    terms = evidence.terms()
    none = spec.none_bias + spec.none_log_gallery * math.log(max(gallery_vessels, 1))
    parts: dict[str, float] = {name: w * terms[name] for name, w in spec.weights.items()}
    return parts | {"none": -none}


def choose(log_odds: Sequence[float]) -> Choice:
    """The choice among all candidates that were weighed, and none.

    Args:
        log_odds: of each candidate against none, the sum of its `contributions`; finite. All that
            take part must be given: leaving one out says that it cannot be the vessel.
    """
    highest = max((0.0, *log_odds))
    shares = [math.exp(value - highest) for value in log_odds]
    none = math.exp(-highest)
    total = none + math.fsum(shares)
    return Choice(tuple(share / total for share in shares), none / total)
