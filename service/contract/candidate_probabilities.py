"""The probability of each candidate vessel, and that the ship is none of them.

A conditional (multinomial) logit with an outside option, "none": a second similar candidate lowers
the probability of the first.

    P(candidate i) = exp(s_i) / (exp(s_0) + sum_j exp(s_j)),    s_i = sum of weight x evidence_i,
    P(none)        = exp(s_0) / (exp(s_0) + sum_j exp(s_j)),    s_0 = bias + slope x ln(vessels).

Source: D. McFadden, "Conditional logit analysis of qualitative choice behavior", in Frontiers in
Econometrics (1974), equation 12. If s_i is the logarithm of the likelihood ratio of "same vessel"
to "another vessel", this is Bayes' rule for a ship that is one of G vessels or none, with slope 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.contract.calibration import Evidence
from service.contract.weighing.specs import ChoiceSpec


@dataclass(frozen=True, slots=True)
class CandidateProbabilities:
    """Probabilities that sum to one.

    Attributes:
        candidates: probability of each candidate, 0 to 1, in the order of the arguments.
        none: probability that the ship is none of the candidates, 0 to 1.
    """

    candidates: tuple[float, ...]
    none: float


def contributions(evidence: Evidence, spec: ChoiceSpec, gallery_vessels: int) -> dict[str, float]:
    """Return what each kind of evidence adds to a candidate's log odds against "none".

    The parts sum to `s_i - s_0`, which is ln(P(candidate i) / P(none)) for any other candidates.

    Args:
        evidence: what is known of the candidate.
        spec: the weights.
        gallery_vessels: how many vessels were searched, at least 1.

    Returns:
        weight x evidence by name, and -s_0 as `none`.
    """
    terms = evidence.terms()
    none = spec.none_bias + spec.none_log_gallery * math.log(max(gallery_vessels, 1))
    parts: dict[str, float] = {name: w * terms[name] for name, w in spec.weights.items()}
    return parts | {"none": -none}


def probabilities_from_log_odds(log_odds: Sequence[float]) -> CandidateProbabilities:
    """Return the probabilities of all candidates and of "none".

    Args:
        log_odds: for each candidate, the sum of its `contributions`; finite. A candidate that is
            left out gets the probability 0.
    """
    highest = max((0.0, *log_odds))
    shares = [math.exp(value - highest) for value in log_odds]
    none = math.exp(-highest)
    total = none + math.fsum(shares)
    return CandidateProbabilities(tuple(share / total for share in shares), none / total)
