"""How large an upload may be; every limit is enforced before a pixel is decoded."""

from service.contract.errors import ChipSizeError, EmptyChipError

MAX_BYTES = 32_000_000
MIN_SIDE_PX = 8
MAX_SIDE_PX = 4096
MAX_PIXELS = 4 * 1024 * 1024
MAX_BANDS = 32
MAX_DECODED_BYTES = 128 * 1024 * 1024
"""The size of all bands once decompressed, and of one tile."""


def check_file(size_bytes: int) -> None:
    """Refuse an empty or oversized file.

    Raises:
        EmptyChipError: there is not a byte.
        ChipSizeError: there are more than `MAX_BYTES`.
    """
    if size_bytes == 0:
        raise EmptyChipError("the file is empty (0 bytes); send a TIFF, PNG or JPEG chip")
    if size_bytes > MAX_BYTES:
        raise ChipSizeError(
            f"the file has {size_bytes} bytes; at most {MAX_BYTES} are accepted: "
            f"send the ship cut out, not the whole scene"
        )


def check_bands(bands: int) -> None:
    """Raise ChipSizeError if a file announces more than `MAX_BANDS`, as no sensor has."""
    if bands > MAX_BANDS:
        raise ChipSizeError(
            f"the file announces {bands} bands; at most {MAX_BANDS} are accepted: send fewer bands"
        )


def check_picture(width: int, height: int, bytes_per_pixel: int) -> None:
    """Refuse a picture whose header announces too few or too many pixels.

    Raises:
        EmptyChipError: there is not a pixel.
        ChipSizeError: a side, the area or the decoded size is out of range.
    """
    if width <= 0 or height <= 0:
        raise EmptyChipError(
            f"the file announces {width} x {height} pixels; a chip needs at least "
            f"{MIN_SIDE_PX} x {MIN_SIDE_PX}"
        )
    size = f"the chip is {width} x {height} pixels (width x height)"
    if min(width, height) < MIN_SIDE_PX:
        raise ChipSizeError(f"{size}; each side must have at least {MIN_SIDE_PX} pixels")
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise ChipSizeError(
            f"{size}; at most {MAX_SIDE_PX} pixels a side and {MAX_PIXELS} in all "
            f"are accepted: send the ship cut out, not the whole scene"
        )
    if width * height * bytes_per_pixel > MAX_DECODED_BYTES:
        raise ChipSizeError(
            f"{size} of {bytes_per_pixel} bytes each; at most {MAX_DECODED_BYTES} bytes "
            f"are decoded: send fewer bands"
        )
