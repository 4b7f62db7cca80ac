"""Evidence about two sightings, and the probability that a lone pair shows one vessel."""

import math
from dataclasses import dataclass

from service.contract.manifest import EvidenceName, LogisticSpec

MAX_SIMILARITY = 0.995


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one candidate pair before it is weighed.

    Attributes:
        similarity: cosine of the two embeddings, -1 to 1.
        length_ratio: measured length of the query over that of the candidate chip, positive.
        width_ratio: the same for the width.

    Raises:
        ValueError: a number is not finite, or a ratio is not positive; no probability would be
            right for it.
    """

    similarity: float
    length_ratio: float
    width_ratio: float

    def __post_init__(self) -> None:
        ratios = all(0 < ratio < math.inf for ratio in (self.length_ratio, self.width_ratio))
        if not (math.isfinite(self.similarity) and ratios):
            raise ValueError(f"evidence must be finite with positive ratios, got {self}")

    def terms(self) -> dict[EvidenceName, float]:
        """The evidence as the calibration weighs it; ratios as absolute logarithms."""
        return {
            "similarity": self.similarity,
            "similarity_z": fisher_z(self.similarity),
            "length_log_ratio": abs(math.log(self.length_ratio)),
            "width_log_ratio": abs(math.log(self.width_ratio)),
        }


def fisher_z(similarity: float) -> float:
    """artanh of the similarity: near 1 a small difference says more than near 0.

    Fisher's transform (1915) of a correlation, which a cosine is, evens out its spread. It is
    bounded at `MAX_SIMILARITY`, beyond which two chips are as good as one.
    """
    return math.atanh(min(max(similarity, -MAX_SIMILARITY), MAX_SIMILARITY))


def probability(evidence: Evidence, spec: LogisticSpec) -> float:
    """Calibrated probability, 0 to 1: `sigmoid(bias + sum(weight x term))`."""
    terms = evidence.terms()
    logit = spec.bias + sum(weight * terms[name] for name, weight in spec.weights.items())
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    return math.exp(logit) / (1.0 + math.exp(logit))
