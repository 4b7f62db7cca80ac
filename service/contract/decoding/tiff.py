"""TIFF and GeoTIFF bytes -> Raster, by rasterio with the GTiff driver alone.

The bytes stay in memory, no side-car file, other driver or network is ever consulted, and the
directory is checked (`tiff_layout`) before GDAL sees the file. GDAL is told to open exactly the
checked page, and what it opened is compared with what was checked before a pixel is read.
"""

import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.session import DummySession

from service.contract.chip import Modality
from service.contract.decoding import limits
from service.contract.decoding.bands import RGB, BandLayout, Colour, bands_to_read, marked_as_named
from service.contract.decoding.control_points import local_transform
from service.contract.decoding.missing_data import declared_no_data, suspected_cut
from service.contract.decoding.modality import modality_in
from service.contract.decoding.raster import (
    Georeference,
    Raster,
    black_level,
    gdal_warnings,
    ignore_missing_georeference,
    plain_reason,
    uneven_pixels,
    upright,
)
from service.contract.decoding.tiff_layout import FLOAT, TiffPage, read_full_page
from service.contract.decoding.tiff_segments import require_bounded_segments
from service.contract.errors import CorruptChipError, PixelTypeError, UnsupportedFormatError

_GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_NUM_THREADS": "1",
}
_SAMPLE_BYTES = {
    "uint8": 1,
    "uint16": 2,
    "int16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
    "complex_int16": 4,
}
_COMPRESSIONS = {
    1: "none",
    5: "LZW",
    7: "JPEG",
    8: "Deflate",
    32946: "Deflate",
    32773: "PackBits",
    34887: "LERC",
    34925: "LZMA",
    50000: "ZSTD",
    50001: "WebP",
}
_OPENED_AS = {
    "LZW": "lzw",
    "JPEG": "jpeg",
    "Deflate": "deflate",
    "PackBits": "packbits",
    "LERC": "lerc",
    "LZMA": "lzma",
    "ZSTD": "zstd",
    "WebP": "webp",
}
_PALETTE, _YCBCR = 3, 6
_PHOTOMETRIC = {0, 1, 2, _PALETTE, _YCBCR}
_COLOURS: dict[ColorInterp, Colour] = {
    ColorInterp.red: "red",
    ColorInterp.green: "green",
    ColorInterp.blue: "blue",
    ColorInterp.alpha: "alpha",
    ColorInterp.gray: "grey",
}
MAX_GDAL_NOTES = 3
_SCALE_WORDS = re.compile(r"(?:scale|offset|scale_factor|add_offset)", re.IGNORECASE)
_FAILURES = (RasterioError, CPLE_BaseError, ValueError, OverflowError, TypeError)


def read_tiff(data: bytes, modality: Modality | None, band: int | None) -> Raster:
    """Check the directory against the limits, then decode the bands that are needed.

    Raises:
        EmptyChipError: the directory announces no pixels.
        ChipSizeError: it announces too few or too many, or too many bands.
        GeometryError: there is no such band.
        PixelTypeError: the sample type or colour space is not read.
        UnsupportedFormatError: several pages, or a compression that is not read.
        CorruptChipError: damaged or truncated, or not what its directory says.
    """
    page, mask = read_full_page(data)
    limits.check_bands(page.samples)
    limits.check_picture(page.width, page.height, page.bytes_per_pixel)
    _require_readable(data, page)
    ignore_missing_georeference()
    try:
        with (
            gdal_warnings("rasterio._env") as heard,
            rasterio.Env(session=DummySession(), **_GDAL_OPTIONS),
            MemoryFile(data) as memory,
            rasterio.open(f"GTIFF_DIR:{page.index + 1}:{memory.name}", driver="GTiff") as source,
        ):
            _require_checked_page(source, page)
            valid = None if mask is None else _read_mask(memory, data, mask)
            raster = _to_raster(source, page, valid, modality, band)
    except UnicodeDecodeError as error:
        raise CorruptChipError(
            "the name or the unit of a band of the TIFF is not in UTF-8; write it anew without it"
        ) from error
    except _FAILURES as error:
        raise CorruptChipError(
            f"the TIFF is truncated or damaged ({plain_reason(error)}); send the complete file"
        ) from error
    notes = [f"GDAL warns of the TIFF: {text}" for text in dict.fromkeys(heard) if text]
    notes = notes[:MAX_GDAL_NOTES]
    if page.following_bytes:
        notes.append(f"{page.following_bytes} bytes after the end of the TIFF were ignored")
    return replace(raster, warnings=(*raster.warnings, *notes))


def _require_readable(data: bytes, page: TiffPage) -> None:
    """Reject what can be seen to be unfit without decoding."""
    if page.compression not in _COMPRESSIONS:
        raise UnsupportedFormatError(
            f"the TIFF's compression (code {page.compression}) is not read; use none, "
            f"{', '.join(dict.fromkeys(list(_COMPRESSIONS.values())[1:]))}"
        )
    if page.photometric not in _PHOTOMETRIC:
        raise PixelTypeError(
            f"the TIFF's colour space (photometric {page.photometric}) is not read; save it as "
            f"greyscale, RGB or RGBA"
        )
    if page.bits < 8 and page.photometric != _PALETTE:
        raise PixelTypeError(
            f"the TIFF has {page.bits}-bit samples; a chip needs at least 8 bits per sample"
        )
    # GDAL returns other values than were written, without a warning.
    if (
        page.big_endian
        and page.sample_format == FLOAT
        and _COMPRESSIONS[page.compression] == "LERC"
    ):
        raise UnsupportedFormatError(
            "the TIFF has big-endian floats compressed with LERC, which are misread; write it with "
            "little-endian byte order, or with Deflate"
        )
    if page.photometric == _YCBCR and _COMPRESSIONS[page.compression] != "JPEG":
        raise UnsupportedFormatError(
            "the TIFF has colours as YCbCr without JPEG compression, whose layout is often "
            "declared wrongly; save it as RGB"
        )
    require_bounded_segments(data, page)


def _require_checked_page(source: DatasetReader, page: TiffPage) -> None:
    """Compare what GDAL opened with the page whose numbers were checked."""
    # GDAL takes complex samples of sizes that it does not know for whole numbers, in silence.
    if page.is_complex and not all("complex" in str(kind) for kind in source.dtypes):
        raise PixelTypeError(
            f"the TIFF has complex samples of {page.bits} bits, which are not read; write them as "
            "complex_int16, complex64 or complex128"
        )
    odd = sorted(set(source.dtypes) - _SAMPLE_BYTES.keys())
    if odd:
        raise PixelTypeError(
            f"the TIFF has samples of type {', '.join(map(str, odd))}; expected uint8, uint16, "
            f"int16, float32, float64 or complex"
        )
    opened = "none" if source.compression is None else str(source.compression.value).lower()
    name = _COMPRESSIONS[page.compression]
    same = (
        (source.width, source.height, source.count) == (page.width, page.height, page.samples)
        # GDAL may read a long strip in several blocks.
        and all(
            width == page.segment_width and height <= page.segment_height
            for height, width in source.block_shapes
        )
        and all(_SAMPLE_BYTES[kind] == page.bytes_per_sample for kind in source.dtypes)
        and (opened in ("none", "uncompressed") if name == "none" else _OPENED_AS[name] in opened)
    )
    if not same:
        raise CorruptChipError(
            f"the TIFF contradicts itself: its directory says {page.width} x {page.height} pixels "
            f"of {page.samples} band(s) with {page.bits} bits and compression {name}, the picture "
            f"in it is {source.width} x {source.height} of {source.count} {source.dtypes[0]} and "
            f"{opened}; write the file anew"
        )


def _to_raster(
    source: DatasetReader,
    page: TiffPage,
    mask: NDArray[np.bool_] | None,
    modality: Modality | None,
    band: int | None,
) -> Raster:
    colours = tuple(_COLOURS.get(colour, "unknown") for colour in source.colorinterp)
    names = tuple(name or "" for name in source.descriptions)
    units = tuple(_unit(source, number) for number in source.indexes)
    layout = marked_as_named(
        BandLayout(_kind(source), str(source.dtypes[0]), colours, names, units)
    )
    palette = page.photometric == _PALETTE
    read = (0,) if palette else bands_to_read(layout, modality, band)
    samples: NDArray[Any] = _read_whole(source, [i + 1 for i in read])
    nodata, notes = declared_no_data(page.no_data, samples.dtype)
    if nodata != 0 and mask is None and not palette:
        notes += suspected_cut(samples[[layout.colours[i] != "alpha" for i in read]])
    scales = tuple((float(source.scales[i]), float(source.offsets[i])) for i in read)
    notes += _absences(page) + _unread_metadata(page) + _ignored_scales(source, read)
    if palette:
        if nodata is not None:
            mask = (samples[0] != nodata) & (True if mask is None else mask)
        samples = _expand_palette(source, samples)
        layout, read = BandLayout("u", layout.bit_depth, RGB, ("", "", "")), (0, 1, 2)
        nodata, scales = None, ()
    elif page.photometric == 0 and samples.dtype.kind != "u":
        notes.append(f"white as 0 means nothing for samples of {samples.dtype}: it was ignored")
    elif page.photometric == 0:
        shown = [n for n, i in enumerate(read) if layout.colours[i] != "alpha"]
        black = black_level(samples[shown], nodata, page.bits)
        samples[shown] = black - samples[shown]
        # Unsigned numbers wrap, so that no-data above the black level stays above it.
        nodata = None if nodata is None else (black - nodata) % (1 << 8 * samples.dtype.itemsize)
        notes.append(f"the TIFF stores white as 0; its values were inverted, {black} is black")
    georeference, more = _georeference(source, page)
    notes += more
    if georeference is None:
        notes += _uneven(source)
    if georeference is not None and page.orientation != 1:
        notes.append(f"the orientation {page.orientation} of a GeoTIFF means nothing: ignored")
    elif page.orientation != 1:
        samples = upright(samples, page.orientation)
        mask = None if mask is None else upright(mask, page.orientation)
        notes.append(f"turned upright as the TIFF's orientation {page.orientation} says")
    return Raster(
        container="TIFF",
        samples=samples,
        layout=layout,
        read=read,
        nodata=nodata,
        scales=scales,
        mask=mask,
        premultiplied=page.premultiplied,
        suggestion=_suggested_modality(source, layout),
        georeference=georeference,
        warnings=tuple(notes),
    )


def _absences(page: TiffPage) -> list[str]:
    """Say how many strips or tiles were left out, whose pixels are read as 0 or as no-data."""
    if not page.absent_segments:
        return []
    return [f"{page.absent_segments} of {page.segments} strips or tiles are absent from the TIFF"]


def _unread_metadata(page: TiffPage) -> list[str]:
    if not page.metadata_fault:
        return []
    return [
        f"the names, units and scales of the bands in the TIFF are damaged ({page.metadata_fault}) "
        "and were not read; write it anew if it has any"
    ]


def _unit(source: DatasetReader, number: int) -> str:
    """Return the unit of a band's samples: its own, or the one that a text of the file names."""
    texts = source.tags() | source.tags(number)
    named = {key.lower(): text for key, text in texts.items()}
    return str(source.units[number - 1] or named.get("units") or named.get("unit") or "")


def _ignored_scales(source: DatasetReader, read: tuple[int, ...]) -> list[str]:
    """Say which texts of the file speak of a scale that the bands do not declare as such."""
    if any(source.scales[i] != 1.0 or source.offsets[i] != 0.0 for i in read):
        return []
    tags = source.tags() | {k: v for i in read for k, v in source.tags(i + 1).items()}
    found = [f"{key}={value:.20}" for key, value in tags.items() if _SCALE_WORDS.fullmatch(key)]
    if not found:
        return []
    return [
        f"the file's text says {', '.join(found)}, but no band declares a scale: the samples were "
        "used as they are"
    ]


def _uneven(source: DatasetReader) -> tuple[str, ...]:
    tags = source.tags()
    with suppress(KeyError, ValueError):
        return uneven_pixels(*(float(tags[f"TIFFTAG_{axis}RESOLUTION"]) for axis in "XY"))
    return ()


def _kind(source: DatasetReader) -> str:
    """Return NumPy's kind of all bands: the widest where they differ."""
    kinds = {"c" if "complex" in kind else np.dtype(kind).kind for kind in map(str, source.dtypes)}
    return next(kind for kind in "cfiu" if kind in kinds)


def _read_mask(memory: MemoryFile, data: bytes, page: TiffPage) -> NDArray[np.bool_]:
    """Return the mask page, bool `[H, W]`: true where the picture has data."""
    require_bounded_segments(data, page)
    with rasterio.open(f"GTIFF_DIR:{page.index + 1}:{memory.name}", driver="GTiff") as source:
        _require_checked_page(source, page)
        return np.asarray(_read_whole(source, [1])[0] != 0)


def _read_whole(source: DatasetReader, bands: list[int]) -> NDArray[Any]:
    """Return bands `[B, H, W]`, unless a decoder warns: it fills what is damaged with something."""
    with gdal_warnings("rasterio._err") as heard:
        samples: NDArray[Any] = source.read(bands)
    if heard:
        raise CorruptChipError(
            f"the TIFF is truncated or damaged ({heard[0]}); send the complete file"
        )
    return samples


def _expand_palette(source: DatasetReader, indices: NDArray[Any]) -> NDArray[np.uint8]:
    """Palette indices `[1, H, W]` -> uint8 `[3, H, W]`."""
    if source.count != 1 or indices.dtype != np.uint8:
        raise PixelTypeError(
            f"the TIFF has a palette with {source.count} bands of {source.dtypes[0]}; a palette "
            f"needs one band of uint8"
        )
    table = np.zeros((256, 3), np.uint8)
    for index, colour in source.colormap(1).items():
        table[index] = colour[:3]
    return np.ascontiguousarray(table[indices[0]].transpose(2, 0, 1))


def _georeference(source: DatasetReader, page: TiffPage) -> tuple[Georeference | None, list[str]]:
    """Read the geotransform, else ground control points; None without a map system.

    Returns:
        the georeference; and notes, also on a georeference that is not read.
    """
    if page.georeference_fault:
        return None, [
            f"the file's georeference was not read, because {page.georeference_fault}; send "
            "gsd_m, lat and lon"
        ]
    if not source.transform.is_identity and source.crs:
        return Georeference(source.transform, source.crs), []
    points, points_crs = source.gcps
    if len(points) >= 3 and points_crs:
        transform, crs, notes = local_transform(points, points_crs, page.width, page.height)
        return None if transform is None else Georeference(transform, crs), notes
    unread = {
        f"{len(points)} ground control point(s), of which three with a map system are needed": bool(
            points
        ),
        "a transform without a map system": not source.transform.is_identity,
        "rational polynomial coefficients (RPC)": source.rpcs is not None,
    }
    return None, [
        f"the file's georeference was not read, because it has {what}; send gsd_m, lat and lon"
        for what, found in unread.items()
        if found
    ]


def _suggested_modality(source: DatasetReader, layout: BandLayout) -> Modality | None:
    """Return what the file's text suggests: MODALITY, POLARISATION, or the name of a sensor."""
    tags = {key.upper(): str(value) for key, value in source.tags().items()}
    stated = tags.get("MODALITY", "").strip().lower()
    if stated in {"sar", "optical"}:
        return Modality(stated)
    if tags.keys() & {"POLARISATION", "POLARIZATION"} or layout.mentions_polarisations:
        return Modality.SAR
    return modality_in(tags.get("TIFFTAG_IMAGEDESCRIPTION", ""))
