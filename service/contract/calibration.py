"""Evidence -> probability that two sightings show one vessel."""

import math
from dataclasses import dataclass

from service.contract.manifest import EvidenceName, LogisticSpec


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one candidate pair before it is weighed.

    Attributes:
        similarity: cosine of the two embeddings, -1 to 1.
        length_ratio: measured length of the query over that of the candidate chip, positive.
        width_ratio: the same for the width.
        margin: similarity minus that of the best other vessel; 0 for a lone pair.
        gallery_vessels: number of vessels searched; 1 for a lone pair.

    Raises:
        ValueError: a number is not finite, or a ratio is not positive; no probability would be
            right for it.
    """

    similarity: float
    length_ratio: float
    width_ratio: float
    margin: float = 0.0
    gallery_vessels: int = 1

    def __post_init__(self) -> None:
        finite = all(map(math.isfinite, (self.similarity, self.margin)))
        ratios = all(0 < ratio < math.inf for ratio in (self.length_ratio, self.width_ratio))
        if not (finite and ratios):
            raise ValueError(f"evidence must be finite with positive ratios, got {self}")

    def terms(self) -> dict[EvidenceName, float]:
        """The evidence as the calibration weighs it; ratios as absolute logarithms."""
        return {
            "similarity": self.similarity,
            "length_log_ratio": abs(math.log(self.length_ratio)),
            "width_log_ratio": abs(math.log(self.width_ratio)),
            "margin": self.margin,
            "log_gallery_vessels": math.log(max(self.gallery_vessels, 1)),
        }


def probability(evidence: Evidence, spec: LogisticSpec) -> float:
    """Calibrated probability, 0 to 1: `sigmoid(bias + sum(weight x term))`."""
    terms = evidence.terms()
    logit = spec.bias + sum(weight * terms[name] for name, weight in spec.weights.items())
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    return math.exp(logit) / (1.0 + math.exp(logit))
