"""Ship chips in the HOSS ReID layout: the only reader of its folders.

    bounding_box_train/            chips to learn from
    query/  bounding_box_test/     chips to ask about, and the gallery they are looked up in
    subset/O2S/{query,bounding_box_test}/   optical queries, SAR gallery
    subset/S2O/{query,bounding_box_test}/   SAR queries, optical gallery

Files are named `<id>_<anything>_{RGB,SAR}.tif` (`service.contract.hoss_names`). Id -1 is a
distractor, a ship nobody knows, and may stand in a gallery only. A folder that holds such chips
directly is read as well.

Source: HOSS ReID (arXiv 2506.22027) and the dataset readers of TransOSS and MOS.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from service.contract.chip import Chip
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipError
from service.contract.hoss_names import (
    GALLERY_FOLDER,
    NAMING_RULE,
    QUERY_FOLDER,
    TRAIN_FOLDER,
    HossName,
    read_hoss_name,
)

SUBSETS = ("O2S", "S2O")

_BESIDE_CHIPS = {"", ".md", ".txt", ".json", ".csv", ".yaml", ".yml", ".xml", ".db", ".ini"}
_NAMED_IN_ERROR = 5


class DatasetError(Exception):
    """A data folder cannot be used; the message names what is wrong and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledChip(HossName):
    """A chip file and what its name says."""

    path: Path

    def read(self) -> Chip:
        """Decode the file.

        Raises:
            DatasetError: the file is not a usable chip; names it.
        """
        try:
            return decode_chip(self.path.read_bytes(), modality=self.modality)
        except (ChipError, OSError) as error:
            raise DatasetError(f"{self.path}: {error}") from error


@dataclass(frozen=True, slots=True)
class Split:
    """Queries and the gallery they are looked up in."""

    query: tuple[LabelledChip, ...]
    gallery: tuple[LabelledChip, ...]


@dataclass(frozen=True, slots=True)
class HossDataset:
    """A data set in HOSS layout; parts that the folder does not have are empty or None.

    Attributes:
        root: the folder.
        train: chips to learn from; no distractors.
        test: `query/` and `bounding_box_test/`.
        subsets: the published single-direction splits, by `O2S` and `S2O`.
        loose: chips that lie in the root itself; may hold distractors.
    """

    root: Path
    train: tuple[LabelledChip, ...] = ()
    test: Split | None = None
    subsets: Mapping[str, Split] = field(default_factory=dict)
    loose: tuple[LabelledChip, ...] = ()


def parse_chip_name(path: Path) -> LabelledChip | None:
    """What a file's name says, or None when it is no chip's name."""
    said = read_hoss_name(path.name)
    if said is None:
        return None
    return LabelledChip(**asdict(said), path=path)


def read_folder(folder: Path, *, distractors: bool) -> tuple[LabelledChip, ...]:
    """All chips that lie directly in a folder, by file name.

    Hidden files and notes (`.md`, `.txt`, `.json`, no suffix, …) may lie beside the chips.

    Args:
        folder: an existing folder.
        distractors: whether id -1 is allowed.

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
        and path.suffix.lower() not in _BESIDE_CHIPS
    ]
    chips = {path: parse_chip_name(path) for path in files}
    wrong = [path for path, chip in chips.items() if chip is None]
    if wrong:
        raise DatasetError(
            f"{_names(wrong)} in {folder} not named as chips are; expected {NAMING_RULE}"
        )
    found = tuple(chip for chip in chips.values() if chip is not None)
    if not found:
        raise DatasetError(f"{folder} holds no chips (<id>_<anything>_RGB.tif or …_SAR.tif)")
    unknown = [chip.path for chip in found if chip.is_distractor]
    if unknown and not distractors:
        raise DatasetError(
            f"{_names(unknown)} in {folder} carry id -1: a distractor has no identity and may "
            "stand in a gallery (bounding_box_test) only"
        )
    return found


def read_hoss(root: Path) -> HossDataset:
    """Read whatever parts of the layout a folder has.

    Raises:
        DatasetError: the folder has none of them, has half a split, or holds wrong files.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; give the folder that holds the data set")
    train = root / TRAIN_FOLDER
    subsets: dict[str, Split] = {}
    for name in SUBSETS:
        split = _read_split(root / "subset" / name)
        if split is not None:
            subsets[name] = split
    dataset = HossDataset(
        root=root,
        train=read_folder(train, distractors=False) if train.is_dir() else (),
        test=_read_split(root),
        subsets=subsets,
        loose=read_folder(root, distractors=True) if _holds_chips(root) else (),
    )
    if not (dataset.train or dataset.test or dataset.subsets or dataset.loose):
        raise DatasetError(
            f"{root} holds no data set: expected bounding_box_train/, or query/ with "
            "bounding_box_test/, or chips named <id>_<anything>_{RGB,SAR}.tif"
        )
    return dataset


def all_chips(dataset: HossDataset) -> tuple[LabelledChip, ...]:
    """Every chip of a folder that holds one set of ships: its test split, else all the rest.

    A folder with a test split and `bounding_box_train` holds two sets of ships; the training
    ships are left out.
    """
    if dataset.test is not None:
        return dataset.test.query + dataset.test.gallery
    if dataset.subsets:
        return tuple(c for s in dataset.subsets.values() for c in (*s.query, *s.gallery))
    return dataset.train + dataset.loose


def _read_split(folder: Path) -> Split | None:
    """`query/` and `bounding_box_test/` of a folder, or None when it has neither."""
    query, gallery = folder / QUERY_FOLDER, folder / GALLERY_FOLDER
    if not query.is_dir() and not gallery.is_dir():
        return None
    return Split(
        query=read_folder(query, distractors=False),
        gallery=read_folder(gallery, distractors=True),
    )


def _holds_chips(folder: Path) -> bool:
    return any(path.is_file() and parse_chip_name(path) for path in folder.iterdir())


def _names(paths: Iterable[Path]) -> str:
    names = [path.name for path in paths]
    shown = ", ".join(names[:_NAMED_IN_ERROR])
    rest = len(names) - _NAMED_IN_ERROR
    return f"{shown} and {rest} more" if rest > 0 else shown
