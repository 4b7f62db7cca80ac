"""The file-name convention of HOSS ReID: which ship a chip shows, and by which sensor.

A file is named `<id>_<anything>_{RGB,SAR}.tif`: `0001_s05c1_RGB.tif` (sequence 5, camera 1) as well
as `0001_c1s5_000151_00_SAR.tif` (camera 1, sequence 5). PNG and JPEG are named alike. Id -1 is a
distractor, a ship nobody knows.

Source: HOSS ReID (arXiv 2506.22027) and the dataset readers of TransOSS and MOS.
"""

import re
from dataclasses import dataclass

from service.contract.chip import Modality

DISTRACTOR_ID = -1
TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER = "bounding_box_train", "query", "bounding_box_test"
NAMING_RULE = "<id>_<anything>_RGB.tif or <id>_<anything>_SAR.tif with a whole number as id"

_SUFFIX_MODALITY = {"RGB": Modality.OPTICAL, "SAR": Modality.SAR}
_CHIP_NAME = re.compile(
    r"(?P<id>-1|[0-9]+)_(?:(?P<view>.+)_)?(?P<sensor>RGB|SAR)\.(?i:tiff?|png|jpe?g)"
)
_SEQUENCE = re.compile(r"s([0-9]+)", re.IGNORECASE)
_CAMERA = re.compile(r"c([0-9]+)", re.IGNORECASE)


class HossNameError(ValueError):
    """A file is not named as HOSS chips are; the message names it."""


@dataclass(frozen=True, slots=True)
class HossName:
    """What a chip's file name says.

    Attributes:
        vessel_id: the ship's number in the data set, or `DISTRACTOR_ID`.
        modality: the sensor's physics.
        sequence: number of the sequence, where the name tells it.
        camera: number of the camera, where the name tells it.
    """

    vessel_id: int
    modality: Modality
    sequence: int | None = None
    camera: int | None = None

    @property
    def is_distractor(self) -> bool:
        return self.vessel_id == DISTRACTOR_ID


def read_hoss_name(name: str) -> HossName | None:
    """What a file name (without its folder) says, or None when it is no chip's name."""
    match = _CHIP_NAME.fullmatch(name)
    if match is None:
        return None
    view = match["view"] or ""
    sequence, camera = _SEQUENCE.search(view), _CAMERA.search(view)
    return HossName(
        vessel_id=int(match["id"]),
        modality=_SUFFIX_MODALITY[match["sensor"]],
        sequence=int(sequence[1]) if sequence else None,
        camera=int(camera[1]) if camera else None,
    )


def require_hoss_name(name: str) -> HossName:
    """What a file name says.

    Raises:
        HossNameError: it is no chip's name.
    """
    said = read_hoss_name(name)
    if said is None:
        raise HossNameError(f"{name} is not named as HOSS chips are; expected {NAMING_RULE}")
    return said
