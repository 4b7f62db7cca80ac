"""Read folders of optical-SAR picture pairs, for pretraining encoder and translator.

There are two layouts:

* OptiSar_Pair (TransOSS): `<folder>/<source>_<pair>_…_{RGB,SAR}.{tif,png}`. The second field of a
  name is the number of the scene; every optical picture pairs with every SAR picture of its scene.
* QXS-SAROPT: `opt_256_oc_0.2/<n>.png` pairs with `sar_256_oc_0.2/<n>.png`; 256 x 256 pixels at 1 m.

Source: the pretraining reader of TransOSS; QXS-SAROPT (arXiv 2103.08259).
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from model_training.data.hoss import DatasetError
from service.contract.chip import Chip, Modality
from service.contract.decoding.decode import decode_chip
from service.contract.errors import ChipError

QXS_OPTICAL, QXS_SAR = "opt_256_oc_0.2", "sar_256_oc_0.2"
QXS_GSD_M = 1.0

_PAIR_NAME = re.compile(r"[^_]+_(?P<scene>\d+)(?:_.+)?_(?P<sensor>RGB|SAR)\.(?:tif|png)")
_PICTURES = {".tif", ".tiff", ".png", ".jpg", ".jpeg"}


@dataclass(frozen=True, slots=True)
class ChipPair:
    """Pictures of one place by both sensors.

    Attributes:
        scene: name of the place; pairs of one scene show the same object.
        gsd_m: metres per pixel of both, or None if the data set does not record it.
    """

    scene: str
    optical: Path
    sar: Path
    gsd_m: float | None

    def read(self) -> tuple[Chip, Chip]:
        """Decode the optical and the SAR picture.

        Raises:
            DatasetError: a file is not a usable picture; names the file.
        """
        return (
            _read(self.optical, Modality.OPTICAL, self.gsd_m),
            _read(self.sar, Modality.SAR, self.gsd_m),
        )


def read_pairs(root: Path) -> tuple[ChipPair, ...]:
    """Return all pairs of a folder in either layout, in a fixed order.

    Raises:
        DatasetError: the folder has neither layout, a QXS picture has no counterpart, a file is
            not named as its layout requires, or there is no pair.
    """
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder; give the folder that holds the pairs")
    if (root / QXS_OPTICAL).is_dir() or (root / QXS_SAR).is_dir():
        return _read_qxs(root)
    return _read_optisar(root)


def _read_qxs(root: Path) -> tuple[ChipPair, ...]:
    optical, sar = _pictures(root / QXS_OPTICAL), _pictures(root / QXS_SAR)
    unpaired = sorted(optical.keys() ^ sar.keys())
    if unpaired:
        raise DatasetError(
            f"{len(unpaired)} pictures in {root} have no counterpart of the same name in "
            f"{QXS_OPTICAL} and {QXS_SAR}, the first is {unpaired[0]}"
        )
    if not optical:
        raise DatasetError(f"{root / QXS_OPTICAL} and {root / QXS_SAR} hold no pictures")
    return tuple(
        ChipPair(Path(name).stem, optical[name], sar[name], QXS_GSD_M) for name in sorted(optical)
    )


def _read_optisar(root: Path) -> tuple[ChipPair, ...]:
    scenes: dict[int, dict[str, list[Path]]] = defaultdict(lambda: {"RGB": [], "SAR": []})
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        for name, path in sorted(_pictures(folder).items()):
            match = _PAIR_NAME.fullmatch(name)
            if match is None:
                raise DatasetError(
                    f"{path} is not named as pictures of OptiSar_Pair are; expected "
                    "<source>_<scene number>_…_RGB.png or …_SAR.png (or .tif)"
                )
            scenes[int(match["scene"])][match["sensor"]].append(path)
    pairs = tuple(
        ChipPair(str(scene), optical, sar, None)
        for scene in sorted(scenes)
        for optical in scenes[scene]["RGB"]
        for sar in scenes[scene]["SAR"]
    )
    if not pairs:
        raise DatasetError(
            f"{root} holds no optical-SAR pairs: expected the OptiSar_Pair layout (folders of "
            f"<source>_<scene>_…_RGB.png and …_SAR.png) or QXS-SAROPT ({QXS_OPTICAL}/, {QXS_SAR}/)"
        )
    return pairs


def _pictures(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is missing; pairs need both sensors")
    return {
        path.name: path
        for path in folder.iterdir()
        if path.suffix.lower() in _PICTURES and not path.name.startswith(".")
    }


def _read(path: Path, modality: Modality, gsd_m: float | None) -> Chip:
    try:
        return decode_chip(path.read_bytes(), modality=modality, gsd_m=gsd_m)
    except (ChipError, OSError) as error:
        raise DatasetError(f"{path}: {error}") from error
