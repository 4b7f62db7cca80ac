"""Evidence about two sightings, and the probability that a lone pair shows one vessel."""

import math
from dataclasses import dataclass

from service.contract.weighing.specs import EvidenceName, LogisticSpec

MAX_SIMILARITY = 0.995


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about a pair of sightings.

    Attributes:
        similarity: cosine of the two embeddings, -1 to 1.
        length_ratio: measured length of the query over that of the candidate chip, positive.
        width_ratio: measured width of the query over that of the candidate chip, positive.

    Raises:
        ValueError: a number is not finite, or a ratio is not positive.
    """

    similarity: float
    length_ratio: float
    width_ratio: float

    def __post_init__(self) -> None:
        valid_ratios = 0 < self.length_ratio < math.inf and 0 < self.width_ratio < math.inf
        if not (math.isfinite(self.similarity) and valid_ratios):
            raise ValueError(f"evidence must be finite with positive ratios, got {self}")

    def terms(self) -> dict[EvidenceName, float]:
        """Return the terms that the calibration weighs; ratios as absolute logarithms."""
        return {
            "similarity": self.similarity,
            "similarity_z": fisher_z(self.similarity),
            "length_log_ratio": abs(math.log(self.length_ratio)),
            "width_log_ratio": abs(math.log(self.width_ratio)),
        }


def fisher_z(similarity: float) -> float:
    """Return artanh of the similarity, clipped to ±`MAX_SIMILARITY`.

    Fisher's transform (1915) of a correlation, which a cosine is, makes its variance nearly
    constant. Chips that are more similar than `MAX_SIMILARITY` count as equally similar.
    """
    return math.atanh(min(max(similarity, -MAX_SIMILARITY), MAX_SIMILARITY))


FITTED_PRIOR = 0.5
"""Half of the pairs that the logistic is fitted on show one vessel."""


def probability(evidence: Evidence, spec: LogisticSpec, prior: float = FITTED_PRIOR) -> float:
    """Return the calibrated probability that a pair shows one vessel, 0 to 1.

    It is `sigmoid(bias + sum(weight x term) + logit(prior))`. The logistic is fitted on equally
    many pairs of one vessel and of two, so its logit is the logarithm of the likelihood ratio, to
    which Bayes' theorem adds the log odds of the prior.

    Args:
        prior: probability that such a pair shows one vessel, before the chips are compared; above
            0 and below 1.
    """
    terms = evidence.terms()
    logit = spec.bias + sum(weight * terms[name] for name, weight in spec.weights.items())
    logit += math.log(prior / (1.0 - prior))
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    return math.exp(logit) / (1.0 + math.exp(logit))
