"""Find the pixels that carry no data, and reject pictures that carry too few."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.decoding.raster import Raster
from service.contract.errors import ChipContentError

MAX_NODATA_SHARE = 0.5
HUGE = 1e30
"""Declared no-data values of this size are sentinels; writers round them."""
HUGE_TOLERANCE = 1e-2
OPAQUE = {0, 1, *(2**bits - 1 for bits in range(8, 17))}
"""Maxima of a band that tells how opaque pixels are: nowhere, a flag, the full scale of a type."""
MAX_GRADED_SHARE = 0.5
MAX_FILLED_SHARE = 0.01
FILLED_GAP = 2.0
"""Saturated pixels have neighbours of nearly their value; a filling stands alone."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?(?=$|[\s,;])", re.IGNORECASE)
_NAN = re.compile(r"[+-]?(?:nan(?:\(\w*\))?|1\.#(?:qnan|snan|ind)\w*)", re.IGNORECASE)
_INFINITY = re.compile(r"[+-]?(?:inf(?:inity)?|1\.#inf\w*)", re.IGNORECASE)


def declared_no_data(text: str, dtype: np.dtype[Any]) -> tuple[float | None, list[str]]:
    """Read the no-data value that a file declares, and note a declaration that means no sample.

    GDAL reads a text that is no number as 0, and not every spelling of NaN.

    Args:
        text: as it stands in the file; empty without a declaration.
    """
    text = text.strip()
    number = _NUMBER.match(text)
    if not text:
        return None, []
    if _NAN.fullmatch(text):
        value = np.nan
    elif _INFINITY.fullmatch(text):
        value = -np.inf if text.startswith("-") else np.inf
    elif number is not None:
        value = float(number.group())
    else:
        return None, [f"the declared no-data value {text[:40]!r} is no number and was ignored"]
    if dtype.kind in "ui":
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        if not (low <= value <= high and value == round(value)):
            return None, [
                f"no sample of {dtype} can be the declared no-data value {value:g}, so all pixels "
                f"count as data; declare a value from {low} to {high} if that is wrong"
            ]
    return value, []


def valid_pixels(
    planes: NDArray[Any], raster: Raster, *, is_sar: bool = False
) -> tuple[NDArray[np.bool_] | None, list[str]]:
    """Return where the file has data, and a note where its declaration was stretched.

    Args:
        planes: `[B, H, W]` in the file's type, as stored.
        raster: declares a no-data value, a mask, or an alpha band.
        is_sar: whether an alpha band that only flags pixels makes them no-data, too: in decibels
            the value under a flag, often 0, is a strong echo.

    Returns:
        bool `[H, W]`, false where the file declares no data or is transparent; None if nowhere.
    """
    missing = np.zeros(planes.shape[1:], bool)
    notes: list[str] = []
    if raster.nodata is not None:
        same, notes = _equals(planes, raster.nodata)
        missing |= same.all(axis=0)
    if raster.mask is not None:
        missing |= ~raster.mask
    alpha = alpha_band(raster)
    if alpha is not None and (is_sar or not is_flag(alpha)):
        missing |= alpha == 0
    return (~missing if missing.any() else None), notes


def _equals(planes: NDArray[Any], nodata: float) -> tuple[NDArray[np.bool_], list[str]]:
    """Compare with the no-data value in the type of the samples, as it was written."""
    if np.isnan(nodata):
        return np.isnan(planes), []
    if planes.dtype.kind in "ui":
        return planes == nodata, []
    with np.errstate(over="ignore", invalid="ignore"):
        exact = planes == planes.dtype.type(nodata)
        if planes.dtype.kind == "c":  # some writers fill both halves, others the first
            exact |= planes == planes.dtype.type(complex(nodata, nodata))
        if abs(nodata) < HUGE or exact.any():
            return exact, []
        near = np.abs(planes / nodata - 1.0) <= HUGE_TOLERANCE
    if not near.any():
        return exact, []
    found = float(planes[near][0].real)
    return near, [f"pixels of {found:.6g} were taken for the declared no-data value {nodata:.6g}"]


def alpha_band(raster: Raster) -> NDArray[Any] | None:
    """Return the band that says how opaque a pixel is, `[H, W]`; None without one.

    A band tagged as alpha is a picture, such as a near-infrared band with the default tag of its
    writer, where its maximum is no value that means opaque, or where most pixels lie in between.
    """
    colours = raster.layout.colours
    if "alpha" not in colours or colours.index("alpha") not in raster.read:
        return None
    # Samples of float and complex files hold whole numbers here, and NaN outside the picture.
    alpha = np.nan_to_num(raster.band(colours.index("alpha")).real)
    opaque = int(alpha.max())
    between = float(np.mean((alpha > 0) & (alpha < opaque)))
    return alpha if opaque in OPAQUE and between <= MAX_GRADED_SHARE else None


def is_flag(alpha: NDArray[Any]) -> bool:
    """Return whether an alpha band, `[H, W]`, only flags valid pixels, by a scale of its own.

    Tools that write 0 and 1 (or 2047 in a picture of 11 bits) keep the picture under the flag.
    """
    opaque = int(alpha.max())
    return opaque not in (0, 255, 65535) and bool(((alpha == 0) | (alpha == opaque)).all())


def unused_alpha(raster: Raster) -> str:
    """Say why the band tagged as alpha, which `alpha_band` does not return, was left out."""
    alpha = raster.band(raster.layout.colours.index("alpha")).real
    if alpha.min() == alpha.max():
        return (
            f"the alpha band is {float(alpha.max()):g} everywhere, which tells no pixels apart: "
            "all were taken as opaque"
        )
    return "the band tagged as alpha varies like a picture and was left out"


def suspected_filling(values: NDArray[Any]) -> list[str]:
    """Warn where many pixels have one largest value, far above all others, as undeclared no-data.

    Args:
        values: `[...]`, finite and not negative.
    """
    top = values.max()
    filled = float(np.mean(values == top))
    if not MAX_FILLED_SHARE < filled < 1.0 or float(values[values < top].max()) * FILLED_GAP > top:
        return []
    return [
        f"{filled:.1%} of the pixels are exactly {float(top):g}, far above all others; if they "
        "hold no data, declare it as the no-data value"
    ]


def suspected_cut(planes: NDArray[Any]) -> list[str]:
    """Warn where the last rows of a band are 0, as in a file that was not copied to its end.

    Args:
        planes: `[B, H, W]`, without alpha bands and without a declaration that 0 is no data.
    """
    height = planes.shape[1]
    with np.errstate(invalid="ignore"):  # NaN is rejected later
        shown = np.asarray(planes.any(axis=2))[:, ::-1]  # [B, H], from the last row
    blank = int(np.where(shown.any(axis=1), shown.argmax(axis=1), 0).max())
    if blank <= MAX_FILLED_SHARE * height:
        return []
    return [
        f"the last {blank} of {height} rows are 0: send the file again if it was not copied whole, "
        "or declare 0 as the no-data value"
    ]


def nodata_note(missing: int, total: int) -> str:
    """Say how many pixels carry no data."""
    return f"{missing / total:.1%} of the pixels are no-data or transparent: set to 0"


def require_known_share(known: int, total: int) -> None:
    """Raise ChipContentError where most pixels carry no data."""
    if known < (1.0 - MAX_NODATA_SHARE) * total:
        raise ChipContentError(
            f"{1 - known / total:.0%} of the pixels are no-data or transparent, at most "
            f"{MAX_NODATA_SHARE:.0%} are accepted; send a chip that lies within the scene"
        )


def require_picture(bands: NDArray[Any]) -> None:
    """Raise ChipContentError where bands `[B, N…]` are each constant."""
    if all(band.min() == band.max() for band in bands):
        raise ChipContentError(
            f"every pixel has the same value ({float(bands[0].flat[0]):g}); "
            f"send a chip that shows a ship"
        )
