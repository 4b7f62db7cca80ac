"""Read ship chips in the HOSS ReID layout; no other module reads its folders.

    bounding_box_train/            training chips
    query/  bounding_box_test/     query chips, and the gallery in which they are searched
    subset/O2S/{query,bounding_box_test}/   optical queries, SAR gallery
    subset/S2O/{query,bounding_box_test}/   SAR queries, optical gallery

Files are named `<id>_<anything>_{RGB,SAR}.tif` (`service.contract.hoss_names`). Id -1 is a
distractor, a ship without identity, and may occur in a gallery only. A folder that holds such
chips directly is read as well. `provenance.csv` beside them, which `crossfix export-dataset`
writes, may state the metres per pixel of each file; without it, they are the sensor's usual ones.

Source: HOSS ReID (arXiv 2506.22027) and the dataset readers of TransOSS and MOS.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from service.contract import hoss_names
from service.contract.chip import Chip
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipError

SUBSETS = ("O2S", "S2O")

_IGNORED_SUFFIXES = {"", ".md", ".txt", ".json", ".csv", ".yaml", ".yml", ".xml", ".db", ".ini"}
_NAMED_IN_ERROR = 5


class DatasetError(Exception):
    """A data folder cannot be used; the message names what is wrong and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledChip(hoss_names.HossName):
    """A chip file with the vessel and the sensor that its name gives.

    `gsd_m` is what the folder's table states; None: the file's own, or the sensor's usual one.
    """

    path: Path
    gsd_m: float | None = None

    def read(self) -> Chip:
        """Decode the file; raise DatasetError, which names it, if it is not a usable chip."""
        try:
            return decode_chip(self.path.read_bytes(), modality=self.modality, gsd_m=self.gsd_m)
        except (ChipError, OSError) as error:
            raise DatasetError(f"{self.path}: {error}") from error


@dataclass(frozen=True, slots=True)
class Split:
    """Query chips and the gallery in which they are searched."""

    query: tuple[LabelledChip, ...]
    gallery: tuple[LabelledChip, ...]


@dataclass(frozen=True, slots=True)
class HossDataset:
    """A data set in HOSS layout; parts that the folder does not have are empty or None.

    Attributes:
        train: training chips; no distractors.
        test: `query/` and `bounding_box_test/`.
        subsets: the published single-direction splits, by `O2S` and `S2O`.
        loose: chips directly in the root; may include distractors.
    """

    root: Path
    train: tuple[LabelledChip, ...] = ()
    test: Split | None = None
    subsets: Mapping[str, Split] = field(default_factory=dict)
    loose: tuple[LabelledChip, ...] = ()


def parse_chip_name(path: Path) -> LabelledChip | None:
    """Parse a file's name; return None if it is not the name of a chip."""
    name = hoss_names.read_hoss_name(path.name)
    if name is None:
        return None
    return LabelledChip(**asdict(name), path=path)


def read_folder(
    folder: Path, *, distractors: bool, gsd_m: Mapping[str, float] | None = None
) -> tuple[LabelledChip, ...]:
    """Return all chips directly in a folder, ordered by file name.

    Hidden files and notes (`.md`, `.txt`, `.json`, no suffix, …) are ignored.

    Args:
        folder: an existing folder.
        distractors: whether id -1 is allowed.
        gsd_m: metres per pixel by file name, where they are stated.

    Raises:
        DatasetError: the folder is missing or holds no chips, or files are not named as chips are.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; a HOSS data set has it")
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix.lower() not in _IGNORED_SUFFIXES
    ]
    chips = {path: parse_chip_name(path) for path in files}
    misnamed = [path for path, chip in chips.items() if chip is None]
    if misnamed:
        raise DatasetError(
            f"{_names(misnamed)} in {folder} not named as chips are; expected "
            f"{hoss_names.NAMING_RULE}"
        )
    stated = gsd_m or {}
    found = tuple(
        replace(chip, gsd_m=stated.get(path.name))
        for path, chip in chips.items()
        if chip is not None
    )
    if not found:
        raise DatasetError(f"{folder} holds no chips (<id>_<anything>_RGB.tif or …_SAR.tif)")
    misplaced = [chip.path for chip in found if chip.is_distractor]
    if misplaced and not distractors:
        raise DatasetError(
            f"{_names(misplaced)} in {folder} carry id -1: a distractor has no identity and may "
            "occur in a gallery (bounding_box_test) only"
        )
    return found


def read_hoss(root: Path) -> HossDataset:
    """Read those parts of the layout that a folder has.

    Raises:
        DatasetError: the folder has no part, has queries without a gallery or the reverse, or
            holds wrong files.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; give the folder that holds the data set")
    try:
        gsd_m = hoss_names.stated_gsd(root)
    except (hoss_names.ProvenanceError, OSError) as error:
        raise DatasetError(str(error)) from error
    train = root / hoss_names.TRAIN_FOLDER
    subsets: dict[str, Split] = {}
    for name in SUBSETS:
        split = _read_split(root / "subset" / name, gsd_m)
        if split is not None:
            subsets[name] = split
    dataset = HossDataset(
        root=root,
        train=read_folder(train, distractors=False, gsd_m=gsd_m) if train.is_dir() else (),
        test=_read_split(root, gsd_m),
        subsets=subsets,
        loose=read_folder(root, distractors=True, gsd_m=gsd_m) if _holds_chips(root) else (),
    )
    if not (dataset.train or dataset.test or dataset.subsets or dataset.loose):
        raise DatasetError(
            f"{root} holds no data set: expected bounding_box_train/, or query/ with "
            "bounding_box_test/, or chips named <id>_<anything>_{RGB,SAR}.tif"
        )
    return dataset


def all_chips(dataset: HossDataset) -> tuple[LabelledChip, ...]:
    """Return every chip of one set of ships: the test split, else the subsets, else all others.

    A folder with a test split and `bounding_box_train` holds two sets of ships; the training ships
    are left out.
    """
    if dataset.test is not None:
        return dataset.test.query + dataset.test.gallery
    if dataset.subsets:
        return tuple(c for s in dataset.subsets.values() for c in (*s.query, *s.gallery))
    return dataset.train + dataset.loose


def _read_split(folder: Path, gsd_m: Mapping[str, float]) -> Split | None:
    """Read `query/` and `bounding_box_test/` of a folder; return None if it has neither."""
    query, gallery = folder / hoss_names.QUERY_FOLDER, folder / hoss_names.GALLERY_FOLDER
    if not query.is_dir() and not gallery.is_dir():
        return None
    return Split(
        query=read_folder(query, distractors=False, gsd_m=gsd_m),
        gallery=read_folder(gallery, distractors=True, gsd_m=gsd_m),
    )


def _holds_chips(folder: Path) -> bool:
    return any(path.is_file() and parse_chip_name(path) for path in folder.iterdir())


def _names(paths: Iterable[Path]) -> str:
    names = [path.name for path in paths]
    shown = ", ".join(names[:_NAMED_IN_ERROR])
    rest = len(names) - _NAMED_IN_ERROR
    return f"{shown} and {rest} more" if rest > 0 else shown
