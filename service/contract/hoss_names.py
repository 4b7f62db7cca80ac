"""The file names of HOSS ReID, which contain the ship's number and the sensor.

A file is named `<id>_<anything>_{RGB,SAR}.tif`, e.g. `0001_s05c1_RGB.tif`. PNG and JPEG are named
alike. Id -1 is a distractor, a ship of unknown identity.

A folder may say of each file how many metres its pixels measure (`stated_gsd`).

Source: HOSS ReID (arXiv 2506.22027) and the dataset readers of TransOSS and MOS.
"""

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from service.contract.chip import Modality

DISTRACTOR_ID = -1
TRAIN_FOLDER, QUERY_FOLDER, GALLERY_FOLDER = "bounding_box_train", "query", "bounding_box_test"
PROVENANCE_FILE = "provenance.csv"
NAMING_RULE = "<id>_<anything>_RGB.tif or <id>_<anything>_SAR.tif with a whole number as id"

_SUFFIX_MODALITY = {"RGB": Modality.OPTICAL, "SAR": Modality.SAR}
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+")
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

    Commas, semicolons or tabs separate the cells; with the latter two, numbers may have decimal
    commas. A file may be named with its folder.

    Args:
        root: the folder; without `provenance.csv`, or without these columns, nothing is stated.

    Raises:
        ProvenanceError: the table is no CSV in UTF-8, or a line states no positive number, or
            another one than an earlier line of the same file.
        OSError: the table cannot be read.
    """
    path = root / PROVENANCE_FILE
    if not path.is_file():
        return {}
    stated: dict[str, float] = {}
    try:
        # What a spreadsheet saved may begin with a byte order mark and have other separators.
        lines = path.read_text(encoding="utf-8-sig").splitlines() or [""]
        separator = "," if "," in lines[0] else max(";\t", key=lines[0].count)
        table = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
        columns = [name.strip().lower() for name in next(table)]
        if not {"file", "gsd_m"} <= set(columns):
            return {}
        for cells in filter(any, table):
            row = dict(zip(columns, cells, strict=False))
            name = row.get("file", "").replace("\\", "/").rpartition("/")[2].strip()
            gsd_m = _metres(row.get("gsd_m", ""), decimal_comma=separator != ",")
            if gsd_m is None or stated.setdefault(name, gsd_m) != gsd_m:
                raise ProvenanceError(
                    f"{path}:{table.line_num}: gsd_m is {row.get('gsd_m')!r}, not metres per "
                    "pixel, or another value than in an earlier line of this file"
                )
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProvenanceError(
            f"{path} cannot be read as CSV in UTF-8 ({error}); save it as CSV UTF-8"
        ) from error
    return stated


def _metres(text: str, decimal_comma: bool) -> float | None:
    """Return a positive number; None for other texts."""
    if decimal_comma and "." not in text:
        text = text.replace(",", ".")
    return float(text) if _NUMBER.fullmatch(text.strip()) and float(text) > 0 else None
