"""The evidence that two chips show one vessel, and its probability."""

from service.contract.calibration import Evidence, probability
from service.contract.candidate_probabilities import contributions
from service.contract.framing.half_turn import better_way
from service.contract.weighing.specs import CalibrationSpec
from service.identity.evidence.both_ways import bow_is_open
from service.identity.records.sightings import Sighting, WayRound


def pair_similarity(
    first: Sighting,
    second: Sighting,
    straight: float,
    back: float | None,
    calibration: CalibrationSpec,
) -> tuple[float, WayRound | None]:
    """Return the similarity of two chips in the way round in which they are more similar.

    Args:
        straight: cosine of their embeddings, -1 to 1.
        back: cosine after one of them was turned by 180 degrees; None if neither was.
    """
    if back is None:
        return straight, None
    is_open = bow_is_open(first) or bow_is_open(second)
    preference = 0.0 if is_open else calibration.bow_preference or 0.0
    slope = calibration.certainty_slope
    better = better_way([straight], [back], slope or 0.0, preference)
    certainty = None if slope is None else float(better.certainty[0])
    way = WayRound(half_turned=bool(better.turned[0]), certainty=certainty)
    return float(better.similarity[0]), way


def pair_probability(
    first: Sighting, second: Sighting, similarity: float, prior: float, calibration: CalibrationSpec
) -> float | None:
    """Return the calibrated probability that two chips show one vessel.

    Args:
        similarity: see `pair_similarity`.
        prior: the probability before the chips were compared, 0 to 1.

    Returns:
        The probability, 0 to 1; None if the bundle is not calibrated for two chips of one sensor
        type, and these are.
    """
    calibration = _for_pair(first, second, calibration)
    same_sensor = first.modality is second.modality
    weights = calibration.verify_same_sensor if same_sensor else calibration.verify
    if weights is None:
        return None
    return probability(evidence_of(first, second, similarity), weights, prior)


def pair_log_odds(
    first: Sighting, second: Sighting, similarity: float, ships: int, calibration: CalibrationSpec
) -> float | None:
    """Return ln of the odds that a chip shows the ship of another one, against none of the ships.

    Args:
        second: the most similar chip of one of the ships.
        similarity: see `pair_similarity`.
        ships: with how many ships the chip was compared.

    Returns:
        The log odds; None as for `pair_probability`.
    """
    calibration = _for_pair(first, second, calibration)
    same_sensor = first.modality is second.modality
    weights = calibration.match_same_sensor if same_sensor else calibration.match
    if weights is None:
        return None
    (parts,) = contributions([evidence_of(first, second, similarity)], weights, ships)
    return sum(parts.values())


def _for_pair(first: Sighting, second: Sighting, calibration: CalibrationSpec) -> CalibrationSpec:
    """Return the calibration of a pair; its coarser chip counts as the query."""
    return calibration.for_query(
        both_ways=bow_is_open(first) or bow_is_open(second), gsd_m=max(first.gsd_m, second.gsd_m)
    )


def evidence_of(first: Sighting, second: Sighting, similarity: float) -> Evidence:
    """Return the cosine of two chips, and the sizes of the first over those of the second."""
    return Evidence(
        similarity=similarity,
        length_ratio=first.length_m / second.length_m,
        width_ratio=first.width_m / second.width_m,
    )
