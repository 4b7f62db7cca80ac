"""Verdicts, standings and evidence in the words of a report."""

import math
from collections.abc import Mapping

from service.identity.evidence.terms import SUBJECTS

VERDICTS = {
    "confident": "confident, rely on the first vessel",
    "likely": "likely, one vessel holds most of the probability; an analyst looks once",
    "ambiguous": "ambiguous, an analyst must decide",
    "no_match": "no match, probably none of the registered vessels",
    "unclear": "unclear, the chip does not tell",
}
STANDINGS = {"open": "none yet", "confirmed": "confirmed", "rejected": "rejected"}
TERMS = SUBJECTS | {"none": "starting odds"}
NO_EFFECT = 0.05
"""Terms of less than this, as a natural logarithm, change the odds by less than 5 %."""


def evidence_words(evidence: Mapping[str, float]) -> list[str]:
    """Return the evidence of a record without terms in words, e.g. `pixels: for it, ×12`.

    Args:
        evidence: what each term adds to ln(probability / none_probability).
    """
    return [
        f"{TERMS.get(name, name.replace('_', ' '))}: {_effect(value)}"
        for name, value in evidence.items()
    ]


def percent(probability: float) -> str:
    """Return a probability in percent that never reads as certain."""
    if 0.0005 <= probability <= 0.9995:
        return f"{probability:.1%}"
    return "under 0.1%" if probability < 0.5 else "over 99.9%"


def _effect(value: float) -> str:
    if abs(value) < NO_EFFECT:
        return "no effect"
    factor = _factor(math.exp(min(abs(value), 700.0)))
    return f"for it, ×{factor}" if value > 0 else f"against it, ÷{factor}"


def _factor(factor: float) -> str:
    if factor >= 1e6:
        return "over 1,000,000"
    return f"{factor:,.0f}" if factor >= 10 else f"{factor:.1f}"
