"""Do two chips show one vessel?"""

import time
from dataclasses import dataclass

from service.contract.calibration import Evidence, probability
from service.contract.manifest import CalibrationSpec
from service.identity.errors import InvalidRequestError
from service.identity.kinematics import DEFAULT_MAX_SPEED_KN, check_kinematics
from service.identity.uploads import ChipUpload, EmbeddedUpload, UploadEmbedder
from service.identity.records.matches import KinematicsCheck
from service.identity.records.sightings import Sighting


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two chips weighed against each other; nothing is stored.

    Attributes:
        probability: calibrated, 0 to 1.
        similarity: cosine of the embeddings, -1 to 1.
        length_ratio: measured length of the first over the second.
        width_ratio: the same for the width.
    """

    probability: float
    similarity: float
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

    def verify(
        self,
        first: ChipUpload,
        second: ChipUpload,
        max_speed_kn: float = DEFAULT_MAX_SPEED_KN,
    ) -> Comparison:
        """Weigh two chips.

        Raises:
            ChipError: one of the chips cannot be used.
            InvalidRequestError: both are of one sensor and the bundle was not calibrated for that.
            OverloadedError: too many chips are waiting.
        """
        began = time.perf_counter()
        seen = [self._uploads.embed(upload) for upload in (first, second)]
        a, b = (self._uploads.sighting(s, vessel_id=None).sighting for s in seen)
        same_sensor = a.modality is b.modality
        weights = self._calibration.verify_same_sensor if same_sensor else self._calibration.verify
        if weights is None:
            raise InvalidRequestError(
                f"both chips are {a.modality.value}, and this bundle is calibrated for one optical "
                "and one SAR chip only"
            )
        evidence = Evidence(
            similarity=float(seen[0].vector @ seen[1].vector),
            length_ratio=a.length_m / b.length_m,
            width_ratio=a.width_m / b.width_m,
        )
        return Comparison(
            probability=probability(evidence, weights),
            similarity=evidence.similarity,
            length_ratio=evidence.length_ratio,
            width_ratio=evidence.width_ratio,
            kinematics=check_kinematics(
                (a.position, a.captured_at), (b.position, b.captured_at), max_speed_kn
            ),
            first=a,
            second=b,
            timings_ms=_sum_of_timings(seen) | {"total": (time.perf_counter() - began) * 1000.0},
        )


def _sum_of_timings(seen: list[EmbeddedUpload]) -> dict[str, float]:
    stages = {stage for one in seen for stage in one.timings_ms}
    return {stage: sum(one.timings_ms.get(stage, 0.0) for one in seen) for stage in sorted(stages)}
