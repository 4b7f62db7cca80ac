"""Read a folder in HOSS layout: a fleet to enrol and chips to match."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from service.client.errors import SourceError
from service.client.files import require_text_name
from service.client.fleet.csv_table import read_table, vessel_attributes
from service.client.fleet.vessels import (
    VESSEL_NUMBERS,
    VESSEL_TEXTS,
    ChipFile,
    Fleet,
    FleetVessel,
    vessel_id,
)
from service.contract import hoss_names
from service.contract.chip import Modality

PARTS = (hoss_names.TRAIN_FOLDER, hoss_names.GALLERY_FOLDER, hoss_names.QUERY_FOLDER)
VESSELS_CSV = "vessels.csv"
PICTURE_SUFFIXES = frozenset({".tif", ".tiff", ".png", ".jpg", ".jpeg"})


@dataclass(frozen=True, slots=True)
class NamedChip:
    """A chip file and the parts of its name."""

    path: Path
    name: hoss_names.HossName

    @property
    def key(self) -> str:
        """Number of the vessel without leading zeros: its key in the data set."""
        return str(self.name.vessel_id)


@dataclass(frozen=True, slots=True)
class HossFolder:
    """Content of a folder in HOSS layout.

    Attributes:
        dataset: the folder's name, or its parent's when the folder is one of the parts.
        chips: in order of part and file name.
        attributes: the vessels' attributes in `vessels.csv`, by vessel key.
        notes: what was skipped and why.
        source: the chips' source: the data set, and that it is simulated if the folder says so.
        gsd_m: metres per pixel by file name, where `provenance.csv` states them.
    """

    dataset: str
    chips: tuple[NamedChip, ...]
    attributes: dict[str, dict[str, object]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    source: str = ""
    gsd_m: Mapping[str, float] = field(default_factory=dict)

    def fleet(
        self,
        modalities: Collection[Modality],
        gsd_m: float | None = None,
        framing: str | None = None,
    ) -> Fleet:
        """Return the vessels with their chips of these modalities, without distractors.

        A vessel that `vessels.csv` does not name is named after the data set and its number.

        Raises:
            SourceError: there is no such chip.
        """
        chips: dict[str, list[ChipFile]] = {}
        distractors = 0
        for chip in self.chips:
            modality = chip.name.modality
            if modality not in modalities:
                continue
            if chip.name.is_distractor:
                distractors += 1
                continue
            metadata: dict[str, object] = {"modality": modality.value, "source": self.source}
            stated = self.gsd_m.get(chip.path.name) if gsd_m is None else gsd_m
            if stated is not None:
                metadata["gsd_m"] = stated
            if framing is not None:
                metadata["framing"] = framing
            chips.setdefault(chip.key, []).append(ChipFile(chip.path, metadata))
        if not chips:
            names = " or ".join(sorted(modality.value for modality in modalities))
            raise SourceError(f"{self.dataset} holds no {names} chips of identified vessels")
        notes = list(self.notes)
        if distractors:
            notes.append(f"{distractors} distractor chips (id -1) are not enrolled")
        vessels = tuple(self._vessel(key, tuple(files)) for key, files in chips.items())
        return Fleet(self.dataset, vessels, tuple(notes))

    def _vessel(self, key: str, chips: tuple[ChipFile, ...]) -> FleetVessel:
        attributes = {"name": f"{self.dataset} {int(key):04d}"} | self.attributes.get(key, {})
        return FleetVessel(key, vessel_id(self.dataset, key), attributes, chips)


def read_hoss_folder(folder: Path, dataset: str | None = None) -> HossFolder:
    """Read a folder that holds `bounding_box_train`, `bounding_box_test` or `query`, or chips.

    `vessels.csv` may lie in the folder or, when the folder is one of the parts, beside it.

    Args:
        dataset: name of the data set; None: the folder's name.

    Raises:
        SourceError: the folder holds no chips, or `vessels.csv` is malformed.
    """
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder")
    resolved = folder.resolve()
    root = resolved.parent if resolved.name in PARTS else resolved
    chips, misnamed = [], []
    for path in picture_files(folder):
        name = hoss_names.read_hoss_name(path.name)
        if name is None:
            misnamed.append(path.name)
        else:
            chips.append(NamedChip(path, name))
    if not chips:
        raise SourceError(
            f"{folder} holds no chips: expected {', '.join(PARTS)}, or files named "
            f"{hoss_names.NAMING_RULE} (PNG and JPEG too)"
        )
    notes = []
    if misnamed:
        notes.append(f"{len(misnamed)} files are not named as chips are, e.g. {misnamed[0]}")
    attributes: dict[str, dict[str, object]] = {}
    if (root / VESSELS_CSV).is_file():
        attributes, csv_notes = _read_vessels(root / VESSELS_CSV)
        notes += csv_notes
    title = dataset or root.name
    try:
        gsd_m = hoss_names.stated_gsd(root)
    except (hoss_names.ProvenanceError, OSError) as error:
        raise SourceError(str(error)) from error
    source = f"{title}, simulated" if _is_simulated(root) and "simulated" not in title else title
    return HossFolder(title, tuple(chips), attributes, tuple(notes), source, gsd_m)


def _is_simulated(root: Path) -> bool:
    """Whether the folder's `dataset.json` says that its chips are simulated."""
    try:
        about = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and "simulated" in str(about.get("domain"))


def picture_files(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and in its parts in HOSS layout, by part and name.

    Raises:
        SourceError: a name is not UTF-8.
    """
    for part in (folder, *(folder / name for name in PARTS)):
        if part.is_dir():
            for path in sorted(part.iterdir()):
                hidden = path.name.startswith(".")
                if path.suffix.lower() in PICTURE_SUFFIXES and not hidden and path.is_file():
                    yield require_text_name(path)


def _read_vessels(path: Path) -> tuple[dict[str, dict[str, object]], list[str]]:
    """Return attributes by vessel key, and notes on skipped columns."""
    table = read_table(path)
    if "id" not in table.columns:
        raise SourceError(f"{path} has no column id; it has {', '.join(table.columns)}")
    attributes: dict[str, dict[str, object]] = {}
    for row in table.rows:
        number = row.cells.get("id", "")
        if not number.isdecimal():
            raise SourceError(f"{row.location}: id is {number!r}, not the number of a vessel")
        key = str(int(number))
        if key in attributes:
            raise SourceError(f"{row.location}: vessel {number} is described twice")
        attributes[key] = vessel_attributes(row)
    unknown = table.unknown_columns(("id", *VESSEL_TEXTS, *VESSEL_NUMBERS))
    notes = [f"{path.name}: columns {', '.join(unknown)} are not sent"] if unknown else []
    return attributes, notes
