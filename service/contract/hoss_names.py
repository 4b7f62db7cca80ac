"""The file names of HOSS ReID, which contain the ship's number and the sensor.

A file is named `<id>_<anything>_{RGB,SAR}.tif`, e.g. `0001_s05c1_RGB.tif`. PNG and JPEG are named
alike. Id -1 is a distractor, a ship of unknown identity.

A folder may say of each file how many metres its pixels measure (`stated_gsd`).

Source: HOSS ReID (arXiv 2506.22027) and the dataset readers of TransOSS and MOS.
"""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from service.contract.chip import Modality

DISTRACTOR_ID = -1
TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER = "bounding_box_train", "query", "bounding_box_test"
PROVENANCE_FILE = "provenance.csv"
NAMING_RULE = "<id>_<anything>_RGB.tif or <id>_<anything>_SAR.tif with a whole number as id"

_SUFFIX_MODALITY = {"RGB": Modality.OPTICAL, "SAR": Modality.SAR}
_CHIP_NAME = re.compile(r"(?P<id>-1|[0-9]+)_(?:.+_)?(?P<sensor>RGB|SAR)\.(?i:tiff?|png|jpe?g)")


class ProvenanceError(ValueError):
    """The table beside the chips cannot be used; the message names file and line."""


@dataclass(frozen=True, slots=True)
class HossName:
    """The content of a chip's file name.

    Attributes:
        vessel_id: the ship's number in the data set, or `DISTRACTOR_ID`.
    """

    vessel_id: int
    modality: Modality

    @property
    def is_distractor(self) -> bool:
        """Whether the ship is a distractor."""
        return self.vessel_id == DISTRACTOR_ID


def read_hoss_name(name: str) -> HossName | None:
    """Parse a file name without its folder; return None if it is not the name of a chip."""
    match = _CHIP_NAME.fullmatch(name)
    if match is None:
        return None
    return HossName(int(match["id"]), _SUFFIX_MODALITY[match["sensor"]])


def stated_gsd(root: Path) -> dict[str, float]:
    """Return metres per pixel by file name, as the columns `file` and `gsd_m` of a folder's table.

    Args:
        root: the folder; without `provenance.csv`, or without these columns, nothing is stated.

    Raises:
        ProvenanceError: a line states no positive number.
        OSError: the table cannot be read.
    """
    path = root / PROVENANCE_FILE
    if not path.is_file():
        return {}
    stated = {}
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        if not {"file", "gsd_m"} <= set(table.fieldnames or ()):
            return {}
        for row in table:
            try:
                gsd_m = float(row["gsd_m"])
            except (TypeError, ValueError):
                gsd_m = math.nan
            if not (math.isfinite(gsd_m) and gsd_m > 0):
                raise ProvenanceError(
                    f"{path}:{table.line_num}: gsd_m is {row['gsd_m']!r}, not metres per pixel"
                )
            stated[row["file"]] = gsd_m
    return stated
