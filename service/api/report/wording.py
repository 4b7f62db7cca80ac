"""Verdicts, standings and probabilities in the words of a report."""

VERDICTS = {
    "confident": "confident, rely on the first vessel",
    "likely": "likely, one vessel holds most of the probability; an analyst looks once",
    "ambiguous": "ambiguous, an analyst must decide",
    "no_match": "no match, probably none of the registered vessels",
    "unclear": "unclear, the chip does not tell",
}
STANDINGS = {"open": "none yet", "confirmed": "confirmed", "rejected": "rejected"}


def percent(probability: float) -> str:
    """Return a probability in percent that never reads as certain."""
    if 0.0005 <= probability <= 0.9995:
        return f"{probability:.1%}"
    return "under 0.1%" if probability < 0.5 else "over 99.9%"
