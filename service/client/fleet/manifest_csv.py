"""A CSV manifest as a fleet: one row for each chip, rows of one vessel share its id.

    chip,id,name,imo,mmsi,callsign,flag,type,length_m,beam_m,modality,gsd_m,band,captured_at,lat,lon,
    sensor,source,licence

Only `chip` (a path, from the manifest's folder) is needed on every row, and one of `id`, `imo`,
`mmsi`, `name`: the first that a row fills tells the vessel. An attribute need not be repeated on
every row of a vessel, but its rows must not contradict each other.
"""

from collections.abc import Collection
from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.csv_table import Line, read_table, vessel_attributes
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

VESSEL_KEYS = ("id", "imo", "mmsi", "name")
CHIP_TEXTS = ("modality", "captured_at", "sensor", "source", "licence")
CHIP_NUMBERS = ("gsd_m", "lat", "lon")
COLUMNS = ("chip", "id", *VESSEL_TEXTS, *VESSEL_NUMBERS, *CHIP_TEXTS, *CHIP_NUMBERS, "band")


def read_manifest(
    path: Path, modalities: Collection[Modality] | None = None, dataset: str | None = None
) -> Fleet:
    """Read a manifest.

    Args:
        path: the CSV file.
        modalities: keep the chips of these only; None keeps all.
        dataset: a name for the data set instead of the file's.

    Raises:
        SourceError: a column is unknown, a row is malformed or contradicts another, or a chip
            is missing; names the line.
    """
    table = read_table(path)
    if "chip" not in table.columns:
        raise SourceError(f"{path} has no column chip; known columns are {', '.join(COLUMNS)}")
    if strangers := table.strangers(COLUMNS):
        raise SourceError(
            f"{path}: unknown column {strangers[0]!r}; known are {', '.join(COLUMNS)}"
        )
    attributes: dict[str, dict[str, object]] = {}
    chips: dict[str, list[ChipFile]] = {}
    left_out = 0
    for line in table.lines:
        chip = _chip(line, path.parent)
        if modalities is not None and _modality(line, chip) not in modalities:
            left_out += 1
            continue
        key = _key(line)
        _agree(attributes.setdefault(key, {}), line)
        chips.setdefault(key, []).append(chip)
    if not chips:
        raise SourceError(f"{path} lists no chips to enrol")
    name = dataset or path.stem
    vessels = tuple(
        FleetVessel(key, vessel_id(name, key), attributes[key], tuple(chips[key])) for key in chips
    )
    notes = (f"{left_out} chips of the other modality are not enrolled",) if left_out else ()
    return Fleet(name, vessels, notes)


def _key(line: Line) -> str:
    """What tells this row's vessel; an id stands alone, other keys say what they are."""
    column = next((name for name in VESSEL_KEYS if name in line.cells), None)
    if column is None:
        raise SourceError(f"{line.place}: no vessel; fill one of {', '.join(VESSEL_KEYS)}")
    return line.cells[column] if column == "id" else f"{column} {line.cells[column]}"


def _chip(line: Line, folder: Path) -> ChipFile:
    if "chip" not in line.cells:
        raise SourceError(f"{line.place}: the column chip is empty")
    path = folder / line.cells["chip"]
    if not path.is_file():
        raise SourceError(f"{line.place}: there is no chip {path}")
    said: dict[str, object] = {n: line.cells[n] for n in CHIP_TEXTS if n in line.cells}
    numbers = {name: line.number(name) for name in CHIP_NUMBERS}
    said |= {name: value for name, value in numbers.items() if value is not None}
    if (band := line.number("band")) is not None:
        if not band.is_integer():
            raise SourceError(f"{line.place}: band is {band:g}; bands count 1, 2, 3 and so on")
        said["band"] = int(band)
    named = read_hoss_name(path.name)
    if "modality" not in said and named is not None:
        said["modality"] = named.modality.value
    return ChipFile(path, said)


def _modality(line: Line, chip: ChipFile) -> Modality:
    """Raises SourceError when the row does not tell."""
    text = chip.metadata.get("modality")
    try:
        return Modality(str(text))
    except ValueError as error:
        raise SourceError(
            f"{line.place}: modality is {text!r}; choosing chips by modality needs optical or sar"
        ) from error


def _agree(attributes: dict[str, object], line: Line) -> None:
    """Add what a row tells of its vessel.

    Raises:
        SourceError: another row told otherwise.
    """
    for name, value in vessel_attributes(line).items():
        known = attributes.setdefault(name, value)
        if known != value:
            raise SourceError(
                f"{line.place}: {name} is {value!r}, but an earlier row of this vessel says "
                f"{known!r}"
            )
