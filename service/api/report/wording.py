"""Verdicts, standings, probabilities and checks in the words of a report."""

from collections.abc import Sequence

from service.identity.records.matches import Checks, EvidenceTerm, KinematicsCheck, LengthCheck

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


def check_words(checks: Checks) -> list[str]:
    """Say what each check found, and up to which limit."""
    sizes = {"length": checks.length, "beam": checks.width}
    words = [_size(name, found) for name, found in sizes.items() if found is not None]
    return words if checks.kinematics is None else [*words, _voyage(checks.kinematics)]


def term_words(terms: Sequence[EvidenceTerm]) -> list[str]:
    """Say what each kind of evidence says, and in one line which say nothing."""
    silent = [one.subject for one in terms if one.words.endswith("nothing")]
    telling = [one.words for one in terms if not one.words.endswith("nothing")]
    return [*telling, f"says nothing: {', '.join(silent)}"] if silent else telling


def _size(name: str, found: LengthCheck) -> str:
    fits = "fits within" if found.ok else "differs by more than"
    return (
        f"{name} {fits} {found.tolerance:.0%}: about {found.query_m:.0f} m by the chip, "
        f"{found.vessel_m:.0f} m registered"
    )


def _voyage(trip: KinematicsCheck) -> str:
    possible = "possible" if trip.feasible else "impossible"
    speed = "" if trip.required_kn is None else f" needs {trip.required_kn:.1f} kn"
    return (
        f"voyage {possible}: {trip.distance_nm:.0f} nm in {trip.hours:.1f} h{speed}; up to "
        f"{trip.max_speed_kn:.0f} kn, and {trip.slack_nm:.0f} nm of error, count as possible"
    )
