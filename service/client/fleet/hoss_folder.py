"""A folder in HOSS layout as a fleet to register and chips to ask about."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from service.client.errors import SourceError
from service.client.fleet.csv_table import read_table, vessel_attributes
from service.client.fleet.vessels import (
    VESSEL_NUMBERS,
    VESSEL_TEXTS,
    ChipFile,
    Fleet,
    FleetVessel,
    vessel_id,
)
from service.contract.chip import Modality
from service.contract.hoss_names import (
    GALLERY_FOLDER,
    NAMING_RULE,
    QUERY_FOLDER,
    TRAIN_FOLDER,
    HossName,
    read_hoss_name,
)

PARTS = (TRAIN_FOLDER, GALLERY_FOLDER, QUERY_FOLDER)
VESSELS_CSV = "vessels.csv"
PICTURE_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg"})


@dataclass(frozen=True, slots=True)
class NamedChip:
    """A chip file and what its name says."""

    path: Path
    said: HossName

    @property
    def key(self) -> str:
        """The vessel's number as the data set's keys write it: without leading zeros."""
        return str(self.said.vessel_id)


@dataclass(frozen=True, slots=True)
class HossFolder:
    """What lies in a folder in HOSS layout.

    Attributes:
        dataset: the folder's name, or its parent's when the folder is one of the parts.
        chips: by part and file name.
        attributes: what `vessels.csv` tells, by vessel key.
        notes: what was left aside and why.
    """

    dataset: str
    chips: tuple[NamedChip, ...]
    attributes: dict[str, dict[str, object]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def fleet(self, modalities: Collection[Modality], gsd_m: float | None = None) -> Fleet:
        """The vessels to register, with their chips of these modalities; no distractors.

        A vessel that `vessels.csv` does not name is called after the data set and its number.

        Raises:
            SourceError: there is no such chip.
        """
        wanted: dict[str, list[ChipFile]] = {}
        distractors = 0
        for chip in self.chips:
            if chip.said.modality not in modalities:
                continue
            if chip.said.is_distractor:
                distractors += 1
                continue
            said: dict[str, object] = {"modality": chip.said.modality.value, "source": self.dataset}
            if gsd_m is not None:
                said["gsd_m"] = gsd_m
            wanted.setdefault(chip.key, []).append(ChipFile(chip.path, said))
        if not wanted:
            names = " or ".join(sorted(modality.value for modality in modalities))
            raise SourceError(f"{self.dataset} holds no {names} chips of identified vessels")
        notes = list(self.notes)
        if distractors:
            notes.append(f"{distractors} distractor chips (id -1) are not enrolled")
        vessels = tuple(self._vessel(key, tuple(chips)) for key, chips in wanted.items())
        return Fleet(self.dataset, vessels, tuple(notes))

    def _vessel(self, key: str, chips: tuple[ChipFile, ...]) -> FleetVessel:
        attributes = {"name": f"{self.dataset} {int(key):04d}"} | self.attributes.get(key, {})
        return FleetVessel(key, vessel_id(self.dataset, key), attributes, chips)


def read_hoss_folder(folder: Path, dataset: str | None = None) -> HossFolder:
    """Read a folder that holds `bounding_box_train`, `bounding_box_test` or `query`, or chips.

    `vessels.csv` may lie in the folder or, when the folder is one of the parts, beside it.

    Args:
        folder: the folder.
        dataset: another name for the data set.

    Raises:
        SourceError: no chips are there, or `vessels.csv` is malformed.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder")
    place = folder.resolve()
    root = place.parent if place.name in PARTS else place
    chips, strangers = [], []
    for path in picture_files(folder):
        said = read_hoss_name(path.name)
        if said is None:
            strangers.append(path.name)
        else:
            chips.append(NamedChip(path, said))
    if not chips:
        raise SourceError(
            f"{folder} holds no chips: expected {', '.join(PARTS)}, or files named {NAMING_RULE} "
            "(PNG and JPEG too)"
        )
    notes = []
    if strangers:
        notes.append(f"{len(strangers)} files are not named as chips are, e.g. {strangers[0]}")
    attributes: dict[str, dict[str, object]] = {}
    if (root / VESSELS_CSV).is_file():
        attributes, more = _read_vessels(root / VESSELS_CSV)
        notes += more
    return HossFolder(dataset or root.name, tuple(chips), attributes, tuple(notes))


def picture_files(folder: Path) -> Iterator[Path]:
    """Pictures that lie in a folder and in its parts in HOSS layout, by part and name."""
    for place in (folder, *(folder / part for part in PARTS)):
        if place.is_dir():
            for path in sorted(place.iterdir()):
                hidden = path.name.startswith(".")
                if path.suffix.lower() in PICTURE_SUFFIXES and not hidden and path.is_file():
                    yield path


def _read_vessels(path: Path) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Attributes by vessel key, and what was left aside."""
    table = read_table(path)
    if "id" not in table.columns:
        raise SourceError(f"{path} has no column id; it has {', '.join(table.columns)}")
    attributes: dict[str, dict[str, object]] = {}
    for line in table.lines:
        number = line.cells.get("id", "")
        if not number.isdecimal():
            raise SourceError(f"{line.place}: id is {number!r}, not the number of a vessel")
        key = str(int(number))
        if key in attributes:
            raise SourceError(f"{line.place}: vessel {number} is described twice")
        attributes[key] = vessel_attributes(line)
    left = table.strangers(("id", *VESSEL_TEXTS, *VESSEL_NUMBERS))
    notes = [f"{path.name}: columns {', '.join(left)} are not sent"] if left else []
    return attributes, notes
