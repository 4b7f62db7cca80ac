"""SAR samples -> amplitude."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.contract.decoding import missing_data
from service.contract.decoding.bands import (
    are_named_halves,
    choose_sar_band,
    complex_halves,
    is_named_decibels,
)
from service.contract.decoding.modality import has_equal_bands
from service.contract.decoding.raster import Raster
from service.contract.errors import ChipContentError

MAX_NEGATIVE_SHARE = 0.05
DB_RANGE = (-100.0, 60.0)
DB_MEDIAN_BELOW, DB_MINIMUM_BELOW = -2.0, -6.0
MAX_NAMED_DB, MIN_NAMED_DB_SPAN = 100.0, 10.0
"""Uncalibrated counts of 16 bits have up to 96 dB; amplitudes that are calibrated, and named dB by
mistake, span less than 10."""
WRAPPED_BELOW = -(2**14)
"""Counts of 16 bits from 32,768 to 49,151 are smaller numbers where they are read as int16."""
DECIBEL_STEP = 0.01
"""Decibels are rounded to this step, far below any radar's accuracy, so that a product is the same
chip whether it stores them as floats or as scaled integers."""
MAX_ZERO_DB_SHARE = 0.01
"""Measured decibels are seldom exactly 0; tools fill with it."""
HALF_NEGATIVE_SHARE, HALF_MEAN = (0.35, 0.65), 0.25
"""The phase of radar samples is uniform, so that half of each half is negative, and the mean is
far below the standard deviation; neither decibels nor amplitudes are like that."""
AMPLITUDE_RANGE = (1e-6, 1e30)


def sar_amplitude(raster: Raster, band: int | None) -> tuple[NDArray[np.float32], list[str]]:
    """Return one polarisation as amplitude.

    The scale of the file is applied first. Complex samples, also as two bands, become their
    magnitude. Real
    samples that lie in `DB_RANGE` are decibels and become `10^(dB/20)` if they are mostly negative,
    or if the band is named so; minus infinity among them is amplitude 0. Few negative
    values, as noise subtraction leaves them, become 0. Declared no-data becomes 0.

    Args:
        band: 1-based number of the band; None takes the first that is named a polarisation.

    Returns:
        float32 `[H, W]`, finite, not negative, not constant; and notes on what was assumed.

    Raises:
        GeometryError: there is no such band.
        ChipContentError: NaN, infinite, constant, mostly no-data, or not an amplitude.
    """
    index, plane, notes = _plane(raster, band)
    valid, more = missing_data.valid_pixels(plane[None], raster, is_sar=True)
    known = plane.reshape(-1) if valid is None else plane[valid]
    missing_data.require_known_share(known.size, plane.size)
    notes += more
    if "alpha" in raster.layout.colours and missing_data.alpha_band(raster) is None:
        notes.append(missing_data.unused_alpha(raster))
    known, more = _scaled(known, raster.scale(index))
    notes += more
    if known.dtype.kind == "c":
        _require_finite(known)
        known = np.abs(known)
        notes.append("complex samples: the magnitude was used")
    else:
        known, more = _as_amplitude(known, is_named_decibels(raster.layout.described(index)))
        notes += more
    notes += missing_data.suspected_filling(known)
    amplitude = _to_float32(known)
    missing_data.require_picture(amplitude[None])
    if valid is not None:
        whole = np.zeros(plane.shape, np.float32)
        whole[valid] = amplitude
        amplitude = whole
        notes.append(missing_data.nodata_note(plane.size - known.size, plane.size))
    if raster.container != "TIFF":
        notes.append(
            f"a {raster.container} is a quick-look, not a radar product: "
            f"its brightness was taken as amplitude"
        )
    return np.ascontiguousarray(amplitude.reshape(plane.shape)), notes


def _plane(raster: Raster, band: int | None) -> tuple[int, NDArray[Any], list[str]]:
    """Return the samples of the chosen band `[H, W]`, its index, and notes.

    Two bands become complex samples if they are named so, or spread evenly around zero.
    """
    layout = raster.layout
    pair = complex_halves(layout) if band is None else ()
    if pair and set(pair) <= set(raster.read):
        real, imaginary = (raster.band(i).astype(np.float32) for i in pair)
        if are_named_halves(layout, pair) or (_is_half(real) and _is_half(imaginary)):
            names = " and ".join(layout.names[i] or f"band {i + 1}" for i in pair)
            return pair[0], real + 1j * imaginary, [f"{names} are halves of complex samples"]
    index, notes = _choose(raster, band)
    return index, raster.band(index), notes


def _is_half(samples: NDArray[np.float32]) -> bool:
    known = samples[samples != 0]
    if not known.size:
        return False
    least, most = HALF_NEGATIVE_SHARE
    share = float(np.mean(known < 0))
    return least <= share <= most and abs(float(known.mean())) < HALF_MEAN * float(known.std())


def _choose(raster: Raster, band: int | None) -> tuple[int, list[str]]:
    bands = raster.layout.picture_bands
    if band is None and raster.layout.is_rgb and has_equal_bands(raster):
        return bands[0], ["a grey picture stored as RGB: one of its equal bands was used"]
    return choose_sar_band(raster.layout, band)


def _scaled(values: NDArray[Any], scale: tuple[float, float]) -> tuple[NDArray[Any], list[str]]:
    """Apply the scale that the file declares for a band.

    Raises:
        ChipContentError: the file declares an offset, of which nothing says whether it shifts
            decibels or amplitudes, or a scale that is not positive.
    """
    factor, offset = scale
    if not (np.isfinite(factor) and factor > 0.0):
        raise ChipContentError(
            f"the file declares SCALE {factor:g}; a scale must be positive: send the values "
            "themselves, as `gdal_translate -unscale -ot Float32` writes them"
        )
    if offset != 0.0:
        raise ChipContentError(
            f"the file declares SCALE {factor:g} and OFFSET {offset:g}; a shifted SAR sample may "
            "mean decibels or amplitude: send the values themselves, as `gdal_translate -unscale "
            "-ot Float32` writes them"
        )
    if factor == 1.0:
        return values, []
    with np.errstate(over="ignore"):  # an infinite amplitude is rejected later
        return values * np.float64(factor), [f"the file's scale {factor:g} was applied"]


def _as_amplitude(values: NDArray[Any], named_db: bool) -> tuple[NDArray[Any], list[str]]:
    """Convert real samples into values that are not negative.

    Decibels are converted, few negative values are set to 0.

    Args:
        named_db: whether the description of the band says that they are decibels.
    """
    finite = values[~np.isneginf(values)] if values.dtype.kind == "f" else values
    if not finite.size:
        raise ChipContentError("every pixel is minus infinity; send a chip that shows a ship")
    _require_finite(finite)
    low, high = float(finite.min()), float(finite.max())
    if _are_decibels(finite, named_db):
        notes = [f"values from {low:.1f} to {high:.1f} are decibels: turned into amplitude"]
        if finite.size < values.size:
            notes.append(f"{values.size - finite.size} pixels of minus infinity dB are amplitude 0")
        filled = float(np.mean(finite == 0.0)) if low < 0 and values.dtype.kind == "f" else 0.0
        if filled > MAX_ZERO_DB_SHARE:
            notes.append(
                f"{filled:.1%} of the pixels are exactly 0 dB, a bright echo; if they hold no "
                "data, declare 0 as the no-data value"
            )
        rounded = np.rint(values.astype(np.float64) / DECIBEL_STEP) * DECIBEL_STEP
        return np.power(10.0, rounded / 20.0), notes
    if low >= 0:
        _require_finite(values)
        if not named_db:
            return values, []
        return values, [
            f"the band is named decibels, but its values from {low:g} to {high:g} are not: used as "
            "amplitude"
        ]
    share = float(np.mean(values < 0))
    if share <= MAX_NEGATIVE_SHARE:
        _require_finite(values)
        note = f"{share:.1%} negative values were set to 0"
        if values.dtype.kind == "i" and low < WRAPPED_BELOW:
            note += f"; down to {low:g}, they may be bright pixels of uint16 written as int16"
        return np.maximum(values, 0), [note]
    raise ChipContentError(
        f"{share:.0%} of the SAR values are negative (from {low:g} to {high:g}): neither "
        f"amplitude nor decibels; send amplitude, complex samples, or dB within "
        f"{DB_RANGE[0]:.0f}..{DB_RANGE[1]:.0f}, whose band or unit is named dB if they are mostly "
        f"positive, and declare no-data values"
    )


def _are_decibels(finite: NDArray[Any], named_db: bool) -> bool:
    """Return whether values are decibels; where many are positive, the name of the band decides."""
    low, high = float(finite.min()), float(finite.max())
    if low < DB_RANGE[0] or high > (MAX_NAMED_DB if named_db else DB_RANGE[1]):
        return False
    if low >= 0:  # counts of 8 bits may be decibels on any scale
        return named_db and finite.dtype.kind == "f" and high - low >= MIN_NAMED_DB_SPAN
    return named_db or (low < DB_MINIMUM_BELOW and float(np.median(finite)) <= DB_MEDIAN_BELOW)


def _to_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Convert to float32; reject a largest amplitude that is out of all proportion."""
    largest = float(values.max())
    if largest > AMPLITUDE_RANGE[1] or 0 < largest < AMPLITUDE_RANGE[0]:
        raise ChipContentError(
            f"the largest SAR amplitude is {largest:g}; expected {AMPLITUDE_RANGE[0]:g} to "
            f"{AMPLITUDE_RANGE[1]:g}: scale the values by a constant"
        )
    return values.astype(np.float32, copy=False)


def _require_finite(values: NDArray[Any]) -> None:
    bad = values.size - int(np.count_nonzero(np.isfinite(values)))
    if bad:
        raise ChipContentError(
            f"{bad} of {values.size} pixels are NaN or infinite; replace them, or declare NaN as "
            f"the no-data value"
        )
