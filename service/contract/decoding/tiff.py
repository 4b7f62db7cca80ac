"""Read TIFF and GeoTIFF files with rasterio's GTiff driver.

The file stays in memory; side-car files, other drivers and the network are not used. The file's
directory is checked (`tiff_layout`) before GDAL opens the file.
"""

import re
import warnings
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.session import DummySession
from rasterio.transform import from_gcps

from service.contract.chip import Modality
from service.contract.decoding.orientation import upright
from service.contract.decoding.raster import RGB, ChipLimits, Colour, Georeference, Raster
from service.contract.decoding.tiff_layout import TiffPage, read_only_page
from service.contract.errors import CorruptChipError, PixelTypeError, UnsupportedFormatError

_GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "1",
}
_SAMPLE_TYPES = frozenset(
    {"uint8", "uint16", "int16", "float32", "float64", "complex64", "complex128", "complex_int16"}
)
_PALETTE = 3
_PHOTOMETRIC = {0, 1, 2, _PALETTE, 6}
_COLOURS: dict[ColorInterp, Colour] = {
    ColorInterp.red: "red",
    ColorInterp.green: "green",
    ColorInterp.blue: "blue",
    ColorInterp.alpha: "alpha",
    ColorInterp.gray: "grey",
}
_SAR_WORDS = re.compile(
    r"\bSAR\b|Sentinel-?1|TerraSAR|TanDEM|PAZ-1|RADARSAT|COSMO-?SkyMed|\bICEYE|\bCapella|\bUmbra\b"
    r"|Gaofen-?3|\bGF-?3|ALOS-?2|\bPALSAR|\bNISAR",
    re.IGNORECASE,
)
_POLARISATION = re.compile(r"(?<![a-z])(?:HH|HV|VH|VV|RH|RV|LH|LV)(?![a-z])", re.IGNORECASE)
_FAILURES = (RasterioError, CPLE_BaseError, ValueError, OverflowError, MemoryError, TypeError)


def read_tiff(data: bytes, limits: ChipLimits) -> Raster:
    """Check the directory against the limits, then decode all bands.

    Raises:
        EmptyChipError: the directory announces no pixels.
        ChipSizeError: it announces too few or too many pixels, or too many bands.
        PixelTypeError: the sample type or colour space is not supported.
        UnsupportedFormatError: several pages, or a compression that is not supported.
        CorruptChipError: damaged or truncated.
    """
    page = read_only_page(data)
    limits.check_bands(page.samples)
    limits.check_picture(page.width, page.height, page.bytes_per_pixel)
    _require_readable(page, limits)
    _silence_missing_georeference()
    try:
        with (
            rasterio.Env(session=DummySession(), **_GDAL_OPTIONS),
            MemoryFile(data) as memory,
            memory.open(driver="GTiff") as source,
        ):
            _require_sample_type(source)
            return _to_raster(source, page)
    except _FAILURES as error:
        reason = _plain_reason(error)
        if "codec" in reason or "ompression" in reason:
            raise UnsupportedFormatError(
                f"the TIFF's compression is not read ({reason}); "
                f"use none, LZW, Deflate, PackBits, ZSTD or JPEG"
            ) from error
        raise CorruptChipError(
            f"the TIFF is truncated or damaged ({reason}); send the complete file"
        ) from error


def _require_readable(page: TiffPage, limits: ChipLimits) -> None:
    """Reject files that cannot be used according to the directory alone."""
    if page.photometric not in _PHOTOMETRIC:
        raise PixelTypeError(
            f"the TIFF's colour space (photometric {page.photometric}) is not read; save it as "
            f"greyscale, RGB or RGBA"
        )
    if page.bits < 8 and page.photometric != _PALETTE:
        raise PixelTypeError(
            f"the TIFF has {page.bits}-bit samples; a chip needs at least 8 bits per sample"
        )
    if page.tile_pixels * page.bytes_per_pixel > limits.max_decoded_bytes:
        raise CorruptChipError(
            f"one tile of the TIFF claims {page.tile_pixels} pixels, more than the picture may "
            f"have; write the file with tiles of 256 x 256 or with strips"
        )


def _require_sample_type(source: DatasetReader) -> None:
    odd = sorted(set(source.dtypes) - _SAMPLE_TYPES)
    if odd:
        raise PixelTypeError(
            f"the TIFF has samples of type {', '.join(map(str, odd))}; expected uint8, uint16, "
            f"int16, float32, float64 or complex"
        )


def _to_raster(source: DatasetReader, page: TiffPage) -> Raster:
    samples: NDArray[Any] = source.read()
    nodata = None if source.nodata is None else float(source.nodata)
    mask = _dataset_mask(source)
    colours = tuple(_COLOURS.get(colour, "unknown") for colour in source.colorinterp)
    names = tuple(name or "" for name in source.descriptions)
    notes: list[str] = []
    if page.photometric == _PALETTE:
        samples, colours, names = _expand_palette(source, samples), RGB, ("", "", "")
        nodata = None
    elif page.photometric == 0 and samples.dtype.kind == "u":
        white = (1 << min(page.bits, 8 * samples.dtype.itemsize)) - 1
        samples = (white - samples).astype(samples.dtype)
        nodata = None if nodata is None else white - nodata
        notes.append("the TIFF stores white as 0; its values were inverted")
    georeference = _georeference(source)
    if georeference is None and page.orientation != 1:
        samples = upright(samples, page.orientation)
        mask = None if mask is None else upright(mask, page.orientation)
        notes.append(f"turned upright as the TIFF's orientation {page.orientation} says")
    return Raster(
        container="TIFF",
        samples=samples,
        bit_depth=str(source.dtypes[0]),
        colours=colours,
        band_names=names,
        nodata=nodata,
        mask=mask,
        hint=_modality_hint(source, names),
        georeference=georeference,
        warnings=tuple(notes),
    )


def _dataset_mask(source: DatasetReader) -> NDArray[np.bool_] | None:
    """Return the internal mask, if the file has one that is not an alpha band."""
    flags = source.mask_flag_enums[0]
    if MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags:
        return np.asarray(source.dataset_mask() != 0)
    return None


def _expand_palette(source: DatasetReader, indices: NDArray[Any]) -> NDArray[np.uint8]:
    """Replace palette indices `[1, H, W]` by colours, uint8 `[3, H, W]`."""
    if source.count != 1 or indices.dtype != np.uint8:
        raise PixelTypeError(
            f"the TIFF has a palette with {source.count} bands of {source.dtypes[0]}; a palette "
            f"needs one band of uint8"
        )
    table = np.zeros((256, 3), np.uint8)
    for index, colour in source.colormap(1).items():
        table[index] = colour[:3]
    return np.ascontiguousarray(table[indices[0]].transpose(2, 0, 1))  # [H, W, 3] -> [3, H, W]


def _georeference(source: DatasetReader) -> Georeference | None:
    """Return the geotransform or the fitted ground control points; None without a map system."""
    points, points_crs = source.gcps
    if source.transform.is_identity and len(points) >= 3 and points_crs:
        return Georeference(from_gcps(points), points_crs)
    if source.transform.is_identity or not source.crs:
        return None
    return Georeference(source.transform, source.crs)


def _modality_hint(source: DatasetReader, names: tuple[str, ...]) -> Modality | None:
    """Return the modality by MODALITY, POLARISATION, polarised band names, or the sensor's name."""
    tags = {key.upper(): str(value) for key, value in source.tags().items()}
    stated = tags.get("MODALITY", "").strip().lower()
    if stated in {"sar", "optical"}:
        return Modality(stated)
    polarised = any(_POLARISATION.search(name) for name in names)
    if polarised or tags.keys() & {"POLARISATION", "POLARIZATION"}:
        return Modality.SAR
    if _SAR_WORDS.search(tags.get("TIFFTAG_IMAGEDESCRIPTION", "")):
        return Modality.SAR
    return None


def _silence_missing_georeference() -> None:
    """Suppress rasterio's warning about a missing georeference, which chips do not need.

    The filter is added once and stays: `warnings.catch_warnings` is not thread-safe.
    """
    known = any(
        action == "ignore" and category is NotGeoreferencedWarning
        for action, _, category, _, _ in warnings.filters
    )
    if not known:
        warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


def _plain_reason(error: BaseException) -> str:
    """Return GDAL's message without the name of the file in memory, printable and short."""
    cause = error.__cause__ if isinstance(error.__cause__, CPLE_BaseError) else error
    text = getattr(cause, "errmsg", None) or str(cause) or type(cause).__name__
    text = re.sub(r"(?:/vsimem/)?[0-9a-f-]{36}(?:/[0-9a-f-]{36})?(?:\.\w+)?[:,]?\s*", "", text)
    return "".join(c if c.isprintable() else "?" for c in text)[:200].strip()
