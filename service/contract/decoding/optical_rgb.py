"""Optical samples -> 8-bit RGB."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.decoding import missing_data
from service.contract.decoding.bands import RGB, BandLayout, marked_as_named
from service.contract.decoding.raster import Raster
from service.contract.errors import ChipContentError, PixelTypeError

STRETCH_PERCENTILE = 99.5


def optical_rgb(raster: Raster) -> tuple[NDArray[np.uint8], list[str]]:
    """Return red, green and blue in 8 bits.

    Panchromatic is repeated; half-transparent pixels are composited over black; a fourth band
    that is no transparency is left out. 16 bits become 8 by `_to_8_bits`, after the file's offset.
    Declared no-data and transparent pixels become 0.

    Returns:
        uint8 `[H, W, 3]`, not constant; and notes on what was assumed.

    Raises:
        PixelTypeError: the number of bands or the sample type is not that of a picture.
        ChipContentError: constant, negative, or mostly no-data.
    """
    if raster.layout.kinds not in "ui":
        raise PixelTypeError(
            f"an optical chip has 8 or 16 bits per band, this one has {raster.layout.bit_depth}; "
            f"scale it to uint8 or uint16"
        )
    chosen, notes = _choose_colours(raster)
    planes = np.stack([raster.band(i) for i in chosen])
    valid, more = missing_data.valid_pixels(planes, raster)
    notes += more
    known = planes if valid is None else planes[:, valid]
    missing_data.require_known_share(known.size, planes.size)
    notes += missing_data.suspected_filling(known)
    known, more = _rescaled(known, [raster.scale(i) for i in chosen])
    notes += more
    scaled, more = _to_8_bits(known)
    notes += more
    missing_data.require_picture(scaled.reshape(len(scaled), -1))
    if valid is not None:
        whole = np.zeros(planes.shape, np.uint8)
        whole[:, valid] = scaled
        scaled = whole
        notes.append(missing_data.nodata_note(planes.size - known.size, planes.size))
    scaled, more = _composite(scaled, raster)
    notes += more
    if len(scaled) == 1:
        scaled = np.repeat(scaled, 3, axis=0)
        notes.append("panchromatic: its one band was repeated as red, green and blue")
    return np.ascontiguousarray(scaled.transpose(1, 2, 0)), notes


def _choose_colours(raster: Raster) -> tuple[tuple[int, ...], list[str]]:
    """Return the indices of the one or three bands that make the picture."""
    layout, bands = raster.layout, raster.picture_bands
    if layout.is_rgb:
        chosen = tuple(layout.colours.index(colour) for colour in RGB)
        return chosen, _other_names(layout, chosen) + _left_out(raster, chosen)
    if len(bands) == 1:
        return bands, []
    if len(bands) in (3, 4):
        names = ", ".join(layout.names[i] or str(i + 1) for i in bands[:3])
        order = [f"the bands are not marked: {names} were taken as red, green, blue"]
        return bands[:3], order + _left_out(raster, bands[:3])
    raise PixelTypeError(
        f"an optical chip has 1, 3 or 4 bands, this one has {len(bands)}; send red, green and "
        f"blue, or mark them as such"
    )


def _other_names(layout: BandLayout, chosen: tuple[int, ...]) -> list[str]:
    """Warn of bands whose marks say red, green and blue, and whose names say something else."""
    names = [layout.names[i] for i in chosen]
    if not all(names) or marked_as_named(layout) is not layout:
        return []
    return [
        f"the bands named {', '.join(names)} were taken as red, green, blue, as the file marks "
        "them; name them so, or change their order, if that is wrong"
    ]


def _left_out(raster: Raster, chosen: tuple[int, ...]) -> list[str]:
    rest = [i + 1 for i in raster.layout.picture_bands if i not in chosen]
    return [f"band(s) {', '.join(map(str, rest))} beside red, green, blue left out"] if rest else []


def _rescaled(
    planes: NDArray[Any], scales: list[tuple[float, float]]
) -> tuple[NDArray[Any], list[str]]:
    """Shift the samples `[B, …]` so that 0 is black, and weigh the bands as the file declares.

    What scales all bands alike is left out: every later step is the same for samples times a
    constant.
    """
    factors, offsets = np.array(scales).T
    with np.errstate(all="ignore"):
        shifts, weights = offsets / factors, factors / factors.max()
    sound = np.isfinite(scales).all() and (factors > 0).all()
    if not (sound and (np.abs(shifts) <= np.iinfo(np.uint16).max).all()):
        declared = ", ".join(f"{f:g} and {o:g}" for f, o in scales)
        raise ChipContentError(
            f"the file declares scales and offsets of {declared}; scales must be positive, and "
            "offsets lie within the range of the samples: send the values themselves, as "
            "`gdal_translate -unscale` writes them"
        )
    if not shifts.any() and (weights == 1).all():
        return planes, []
    column = (-1, *[1] * (planes.ndim - 1))
    counts = np.rint((planes + shifts.reshape(column)) * weights.reshape(column))
    notes = []
    if shifts.any():
        notes.append(
            f"the file's offset was applied: {', '.join(f'{s:+.0f}' for s in shifts)} counts"
        )
    if (weights != 1).any():
        notes.append(f"the file's scales were applied: {', '.join(f'{f:g}' for f in factors)}")
    return np.clip(counts, 0, np.iinfo(np.uint16).max).astype(np.uint16), notes


def _to_8_bits(values: NDArray[Any]) -> tuple[NDArray[np.uint8], list[str]]:
    """Keep 8-bit samples; reduce 16-bit samples by the first rule that fits, for all bands alike.

    1. No value above 255: they are 8-bit already.
    2. Every value a multiple of 257: a picture widened from 8 bits, divided back exactly.
    3. Else 0 stays 0 and the 99.5th percentile becomes 255, linear between, rounded, clipped, so
       that one bright reflection does not turn 11- or 12-bit pictures black.
    """
    if values.dtype == np.uint8:
        return values, []
    low, high = int(values.min()), int(values.max())
    if low < 0:
        raise ChipContentError(
            f"the optical values go down to {low}; expected 0 or more: declare no-data values"
        )
    if high <= 255:
        return values.astype(np.uint8), ["16-bit samples of at most 255 were taken as 8-bit"]
    if not np.any(values % 257):
        return (values // 257).astype(np.uint8), ["16 bits were divided by 257 to 8 bits"]
    top = max(float(np.percentile(values, STRETCH_PERCENTILE)), 1.0)
    scaled = np.clip(np.rint(values.astype(np.float32) * (255.0 / top)), 0, 255)
    return scaled.astype(np.uint8), [
        f"16 bits were scaled to 8: 0 to {top:.0f} (99.5th percentile) became 0 to 255"
    ]


def _composite(planes: NDArray[np.uint8], raster: Raster) -> tuple[NDArray[np.uint8], list[str]]:
    """Put half-transparent pixels over black; fully transparent ones are no-data already."""
    if "alpha" not in raster.layout.colours:
        return planes, []
    alpha = missing_data.alpha_band(raster)
    if alpha is None:
        return planes, [missing_data.unused_alpha(raster)]
    if missing_data.is_flag(alpha):
        return planes, [
            f"the alpha band flags {float(np.mean(alpha == 0)):.1%} of the pixels as invalid; "
            "their values were kept"
        ]
    opaque = int(alpha.max())
    partly = float(np.mean((alpha > 0) & (alpha < opaque)))
    if partly == 0:
        return planes, ["the alpha band was left out"]
    if raster.premultiplied:
        return planes, ["half-transparent pixels lie over black in the file already"]
    share = alpha.astype(np.float32) / np.float32(opaque)
    result = np.rint(planes * share).astype(np.uint8)
    missing_data.require_picture(result.reshape(len(result), -1))
    return result, [f"{partly:.1%} half-transparent pixels were put over black"]
