"""Read a fleet from a CSV manifest: one row for each chip, rows of one vessel share its id.

    chip,id,name,imo,mmsi,callsign,flag,type,length_m,beam_m,modality,gsd_m,band,framing,
    captured_at,lat,lon,sensor,source,licence,case,note

Every row needs `chip` (a path relative to the manifest's folder) and one of `id`, `imo`, `mmsi`,
`name`: the first of these that is filled identifies the vessel. An attribute need not be repeated
on every row of a vessel, but its rows must not contradict each other.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.csv_table import Row, chip_fields, read_chip_table, vessel_attributes
from service.client.fleet.vessels import (
    VESSEL_NUMBERS,
    VESSEL_TEXTS,
    ChipFile,
    Fleet,
    FleetVessel,
    vessel_id,
)
from service.contract.chip import Modality
from service.contract.hoss_names import read_hoss_name
from service.contract.utc_time import parse_iso, require_time_of_picture
from service.identity.records.identifiers import means_unknown, normalise_imo, normalise_mmsi

VESSEL_KEYS = ("id", "imo", "mmsi", "name")
NORMALISED = {"imo": normalise_imo, "mmsi": normalise_mmsi}
CHIP_TEXTS = ("modality", "framing", "captured_at", "sensor", "source", "licence", "case", "note")
CHIP_NUMBERS = ("gsd_m", "lat", "lon")
COLUMNS = ("chip", "id", *VESSEL_TEXTS, *VESSEL_NUMBERS, *CHIP_TEXTS, *CHIP_NUMBERS, "band")


def read_manifest(
    path: Path, modalities: Collection[Modality] | None = None, dataset: str | None = None
) -> Fleet:
    """Read a manifest.

    Args:
        modalities: keep only chips of these; None: keep all.
        dataset: name of the data set; None: the file's name.

    Raises:
        SourceError: a column is unknown, a row is malformed or contradicts another, or a chip
            is missing; names the line.
    """
    table = read_chip_table(path, COLUMNS)
    attributes: dict[str, dict[str, object]] = {}
    chips: dict[str, list[ChipFile]] = {}
    skipped = 0
    for row in map(_in_one_form, table.rows):
        chip = _chip(row, path.parent)
        if modalities is not None and _modality(row, chip) not in modalities:
            skipped += 1
            continue
        key = _key(row)
        _merge_attributes(attributes.setdefault(key, {}), row)
        chips.setdefault(key, []).append(chip)
    if not chips:
        raise SourceError(f"{path} lists no chips to enrol")
    name = dataset or path.stem
    vessels = tuple(
        FleetVessel(key, vessel_id(name, key), attributes[key], tuple(chips[key])) for key in chips
    )
    notes = _ids_alike(chips)
    if skipped:
        notes.append(f"{skipped} chips of the other modality are not enrolled")
    return Fleet(name, vessels, tuple(notes))


def _ids_alike(keys: Collection[str]) -> list[str]:
    """Return a note for each id or name that stands in two forms: 7 and 7.0, or in other case.

    Both stay vessels of their own, so that a manifest which was enrolled before keeps its vessels.
    """
    first: dict[str, str] = {}
    forms = [(re.sub(r"\.0+$", "", key).casefold(), key) for key in keys]
    return [
        f"{other!r} and {key!r} are two vessels; write one of them if they mean one ship"
        for form, key in forms
        if (other := first.setdefault(form, key)) != key
    ]


def _in_one_form(row: Row) -> Row:
    """Write the numbers of the vessel in one form, so that equal ones compare as equal."""
    cells = dict(row.cells)
    for column, normalise in NORMALISED.items():
        if column in cells and not means_unknown(cells[column]):
            try:
                cells[column] = normalise(cells[column])
            except ValueError as error:
                raise SourceError(f"{row.location}: {error}") from error
    return replace(row, cells=cells)


def _key(row: Row) -> str:
    """Return the key of the row's vessel: the id alone, other keys after their column's name."""
    column = next((name for name in VESSEL_KEYS if name in row.cells), None)
    if column is None:
        raise SourceError(f"{row.location}: no vessel; fill one of {', '.join(VESSEL_KEYS)}")
    key = " ".join(row.cells[column].split())
    if means_unknown(key):  # as a key, it would make one vessel of all that are unknown
        raise SourceError(
            f"{row.location}: {column} is {key!r}, which names no vessel; leave the cell empty "
            "when it is unknown"
        )
    return key if column == "id" else f"{column} {key}"


def _chip(row: Row, folder: Path) -> ChipFile:
    named = row.required("chip")
    # File systems may hold either form, and tables may come from Windows.
    names = (named, unicodedata.normalize("NFD", named), named.replace("\\", "/"))
    try:
        path = next((folder / name for name in names if (folder / name).is_file()), None)
    except OSError as error:
        raise SourceError(f"{row.location}: the chip cannot be read: {error}") from error
    if path is None:
        raise SourceError(f"{row.location}: there is no chip {folder / named}")
    metadata = chip_fields(row, CHIP_TEXTS, CHIP_NUMBERS)
    if "captured_at" in row.cells:
        try:
            require_time_of_picture(parse_iso(row.cells["captured_at"]))
        except ValueError as error:
            raise SourceError(f"{row.location}: captured_at: {error}") from error
    name = read_hoss_name(path.name)
    if "modality" not in metadata and name is not None:
        metadata["modality"] = name.modality.value
    return ChipFile(path, metadata)


def _modality(row: Row, chip: ChipFile) -> Modality:
    """Return the modality; raise SourceError if neither row nor file name gives it."""
    text = chip.metadata.get("modality")
    try:
        return Modality(str(text))
    except ValueError as error:
        raise SourceError(
            f"{row.location}: modality is {text!r}; choosing chips by modality needs optical or sar"
        ) from error


def _merge_attributes(attributes: dict[str, object], row: Row) -> None:
    """Add a row's attributes; raise SourceError if an earlier row has another value."""
    for name, value in vessel_attributes(row).items():
        value = " ".join(value.split()) if isinstance(value, str) else value
        known = attributes.setdefault(name, value)
        if known != value:
            raise SourceError(
                f"{row.location}: {name} is {value!r}, but an earlier row of this vessel says "
                f"{known!r}"
            )
