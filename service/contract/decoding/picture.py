"""Read PNG and JPEG files with Pillow's plugins and GDAL's drivers for these two formats.

They are called directly, so that no other format is tried. The size in the header is checked
against the limits before the pixels are decoded.
"""

import io
import struct
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile
from rasterio.session import DummySession

from service.contract.decoding.bands import RGB, BandLayout, Colour
from service.contract.decoding.limits import check_picture
from service.contract.decoding.picture_bounds import jpeg_header, picture_of_jpeg, picture_of_png
from service.contract.decoding.raster import (
    ORIENTATION_TAG,
    Raster,
    ignore_missing_georeference,
    ignore_warnings,
    plain_reason,
    uneven_pixels,
    upright,
)
from service.contract.errors import (
    ChipError,
    CorruptChipError,
    PixelTypeError,
    UnsupportedFormatError,
)

_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    EOFError,
    OverflowError,
    MemoryError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
_GDAL_OPTIONS = {
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "YES",
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",  # it does not notice missing rows
}
_COLOURS: dict[str, tuple[Colour, ...]] = {
    "L": ("grey",),
    "I;16": ("grey",),
    "LA": ("grey", "alpha"),
    "RGB": RGB,
    "RGBA": (*RGB, "alpha"),
}
_COLOURS_OF_COUNT = {len(colours): colours for colours in _COLOURS.values()}
_PNG_HEADER = struct.Struct(">4sIIBB")
_PNG_HEADER_AT = 12
USUAL_GAMMA, GAMMA_TOLERANCE = 1 / 2.2, 0.05
"""PNG specification, 11.3.2.2: that of sRGB."""
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def read_png(data: bytes) -> Raster:
    """Decode a PNG of 8 or 16 bits: grey, RGB, with alpha or palette.

    Raises:
        EmptyChipError, ChipSizeError: the header announces too few or too many pixels.
        UnsupportedFormatError: an animation.
        PixelTypeError: fewer than 8 bits per sample.
        CorruptChipError: damaged or truncated.
    """
    try:
        name, width, height, bits, colour_type = _PNG_HEADER.unpack_from(data, _PNG_HEADER_AT)
    except struct.error as error:
        raise _corrupt("PNG", "it ends in its header") from error
    if name != b"IHDR":
        raise _corrupt("PNG", "it does not begin with an IHDR chunk")
    check_picture(width, height, 8)
    picture = picture_of_png(
        data, height * (1 + width * _PNG_CHANNELS.get(colour_type, 4) * bits // 8)
    )
    if bits < 8 and colour_type != 3:
        raise PixelTypeError(
            f"the PNG has {bits}-bit samples; a chip needs at least 8 bits per sample"
        )
    return _read(*picture, "PNG", PngImageFile, f"uint{max(bits, 8)}")


def read_jpeg(data: bytes) -> Raster:
    """Decode a JPEG: grey, colour or CMYK (turned into RGB).

    Raises:
        EmptyChipError, ChipSizeError: the header announces too few or too many pixels.
        CorruptChipError: damaged or truncated.
    """
    header = jpeg_header(data, 0, len(data))
    check_picture(header.width, header.height, 8)
    return _read(*picture_of_jpeg(data, header), "JPEG", JpegImageFile, "uint8")


def _read(
    data: bytes, following_bytes: int, container: str, plugin: type[ImageFile], bit_depth: str
) -> Raster:
    # Of EXIF data only the orientation is used, so that malformed ones do not matter.
    ignore_warnings(UserWarning, r"PIL\.\w+ImagePlugin")
    ignore_missing_georeference()
    try:
        with plugin(io.BytesIO(data)) as picture:
            check_picture(picture.width, picture.height, 8)
            if getattr(picture, "n_frames", 1) > 1:
                raise UnsupportedFormatError(
                    f"the {container} is an animation; send one still picture"
                )
            raster = _to_raster(picture, container, bit_depth, _decoded_whole(data, container))
    except ChipError:
        raise
    except _FAILURES as error:
        raise _corrupt(container, str(error)) from error
    if not following_bytes:
        return raster
    note = f"{following_bytes} bytes after the end of the {container} were ignored"
    return replace(raster, warnings=(*raster.warnings, note))


def _decoded_whole(data: bytes, driver: str) -> NDArray[Any]:
    """Return what GDAL decodes, `[bands, H, W]`.

    Pillow fills rows that are missing or damaged in silence, and keeps 8 of 16 bits of colour.
    """
    try:
        with (
            rasterio.Env(session=DummySession(), **_GDAL_OPTIONS),
            MemoryFile(data) as memory,
            memory.open(driver=driver) as source,
        ):
            samples: NDArray[Any] = source.read()
            return samples
    except (RasterioError, CPLE_BaseError) as error:
        raise _corrupt(driver, plain_reason(error)) from error


def _to_raster(picture: ImageFile, container: str, bit_depth: str, decoded: NDArray[Any]) -> Raster:
    notes: tuple[str, ...] = ()
    orientation = picture.getexif().get(ORIENTATION_TAG, 1)
    image: Image.Image = picture
    if picture.mode == "P":
        _require_whole_palette(picture)
        transparent = "transparency" in picture.info
        image = picture.convert("RGBA" if transparent else "RGB")
    elif picture.mode == "CMYK":
        image = picture.convert("RGB")
        negative = "" if "adobe" in picture.info else "; send it as RGB if it is a negative now"
        notes = (f"the JPEG is CMYK; it was turned into RGB without its colour profile{negative}",)
    if image.mode not in _COLOURS:
        raise PixelTypeError(
            f"the {container} has pixels of mode {image.mode}; expected grey, RGB or RGBA"
        )
    values = np.asarray(image)
    # [H, W] or [H, W, bands] -> [bands, H, W]
    samples = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    colours = _COLOURS[image.mode]
    if decoded.dtype == np.uint16:
        samples, colours = decoded, _COLOURS_OF_COUNT[len(decoded)]
    if orientation in range(2, 9):
        samples = upright(samples, int(orientation))
        notes = (*notes, f"turned upright as the EXIF orientation {int(orientation)} says")
    samples = np.ascontiguousarray(samples)
    density = next(filter(None, map(picture.info.get, ("aspect", "jfif_density", "dpi"))), (1, 1))
    notes += uneven_pixels(float(density[0]), float(density[1])) + _unusual_gamma(picture)
    return Raster(
        container=container,
        samples=samples,
        layout=BandLayout("u", bit_depth, colours, ("",) * len(colours)),
        read=tuple(range(len(colours))),
        mask=_transparent_colour_mask(picture, samples),
        warnings=notes,
    )


def _unusual_gamma(picture: ImageFile) -> tuple[str, ...]:
    """Warn where a PNG says that its samples are no ordinary brightness, such as linear light."""
    gamma = picture.info.get("gamma", USUAL_GAMMA)
    if abs(gamma - USUAL_GAMMA) <= GAMMA_TOLERANCE:
        return ()
    return (
        f"the PNG declares a gamma of {gamma:g}, which was not applied; save it as sRGB if it is "
        "too dark or too bright",
    )


def _transparent_colour_mask(picture: ImageFile, samples: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Return where a PNG is not of the colour that it declares transparent (its chunk tRNS)."""
    transparent = picture.info.get("transparency")
    if picture.mode == "P" or transparent is None:
        return None
    colour = np.atleast_1d(np.asarray(transparent))
    if len(colour) != len(samples):
        return None
    colour = colour & np.iinfo(samples.dtype).max  # PNG specification, 11.3.2.1
    mask: NDArray[np.bool_] = (samples != colour[:, None, None]).any(axis=0)
    return mask


def _require_whole_palette(picture: ImageFile) -> None:
    """Reject a picture with pixels of no colour, for which Pillow makes some up."""
    colours = 0 if picture.palette is None else len(picture.palette.palette) // 3
    most = int(np.asarray(picture).max())
    if most >= colours:
        raise _corrupt("PNG", f"its palette has {colours} colours, a pixel has colour {most}")


def _corrupt(container: str, reason: str) -> CorruptChipError:
    plain = "".join(c if c.isprintable() else "?" for c in reason)[:200]
    return CorruptChipError(
        f"the {container} is truncated or damaged ({plain}); send the complete file"
    )
