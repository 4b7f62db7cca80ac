"""The probability of each candidate vessel, and that the ship is none of them.

A nested logit of all candidates against "none": a second similar candidate lowers the probability
of the first.

    P(candidate i) = exp(s_i) / (exp(s_0) + sum_j exp(s_j)),    s_i = sum of weight x evidence_i,
    P(none)        = exp(s_0) / (exp(s_0) + sum_j exp(s_j)),    s_0 = bias + slope x ln(vessels)
                                                                      + c x ln(sum_j exp(s_j)).

If s_i is the logarithm of the likelihood ratio of "same vessel" to "another vessel", this is with
slope 1 and c = 0 Bayes' rule for a ship that is one of G vessels or none. But what makes one vessel
of a gallery similar to a chip (ships of one class, a blurred chip) makes the others similar, too:
the candidates together say less about whether the ship is among them than about which one it is.
c, from 0 to below 1, is by how much less.

Source: D. McFadden, "Modelling the choice of residential location" (1978), where 1 - c is the
coefficient of the inclusive value; c = 0 is his conditional logit (1974), equation 12.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.contract.calibration import Evidence
from service.contract.weighing.specs import ChoiceSpec, EvidenceName

PIXELS: tuple[EvidenceName, ...] = ("similarity_z", "similarity")
"""The kinds of evidence that the pixels give; a bundle weighs one of them."""


@dataclass(frozen=True, slots=True)
class CandidateProbabilities:
    """Probabilities that sum to one.

    Attributes:
        candidates: probability of each candidate, 0 to 1, in the order of the arguments.
        none: probability that the ship is none of the candidates, 0 to 1.
    """

    candidates: tuple[float, ...]
    none: float


def contributions(
    candidates: Sequence[Evidence], spec: ChoiceSpec, gallery_vessels: int
) -> list[dict[str, float]]:
    """Return what each kind of evidence adds to each candidate's log odds against "none".

    The parts of candidate i sum to `s_i - s_0`, which is ln(P(candidate i) / P(none)).

    Args:
        candidates: what is known of each candidate. They are weighed together: a further candidate
            can only lower the log odds of the others.
        gallery_vessels: how many vessels were searched, at least 1.

    Returns:
        For each candidate, weight x evidence by name, and `none`: minus the bias and the gallery
        term of s_0. The third term of s_0, `none_log_sum x ln(sum of exp(score))`, is subtracted
        from the evidence of the pixels, which then tells how similar the candidate is compared with
        all candidates.
    """
    none = spec.none_bias + spec.none_log_gallery * math.log(max(gallery_vessels, 1))
    parts: list[dict[str, float]] = []
    for evidence in candidates:
        terms = evidence.terms()
        parts.append({name: weight * terms[name] for name, weight in spec.weights.items()})
    alike = spec.none_log_sum * _log_sum([sum(part.values()) for part in parts])
    for part in parts:
        part["none"] = -none
        part[next((name for name in PIXELS if name in part), "none")] -= alike
    return parts


def _log_sum(scores: Sequence[float]) -> float:
    """Return ln(sum of exp(score)); 0 without scores."""
    highest = max(scores, default=0.0)
    return highest + math.log(math.fsum(math.exp(score - highest) for score in scores) or 1.0)


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
