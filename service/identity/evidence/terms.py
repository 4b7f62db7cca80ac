"""State each term of a candidate's evidence as a likelihood ratio and in plain words."""

import math
from collections.abc import Mapping

from service.contract.weighing.context import IMPOSSIBLE
from service.contract.weighing.specs import ChoiceSpec
from service.identity.records.matches import Checks, EvidenceTerm, KinematicsCheck

SUBJECTS = {
    "similarity": "pixels",
    "similarity_z": "pixels",
    "length_log_ratio": "length",
    "width_log_ratio": "width",
    "register_length": "registered length",
    "register_width": "registered beam",
    "type": "vessel type",
    "voyage": "voyage",
    "none": "before the chip was seen",
}
NO_EFFECT = math.log(1.05)
LARGEST = 1000.0
"""Factors above this are written as `over 1000`."""


def evidence_terms(
    evidence: Mapping[str, float], weights: ChoiceSpec, checks: Checks
) -> tuple[EvidenceTerm, ...]:
    """Return each term with its likelihood ratio; the ratios multiply to the odds against none.

    Args:
        evidence: what each term adds to ln(probability / none_probability).
    """
    centres = {str(name): value for name, value in weights.centres.items()}
    rest = sum(centre for name, centre in centres.items() if name in evidence)
    terms = []
    for name, value in evidence.items():
        log_ratio = value + centres.get(name, 0.0) - (rest if name == "none" else 0.0)
        terms.append(
            EvidenceTerm(
                name=name,
                subject=SUBJECTS.get(name, name.replace("_", " ")),
                factor=math.exp(log_ratio),
                words=_words(name, log_ratio, checks),
            )
        )
    return tuple(terms)


def effect(log_ratio: float) -> str:
    """Say how strongly a term speaks for or against a vessel, e.g. `speaks for it ×12`."""
    if abs(log_ratio) < NO_EFFECT:
        return "says nothing"
    sign = "speaks for it ×" if log_ratio > 0 else "speaks against it ÷"
    return sign + factor(abs(log_ratio))


def factor(log_ratio: float) -> str:
    """Write e to the power of `log_ratio` with two significant digits, or `over 1000`."""
    if log_ratio > math.log(LARGEST):
        return f"over {LARGEST:.0f}"
    value = math.exp(log_ratio)
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def voyage_words(trip: KinematicsCheck) -> str:
    """Say how far, how long and how fast the voyage to the query would have been."""
    words = f"{trip.distance_nm:.0f} nm in {trip.hours:.1f} h"
    if trip.required_kn is not None:
        words += f" needs {trip.required_kn:.0f} kn"
    return words


def _words(name: str, log_ratio: float, checks: Checks) -> str:
    subject = SUBJECTS.get(name, name.replace("_", " "))
    trip = checks.kinematics
    if name == "voyage" and trip is not None:
        if log_ratio <= IMPOSSIBLE:
            return f"voyage impossible: {voyage_words(trip)}, at most {trip.max_speed_kn:.0f} kn"
        usual = "" if trip.usual_kn is None else f", usual {trip.usual_kn:.0f} kn"
        return f"voyage ({voyage_words(trip)}{usual}) {effect(log_ratio)}"
    size = {"register_length": checks.length, "register_width": checks.width}.get(name)
    if size is not None:
        measured = f"about {size.query_m:.0f} m by the chip, registered {size.vessel_m:.0f} m"
        return f"{subject} ({measured}) {effect(log_ratio)}"
    if name == "none":
        return f"{subject}, one of all vessels compared: ÷{factor(-log_ratio)}"
    return f"{subject} {effect(log_ratio)}".replace("pixels speaks", "pixels speak").replace(
        "pixels says", "pixels say"
    )
