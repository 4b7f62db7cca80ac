"""Optical or SAR: told by the file where it is certain, by the caller where it is not."""

import numpy as np

from service.contract.chip import Modality
from service.contract.decoding.raster import RGB, Raster
from service.contract.errors import ModalityError

_ASK = "say which it is with modality: sar or optical"


def resolve_modality(raster: Raster, claimed: Modality | None) -> Modality:
    """The modality to read a raster with.

    Certain: tags that say so; complex samples and one or two float bands are SAR; bands marked
    red, green and blue that differ from each other are optical. Three or four integer bands
    without a mark are taken for optical unless SAR is claimed. All else is asked for: one
    integer band may be panchromatic or SAR, and so may three equal ones.

    Raises:
        ModalityError: nothing was claimed and the file is not certain, or the claim contradicts
            the file.
    """
    certain, reason = _certain(raster)
    if claimed is not None:
        if certain is not None and certain is not claimed:
            raise ModalityError(
                f"the chip was said to be {claimed.value}, but {reason}, so it is "
                f"{certain.value}; send modality {certain.value} or another file"
            )
        return claimed
    if certain is not None:
        return certain
    integer = raster.samples.dtype.kind in "ui"
    if integer and len(raster.picture_bands) in (3, 4) and not has_equal_bands(raster):
        return Modality.OPTICAL
    raise ModalityError(
        f"{len(raster.picture_bands)} band(s) of {raster.bit_depth} in a {raster.container} may "
        f"be optical or SAR; {_ASK}"
    )


def has_equal_bands(raster: Raster) -> bool:
    """Whether a picture of three or more bands is grey: all its bands are the same."""
    bands = [raster.samples[i] for i in raster.picture_bands]
    return len(bands) > 1 and all(np.array_equal(bands[0], band) for band in bands[1:])


def is_marked_rgb(raster: Raster) -> bool:
    """Whether the file itself calls its bands red, green and blue."""
    return set(RGB) <= set(raster.colours)


def _certain(raster: Raster) -> tuple[Modality | None, str]:
    """The modality that the file leaves no doubt about, and why."""
    kind = raster.samples.dtype.kind
    if raster.hint is not None:
        return raster.hint, "its tags or band names say otherwise"
    if kind == "c":
        return Modality.SAR, f"its samples are complex ({raster.bit_depth})"
    if kind == "f" and len(raster.picture_bands) <= 2:
        return Modality.SAR, f"it has {len(raster.picture_bands)} band(s) of {raster.bit_depth}"
    if kind in "ui" and is_marked_rgb(raster) and not has_equal_bands(raster):
        return Modality.OPTICAL, "its bands are red, green and blue"
    return None, ""
