"""Estimate whether two chips show the same vessel."""

import time
from dataclasses import dataclass

from service.contract.calibration import FITTED_PRIOR
from service.contract.weighing.specs import CalibrationSpec
from service.identity.errors import InvalidRequestError
from service.identity.evidence.both_ways import half_turns_for
from service.identity.evidence.copies import is_copy
from service.identity.evidence.kinematics import DEFAULT_MAX_SPEED_KN, check_kinematics
from service.identity.evidence.pairs import pair_probability, pair_similarity
from service.identity.records.matches import KinematicsCheck
from service.identity.records.sightings import Sighting, WayRound
from service.identity.uploads import ChipUpload, EmbeddedUpload, UploadEmbedder, sum_of_timings

COPIES = "both chips are the same picture, which is no evidence for one ship"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The comparison of two chips, which are not stored.

    Attributes:
        probability: calibrated, 0 to 1.
        prior: the probability before the comparison, 0 to 1.
        similarity: cosine of the embeddings, -1 to 1.
        way: the way round in which they are more similar; None if both chips were used as sent.
        length_ratio: measured length of the first over the second.
        width_ratio: measured width of the first over the second.
    """

    probability: float
    prior: float
    similarity: float
    way: WayRound | None
    length_ratio: float
    width_ratio: float
    kinematics: KinematicsCheck | None
    first: Sighting
    second: Sighting
    timings_ms: dict[str, float]


class Verifier:
    """The use case behind `POST /verify`."""

    def __init__(self, uploads: UploadEmbedder, calibration: CalibrationSpec) -> None:
        self._uploads = uploads
        self._calibration = calibration
        self._half_turns = half_turns_for(calibration)

    def verify(
        self,
        first: ChipUpload,
        second: ChipUpload,
        max_speed_kn: float = DEFAULT_MAX_SPEED_KN,
        prior: float = FITTED_PRIOR,
    ) -> Comparison:
        """Compare two chips, of which one vessel is believed with the probability `prior`.

        Raises:
            ChipError: one of the chips cannot be used.
            InvalidRequestError: both chips are of the same sensor type, for which the bundle is not
                calibrated.
            OverloadedError: too many chips are waiting.
        """
        began = time.perf_counter()
        chips = [self._uploads.embed(upload, self._half_turns) for upload in (first, second)]
        a, b = (self._uploads.sighting(chip, vessel_id=None).sighting for chip in chips)
        straight, back = _cosines(chips[0], chips[1])
        if is_copy(a, b, straight):
            a, b = a.with_warnings((COPIES,)), b.with_warnings((COPIES,))
        similarity, way = pair_similarity(a, b, straight, back, self._calibration)
        found = pair_probability(a, b, similarity, prior, self._calibration)
        if found is None:
            raise InvalidRequestError(
                f"both chips are {a.modality.value}, and this bundle is calibrated for one optical "
                "and one SAR chip only"
            )
        return Comparison(
            probability=found,
            prior=prior,
            similarity=similarity,
            way=way,
            length_ratio=a.length_m / b.length_m,
            width_ratio=a.width_m / b.width_m,
            kinematics=check_kinematics(a.fix, b.fix, max_speed_kn),
            first=a,
            second=b,
            timings_ms=sum_of_timings(chips) | {"total": (time.perf_counter() - began) * 1000.0},
        )


def _cosines(first: EmbeddedUpload, second: EmbeddedUpload) -> tuple[float, float | None]:
    """Compare two chips, both ways round if one of them was embedded so."""
    straight = min(float(first.vector @ second.vector), 1.0)
    if first.half_turned is not None:
        return straight, float(first.half_turned @ second.vector)
    if second.half_turned is not None:
        return straight, float(first.vector @ second.half_turned)
    return straight, None
