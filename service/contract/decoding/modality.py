"""Determine the modality from the file, and from the caller if the file does not determine it."""

import numpy as np

from service.contract.chip import Modality
from service.contract.decoding.raster import RGB, Raster
from service.contract.errors import ModalityError


def resolve_modality(raster: Raster, stated: Modality | None) -> Modality:
    """Return the modality with which a raster is interpreted.

    The file determines it by its tags; complex samples and one or two float bands are SAR; bands
    marked red, green and blue that differ from each other are optical. Three or four unmarked
    integer bands are optical unless the caller states SAR. In all other cases the caller must
    state it: one integer band may be panchromatic or SAR, and so may three equal bands.

    Args:
        raster: the samples.
        stated: the modality that the caller states.

    Raises:
        ModalityError: neither the file nor the caller determines it, or they contradict.
    """
    determined, reason = _determined(raster)
    if stated is not None:
        if determined is not None and determined is not stated:
            raise ModalityError(
                f"the chip was said to be {stated.value}, but {reason}, so it is "
                f"{determined.value}; send modality {determined.value} or another file"
            )
        return stated
    if determined is not None:
        return determined
    integer = raster.samples.dtype.kind in "ui"
    if integer and len(raster.picture_bands) in (3, 4) and not has_equal_bands(raster):
        return Modality.OPTICAL
    raise ModalityError(
        f"{len(raster.picture_bands)} band(s) of {raster.bit_depth} in a {raster.container} may "
        f"be optical or SAR; say which it is with modality: sar or optical"
    )


def has_equal_bands(raster: Raster) -> bool:
    """Whether there are several picture bands and all are equal (a grey picture)."""
    bands = [raster.samples[i] for i in raster.picture_bands]
    return len(bands) > 1 and all(np.array_equal(bands[0], band) for band in bands[1:])


def is_marked_rgb(raster: Raster) -> bool:
    """Whether the file marks its bands as red, green and blue."""
    return set(RGB) <= set(raster.colours)


def _determined(raster: Raster) -> tuple[Modality | None, str]:
    """Return the modality that the file determines, if any, and the reason."""
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
