"""Files that can be decoded but are no chip: contents, sample types, claims, parameters."""

import numpy as np
from PIL import Image

from service.contract.errors import ChipContentError, GeometryError, ModalityError, PixelTypeError
from tests.support.inputs.chip_builders import (
    constant,
    georeferenced,
    good_jpeg,
    good_png,
    good_rgb,
    good_sar,
    with_values,
)
from tests.support.inputs.chip_files import (
    image_bytes,
    picture_bytes,
    rgb_planes,
    sar_plane,
    tiff_bytes,
)
from tests.support.inputs.malformed_case import OPTICAL, SAR, MalformedCase

CONTENT = [
    MalformedCase("sar-all-nan", lambda: with_values(np.nan), ChipContentError, "NaN"),
    MalformedCase("sar-one-nan", lambda: with_values(np.nan, 0.001), ChipContentError, "NaN"),
    MalformedCase("sar-one-inf", lambda: with_values(np.inf, 0.001), ChipContentError, "infinite"),
    MalformedCase("sar-minus-inf", lambda: with_values(-np.inf, 0.1), ChipContentError, "infinite"),
    MalformedCase("sar-constant", lambda: constant(sar_plane(), 3), ChipContentError, "same value"),
    MalformedCase("sar-all-zero", lambda: constant(sar_plane(), 0), ChipContentError, "same value"),
    MalformedCase(
        "rgb-constant", lambda: constant(rgb_planes(), 9), ChipContentError, "same value", OPTICAL
    ),
    MalformedCase(
        "rgb-one-colour",
        lambda: tiff_bytes(
            np.broadcast_to(np.array([200, 30, 40], np.uint8)[:, None, None], (3, 60, 20)).copy()
        ),
        ChipContentError,
        "same value",
    ),
    MalformedCase(
        "png-black",
        lambda: picture_bytes(np.zeros((60, 20, 3), np.uint8), "PNG"),
        ChipContentError,
        "same value",
        OPTICAL,
    ),
    MalformedCase(
        "rgba-all-transparent",
        lambda: tiff_bytes(
            np.concatenate([rgb_planes(), np.zeros((1, 60, 20), np.uint8)]),
            photometric="RGB",
            alpha="YES",
        ),
        ChipContentError,
        "no-data",
    ),
    MalformedCase(
        "sar-mostly-declared-nodata",
        lambda: with_values(-9999, 0.7, nodata=-9999),
        ChipContentError,
        "70% of the pixels are no-data",
    ),
    MalformedCase(
        "sar-undeclared-nodata", lambda: with_values(-9999, 0.2), ChipContentError, "declare"
    ),
    MalformedCase(
        "sar-standardised",
        lambda: tiff_bytes((sar_plane() - 0.6) / np.float32(0.5)),
        ChipContentError,
        "negative",
    ),
    MalformedCase(
        "sar-all-negative", lambda: tiff_bytes(-1000 * sar_plane() - 1), ChipContentError, "100%"
    ),
    MalformedCase(
        "sar-overflows-float32",
        lambda: tiff_bytes(sar_plane().astype(np.float64) * 1e200),
        ChipContentError,
        "scale",
    ),
    MalformedCase(
        "sar-vanishing",
        lambda: tiff_bytes(sar_plane() * np.float32(1e-12)),
        ChipContentError,
        "1e-06",
    ),
    MalformedCase(
        "complex-nan",
        lambda: tiff_bytes(np.where(sar_plane() > 1.2, np.nan, sar_plane()).astype(np.complex64)),
        ChipContentError,
        "NaN",
    ),
    MalformedCase(
        "optical-negative",
        lambda: tiff_bytes(rgb_planes().astype(np.int16) - 100),
        ChipContentError,
        "0 or more",
        OPTICAL,
    ),
]


TYPES = [
    *(
        MalformedCase(
            f"sar-{kind}",
            lambda kind=kind: tiff_bytes((sar_plane() * 50).astype(kind)),  # type: ignore[misc]
            PixelTypeError,
            kind,
            SAR,
        )
        for kind in ("int8", "int32", "uint32", "int64", "uint64")
    ),
    MalformedCase(
        "tiff-1-bit",
        lambda: tiff_bytes((sar_plane() > 1).astype(np.uint8), nbits=1),
        PixelTypeError,
        "1-bit",
        SAR,
    ),
    MalformedCase(
        "png-1-bit",
        lambda: image_bytes(Image.fromarray(sar_plane() > 1), "PNG"),
        PixelTypeError,
        "1-bit",
    ),
    MalformedCase(
        "tiff-cmyk",
        lambda: tiff_bytes(np.concatenate([rgb_planes(), rgb_planes()[:1]]), photometric="CMYK"),
        PixelTypeError,
        "colour space",
        OPTICAL,
    ),
    MalformedCase(
        "tiff-lab",
        lambda: tiff_bytes(rgb_planes(), photometric="CIELAB"),
        PixelTypeError,
        "colour space",
    ),
    MalformedCase(
        "optical-float-rgb",
        lambda: tiff_bytes(rgb_planes().astype(np.float32) / 255),
        PixelTypeError,
        "uint8 or uint16",
        OPTICAL,
    ),
    MalformedCase(
        "optical-2-bands",
        lambda: tiff_bytes(rgb_planes()[:2].astype(np.uint16)),
        PixelTypeError,
        "1, 3 or 4 bands",
        OPTICAL,
    ),
    MalformedCase(
        "optical-8-bands",
        lambda: tiff_bytes(np.tile(rgb_planes().astype(np.uint16)[:2], (4, 1, 1))),
        PixelTypeError,
        "1, 3 or 4 bands",
        OPTICAL,
    ),
]


CLAIMS = [
    MalformedCase("rgb-claimed-sar", good_rgb, ModalityError, "optical", SAR),
    MalformedCase("png-colour-claimed-sar", good_png, ModalityError, "optical", SAR),
    MalformedCase("jpeg-colour-claimed-sar", good_jpeg, ModalityError, "optical", SAR),
    MalformedCase("float-claimed-optical", good_sar, PixelTypeError, "8 or 16 bits", OPTICAL),
    MalformedCase(
        "complex-claimed-optical",
        lambda: tiff_bytes(sar_plane().astype(np.complex64)),
        ModalityError,
        "complex",
        OPTICAL,
    ),
    MalformedCase(
        "polarisation-claimed-optical",
        lambda: tiff_bytes(
            (sar_plane() * 99).astype(np.uint16), lambda f: f.set_band_description(1, "VV")
        ),
        ModalityError,
        "named after a polarisation",
        OPTICAL,
    ),
    *(
        MalformedCase(
            f"one-band-{kind}-unclaimed",
            lambda kind=kind: tiff_bytes((sar_plane() * 50).astype(kind)),  # type: ignore[misc]
            ModalityError,
            "may be optical or SAR",
        )
        for kind in ("uint8", "uint16", "int16")
    ),
    MalformedCase(
        "grey-png-unclaimed",
        lambda: picture_bytes(rgb_planes()[0], "PNG"),
        ModalityError,
        "may be optical or SAR",
    ),
    MalformedCase(
        "grey-jpeg-unclaimed",
        lambda: picture_bytes(rgb_planes()[0], "JPEG"),
        ModalityError,
        "may be optical or SAR",
    ),
    MalformedCase(
        "grey-rgb-png-unclaimed",
        lambda: picture_bytes(np.repeat(rgb_planes()[0][..., None], 3, 2), "PNG"),
        ModalityError,
        "may be optical or SAR",
    ),
    MalformedCase(
        "float-rgb-unclaimed",
        lambda: tiff_bytes(rgb_planes().astype(np.float32) / 255),
        ModalityError,
        "modality",
    ),
]


PARAMETERS = [
    *(
        MalformedCase(f"gsd-{gsd:g}", good_sar, GeometryError, "gsd_m", SAR, gsd_m=gsd)
        for gsd in (0.0, -1.0, float("nan"), float("inf"), 0.01, 31.0, 1e9)
    ),
    *(
        MalformedCase(f"band-{band}", good_sar, GeometryError, f"band {band}", SAR, band=band)
        for band in (0, -1, 2, 10**6)
    ),
    MalformedCase("band-of-optical", good_rgb, GeometryError, "optical", OPTICAL, band=1),
    MalformedCase("geotiff-1-km", lambda: georeferenced(1000.0), GeometryError, "in the GeoTIFF"),
    MalformedCase("geotiff-1-mm", lambda: georeferenced(0.001), GeometryError, "in the GeoTIFF"),
    MalformedCase("geotiff-20-to-1", lambda: georeferenced(1.0, 20.0), GeometryError, "square"),
]
