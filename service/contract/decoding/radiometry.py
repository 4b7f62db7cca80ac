"""Interpret samples as SAR amplitude or as 8-bit RGB."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.decoding.modality import has_equal_bands, is_marked_rgb
from service.contract.decoding.raster import RGB, Colour, Raster
from service.contract.errors import ChipContentError, GeometryError, PixelTypeError

MAX_NODATA_SHARE = 0.5
MAX_NEGATIVE_SHARE = 0.05
DB_RANGE = (-100.0, 60.0)
DB_MEDIAN_BELOW, DB_MINIMUM_BELOW = -2.0, -6.0
AMPLITUDE_RANGE = (1e-6, 1e30)
STRETCH_PERCENTILE = 99.5

Notes = list[str]


def sar_amplitude(raster: Raster, band: int | None) -> tuple[NDArray[np.float32], Notes]:
    """Return one polarisation as amplitude.

    Complex samples become their magnitude. Real samples that lie in `DB_RANGE` and are mostly
    negative are decibels and become `10^(dB/20)`. A small share of negative values, as noise
    subtraction leaves them, becomes 0. Declared no-data becomes 0.

    Args:
        raster: the samples.
        band: 1-based number of the band; None uses the first and adds a note.

    Returns:
        float32 `[H, W]`, finite, not negative, not constant; and notes on what was assumed.

    Raises:
        GeometryError: there is no such band.
        ChipContentError: NaN, infinite, constant, mostly no-data, or not an amplitude.
    """
    index, notes = _choose_band(raster, band)
    plane = raster.samples[index]
    valid = _valid(plane[None], raster)
    known = plane if valid is None else plane[valid]
    _require_known_share(known.size, plane.size)
    _require_finite(known)
    if plane.dtype.kind == "c":
        known = np.abs(known)
        notes.append("complex samples: the magnitude was used")
    elif plane.dtype.kind in "fi":
        known, more = _as_amplitude(known)
        notes += more
    amplitude = _to_float32(known)
    _require_picture(amplitude[None])
    if valid is not None:
        whole = np.zeros(plane.shape, np.float32)
        whole[valid] = amplitude
        amplitude = whole
        notes.append(_nodata_note(plane.size - known.size, plane.size))
    if raster.container != "TIFF":
        notes.append(
            f"a {raster.container} is a quick-look, not a radar product: "
            f"its brightness was taken as amplitude"
        )
    return np.ascontiguousarray(amplitude.reshape(plane.shape)), notes


def optical_rgb(raster: Raster) -> tuple[NDArray[np.uint8], Notes]:
    """Return red, green and blue in 8 bits.

    Panchromatic is repeated; half-transparent pixels are composited over black; an unmarked fourth
    band is left out. 16 bits become 8 by `_to_8_bits`. Declared no-data and transparent pixels
    become 0.

    Returns:
        uint8 `[H, W, 3]`, not constant; and notes on what was assumed.

    Raises:
        PixelTypeError: the number of bands or the sample type is not that of a picture.
        ChipContentError: constant, negative, or mostly no-data.
    """
    if raster.samples.dtype.kind not in "ui":
        raise PixelTypeError(
            f"an optical chip has 8 or 16 bits per band, this one has {raster.bit_depth}; "
            f"scale it to uint8 or uint16"
        )
    planes, notes = _choose_colours(raster)
    valid = _valid(planes, raster)
    known = planes if valid is None else planes[:, valid]
    _require_known_share(known.size, planes.size)
    scaled, more = _to_8_bits(known)
    notes += more
    _require_picture(scaled.reshape(len(scaled), -1))
    if valid is not None:
        whole = np.zeros(planes.shape, np.uint8)
        whole[:, valid] = scaled
        scaled = whole
        notes.append(_nodata_note(planes.size - known.size, planes.size))
    scaled, more = _composite(scaled, raster)
    notes += more
    if len(scaled) == 1:
        scaled = np.repeat(scaled, 3, axis=0)
        notes.append("panchromatic: its one band was repeated as red, green and blue")
    return np.ascontiguousarray(scaled.transpose(1, 2, 0)), notes  # [H, W, 3]


def _choose_band(raster: Raster, band: int | None) -> tuple[int, Notes]:
    """Return the index of the band; `band` counts the bands that are not alpha."""
    bands = raster.picture_bands
    if band is not None:
        if not 1 <= band <= len(bands):
            raise GeometryError(
                f"band {band} was asked for, but the file has {len(bands)} band(s); "
                f"send band 1 to {len(bands)}"
            )
        return bands[band - 1], []
    if len(bands) == 1:
        return bands[0], []
    if is_marked_rgb(raster) and has_equal_bands(raster):
        return bands[0], ["a grey picture stored as RGB: one of its equal bands was used"]
    names = [raster.band_names[i] or f"band {n}" for n, i in enumerate(bands, start=1)]
    return bands[0], [
        f"{len(bands)} bands ({', '.join(names)}): {names[0]} was used; choose another with band"
    ]


def _as_amplitude(values: NDArray[Any]) -> tuple[NDArray[Any], Notes]:
    """Convert decibels to amplitude, and set a small share of negative values to 0."""
    low = float(values.min())
    if low >= 0:
        return values, []
    high = float(values.max())
    decibels = (
        DB_RANGE[0] <= low < DB_MINIMUM_BELOW
        and high <= DB_RANGE[1]
        and float(np.median(values)) <= DB_MEDIAN_BELOW
    )
    if decibels:
        return np.power(10.0, values.astype(np.float64) / 20.0), [
            f"values from {low:.1f} to {high:.1f} are decibels: turned into amplitude"
        ]
    share = float(np.mean(values < 0))
    if share <= MAX_NEGATIVE_SHARE:
        return np.maximum(values, 0), [f"{share:.1%} negative values were set to 0"]
    raise ChipContentError(
        f"{share:.0%} of the SAR values are negative (from {low:g} to {high:g}): neither "
        f"amplitude nor decibels; send amplitude, complex samples, or dB within "
        f"{DB_RANGE[0]:.0f}..{DB_RANGE[1]:.0f}, and declare no-data values"
    )


def _to_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Convert to float32; reject values whose maximum is outside `AMPLITUDE_RANGE`."""
    largest = float(values.max())
    if largest > AMPLITUDE_RANGE[1] or 0 < largest < AMPLITUDE_RANGE[0]:
        raise ChipContentError(
            f"the largest SAR amplitude is {largest:g}; expected {AMPLITUDE_RANGE[0]:g} to "
            f"{AMPLITUDE_RANGE[1]:g}: scale the values by a constant"
        )
    return values.astype(np.float32, copy=False)


def _choose_colours(raster: Raster) -> tuple[NDArray[Any], Notes]:
    """Return the planes of the picture, `[1 or 3, H, W]`."""
    bands = raster.picture_bands
    if is_marked_rgb(raster):
        chosen = [raster.colours.index(colour) for colour in RGB]
        return _planes(raster, chosen), _left_out(raster, chosen)
    named = _bands_by_name(raster)
    if named is not None:
        return _planes(raster, named), _left_out(raster, named)
    if len(bands) == 1:
        return _planes(raster, bands), []
    if len(bands) in (3, 4):
        order = ["the bands are not marked: taken as red, green, blue"]
        return _planes(raster, bands[:3]), order + _left_out(raster, bands[:3])
    raise PixelTypeError(
        f"an optical chip has 1, 3 or 4 bands, this one has {len(bands)}; send red, green and "
        f"blue, or mark them as such"
    )


def _planes(raster: Raster, indices: tuple[int, ...] | list[int]) -> NDArray[Any]:
    return raster.samples[list(indices)]


def _bands_by_name(raster: Raster) -> list[int] | None:
    """Return the indices of the bands that are named red, green and blue."""
    names = [name.strip().lower() for name in raster.band_names]
    wanted: tuple[Colour, ...] = RGB
    return [names.index(c) for c in wanted] if set(wanted) <= set(names) else None


def _left_out(raster: Raster, chosen: tuple[int, ...] | list[int]) -> Notes:
    rest = [i + 1 for i in raster.picture_bands if i not in chosen]
    return [f"band(s) {', '.join(map(str, rest))} beside red, green, blue left out"] if rest else []


def _to_8_bits(values: NDArray[Any]) -> tuple[NDArray[np.uint8], Notes]:
    """Convert 16-bit samples to 8 bits by the first rule that applies, the same for all bands.

    1. No value is above 255: the samples are 8-bit already.
    2. Every value is a multiple of 257: a picture widened from 8 bits is divided back exactly.
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


def _composite(planes: NDArray[np.uint8], raster: Raster) -> tuple[NDArray[np.uint8], Notes]:
    """Composite half-transparent pixels over black; transparent pixels are no-data already."""
    if "alpha" not in raster.colours:
        return planes, []
    alpha = raster.samples[raster.colours.index("alpha")]
    opaque = 255 if alpha.max() <= 255 else np.iinfo(alpha.dtype).max
    partly = float(np.mean((alpha > 0) & (alpha < opaque)))
    if partly == 0:
        return planes, ["the alpha band was left out"]
    share = np.clip(alpha.astype(np.float32) / np.float32(opaque), 0, 1)
    result = np.rint(planes * share).astype(np.uint8)
    _require_picture(result.reshape(len(result), -1))
    return result, [f"{partly:.1%} half-transparent pixels were put over black"]


def _valid(planes: NDArray[Any], raster: Raster) -> NDArray[np.bool_] | None:
    """Return bool `[H, W]`, false for no-data and transparent pixels; None if there are none."""
    missing = np.zeros(planes.shape[1:], bool)
    if raster.nodata is not None:
        same = np.isnan(planes) if np.isnan(raster.nodata) else planes == raster.nodata
        missing |= same.all(axis=0)
    if raster.mask is not None:
        missing |= ~raster.mask
    if "alpha" in raster.colours:
        missing |= raster.samples[raster.colours.index("alpha")] == 0
    return ~missing if missing.any() else None


def _nodata_note(missing: int, total: int) -> str:
    return f"{missing / total:.1%} of the pixels are no-data or transparent: set to 0"


def _require_known_share(known: int, total: int) -> None:
    if known < (1.0 - MAX_NODATA_SHARE) * total:
        raise ChipContentError(
            f"{1 - known / total:.0%} of the pixels are no-data, at most {MAX_NODATA_SHARE:.0%} "
            f"are accepted; send a chip that lies within the scene"
        )


def _require_finite(values: NDArray[Any]) -> None:
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise ChipContentError(
            f"{bad} of {values.size} pixels are NaN or infinite; replace them, or declare NaN as "
            f"the no-data value"
        )


def _require_picture(bands: NDArray[Any]) -> None:
    """Reject bands `[B, N…]` that are all constant."""
    if all(band.min() == band.max() for band in bands):
        raise ChipContentError(
            f"every pixel has the same value ({float(bands[0].flat[0]):g}); "
            f"send a chip that shows a ship"
        )
