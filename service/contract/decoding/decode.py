"""Decode a chip file; every uploaded or stored chip is decoded here."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from service.contract.chip import DEFAULT_GSD_M, Chip, ChipGround, FileGrid, GsdSource, Modality
from service.contract.decoding import limits
from service.contract.decoding.geo import GeoreferenceError, PixelGround, check_gsd, pixel_ground
from service.contract.decoding.modality import resolve_modality
from service.contract.decoding.optical_rgb import optical_rgb
from service.contract.decoding.picture import read_jpeg, read_png
from service.contract.decoding.raster import Raster
from service.contract.decoding.sar_amplitude import sar_amplitude
from service.contract.decoding.sniff import Container, container_of
from service.contract.decoding.tiff import read_tiff
from service.contract.errors import GeometryError

SQUARE_TOLERANCE = 0.02
MAX_PIXEL_ASPECT = 8.0
GSD_DISAGREEMENT = 0.05
MAX_SKEW_DEG = 10.0
"""A ship that is skewed more is measured more than about 10 % wrong."""


def decode_chip(
    data: bytes,
    *,
    modality: Modality | None = None,
    gsd_m: float | None = None,
    band: int | None = None,
) -> Chip:
    """Decode one chip from memory; safe to call from several threads.

    The ground sampling distance is the parameter, else the GeoTIFF's, else the modality's
    default with a warning. If the GeoTIFF's pixels are not square, they are resampled (bilinear)
    to squares of their shorter side, so that length and width are right, unless `gsd_m` is given.

    Args:
        data: a TIFF, PNG or JPEG file.
        modality: the sensor; required if the file does not determine it
            (`service.contract.decoding.modality`).
        gsd_m: metres per pixel, 0.05 to 30.
        band: 1-based band of a SAR file with several polarisations.

    Returns:
        The chip: SAR amplitude (`sar_amplitude`) or RGB (`optical_rgb`).

    Raises:
        ChipError: the file cannot be used; the message says why and what would be right.
    """
    limits.check_file(len(data))
    if gsd_m is not None:
        check_gsd(gsd_m, "that was sent")
    if band is not None and band < 1:
        raise GeometryError(f"band {band} was asked for; bands count from 1")
    container = container_of(data)
    raster = _read(container, data, modality, band)
    resolved, notes = resolve_modality(raster, modality)
    pixels, more = _pixels(raster, resolved, band)
    notes += more
    ground, more = _ground(raster)
    notes += more
    reversed_rows = ground is not None and ground.is_mirrored
    if ground is not None and ground.is_mirrored:
        pixels, ground = np.ascontiguousarray(pixels[::-1]), ground.upside_down()
        notes.append(
            "the GeoTIFF shows the ground mirrored, as where its rows run north, or latitude and "
            "longitude are exchanged: its rows were reversed"
        )
    if ground is not None and _is_measured_gsd(gsd_m, ground):
        _require_right_angles(ground)
        pixels, more = _square(pixels, ground)
        notes += more
    distance, source, more = _sampling(resolved, gsd_m, ground)
    if ground is not None and ground.misplaced:
        notes.append(
            f"the GeoTIFF lies {ground.misplaced}: its position was ignored; send lat and lon"
        )
        ground = None
    return Chip(
        pixels=pixels,
        modality=resolved,
        gsd_m=distance,
        gsd_source=source,
        bit_depth=raster.layout.bit_depth,
        digest=hashlib.sha256(data).hexdigest(),
        position=None if ground is None else ground.position,
        warnings=(*raster.warnings, *notes, *more),
        ground=None if ground is None else _chip_ground(ground, raster.samples.shape, pixels.shape),
        grid=_grid(raster.samples.shape, pixels.shape, reversed_rows),
    )


def _read(container: Container, data: bytes, modality: Modality | None, band: int | None) -> Raster:
    if container == "TIFF":
        return read_tiff(data, modality, band)
    return read_png(data) if container == "PNG" else read_jpeg(data)


def _pixels(raster: Raster, modality: Modality, band: int | None) -> tuple[NDArray[Any], list[str]]:
    """Interpret the samples as the modality's pixels."""
    if modality is Modality.SAR:
        return sar_amplitude(raster, band)
    if band is not None:
        raise GeometryError(
            f"band {band} was asked for, but the chip is optical; band chooses a SAR polarisation"
        )
    return optical_rgb(raster)


def _ground(raster: Raster) -> tuple[PixelGround | None, list[str]]:
    if raster.georeference is None:
        return None, []
    _, height, width = raster.samples.shape
    try:
        return pixel_ground(raster.georeference, width=width, height=height), []
    except GeoreferenceError as error:
        return None, [
            f"the GeoTIFF's position and pixel size are unusable and were ignored: {error}"
        ]


def _chip_ground(
    ground: PixelGround, samples: tuple[int, ...], pixels: tuple[int, ...]
) -> ChipGround:
    """Return where the pixels lie, which may have been resampled to squares."""
    across, down = samples[2] / pixels[1], samples[1] / pixels[0]
    return ChipGround(
        centre=ground.position,
        middle=((pixels[1] - 1) / 2, (pixels[0] - 1) / 2),
        column_step=(ground.across[0] * across, ground.across[1] * across),
        row_step=(ground.down[0] * down, ground.down[1] * down),
    )


def _grid(samples: tuple[int, ...], pixels: tuple[int, ...], reversed_rows: bool) -> FileGrid:
    across, down = samples[2] / pixels[1], samples[1] / pixels[0]
    return FileGrid(across, -down, samples[1]) if reversed_rows else FileGrid(across, down)


def _is_measured_gsd(gsd_m: float | None, ground: PixelGround) -> bool:
    """Return whether the GSD of the GeoTIFF holds: `gsd_m` is equal to it, or not given."""
    if gsd_m is None:
        return True
    finest, coarsest = sorted((ground.across_m, ground.down_m))
    if abs(finest - gsd_m) <= GSD_DISAGREEMENT * gsd_m:
        return True
    if abs(coarsest - gsd_m) <= GSD_DISAGREEMENT * gsd_m:
        raise GeometryError(
            f"gsd_m {gsd_m:g} is one side of pixels that measure {ground.across_m:.3g} m x "
            f"{ground.down_m:.3g} m in the GeoTIFF; leave gsd_m out, or resample the chip"
        )
    return False


def _require_right_angles(ground: PixelGround) -> None:
    if ground.skew_deg > MAX_SKEW_DEG:
        raise GeometryError(
            f"the GeoTIFF's rows and columns miss a right angle by {ground.skew_deg:.0f} degrees; "
            "resample the chip, e.g. with gdalwarp, or send gsd_m"
        )


def _square(pixels: NDArray[Any], ground: PixelGround) -> tuple[NDArray[Any], list[str]]:
    """Resample to square pixels, unless they differ from squares by at most 2 %."""
    finest = min(ground.across_m, ground.down_m)
    stretch_x, stretch_y = ground.across_m / finest, ground.down_m / finest
    if max(stretch_x, stretch_y) <= 1.0 + SQUARE_TOLERANCE:
        return pixels, []
    spacing = f"{ground.across_m:.3g} m x {ground.down_m:.3g} m"
    if max(stretch_x, stretch_y) > MAX_PIXEL_ASPECT:
        raise GeometryError(
            f"the GeoTIFF's pixels measure {spacing}, too far from square; resample the chip, or "
            f"send gsd_m"
        )
    height, width = pixels.shape[:2]
    new_width, new_height = round(width * stretch_x), round(height * stretch_y)
    limits.check_picture(new_width, new_height, pixels.dtype.itemsize)
    resampled = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.BILINEAR)
    return np.array(resampled), [
        f"pixels of {spacing} were resampled to squares: {width} x {height} became "
        f"{new_width} x {new_height}"
    ]


def _sampling(
    modality: Modality, gsd_m: float | None, ground: PixelGround | None
) -> tuple[float, GsdSource, list[str]]:
    """Return metres per pixel, their source, and warnings for the analyst."""
    measured = None if ground is None else min(ground.across_m, ground.down_m)
    if gsd_m is not None:
        if ground is None or _is_measured_gsd(gsd_m, ground):
            return float(gsd_m), "parameter", []
        sides = dict.fromkeys(f"{side:.3g} m" for side in (ground.across_m, ground.down_m))
        return (
            float(gsd_m),
            "parameter",
            [f"gsd_m {gsd_m:g} was used although the GeoTIFF says {' x '.join(sides)}"],
        )
    if measured is not None:
        return check_gsd(measured, "in the GeoTIFF"), "geotiff", []
    default = DEFAULT_GSD_M[modality]
    return (
        default,
        "default",
        [
            f"no ground sampling distance was given: {default:g} m per pixel was assumed, and the "
            f"length depends on it; send gsd_m"
        ],
    )
