"""The output of the file readers, and the limits on their input."""

from dataclasses import dataclass
from typing import Any, Literal

from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS

from service.contract.chip import Modality
from service.contract.errors import ChipSizeError, EmptyChipError

Colour = Literal["red", "green", "blue", "alpha", "grey", "unknown"]
RGB: tuple[Colour, Colour, Colour] = ("red", "green", "blue")


@dataclass(frozen=True, slots=True)
class ChipLimits:
    """The limits on a chip file; all are enforced before a pixel is decoded.

    Attributes:
        max_bytes: size of the file.
        min_side_px: shortest side, in pixels.
        max_side_px: longest side, in pixels.
        max_pixels: width times height.
        max_bands: bands of one file.
        max_decoded_bytes: size of all bands once decompressed, and of one tile.
    """

    max_bytes: int = 32 * 1024 * 1024
    min_side_px: int = 8
    max_side_px: int = 4096
    max_pixels: int = 4 * 1024 * 1024
    max_bands: int = 32
    max_decoded_bytes: int = 128 * 1024 * 1024

    def check_file(self, size_bytes: int) -> None:
        """Reject an empty or oversized file.

        Raises:
            EmptyChipError: the file has no bytes.
            ChipSizeError: the file has more than `max_bytes`.
        """
        if size_bytes == 0:
            raise EmptyChipError("the file is empty (0 bytes); send a TIFF, PNG or JPEG chip")
        if size_bytes > self.max_bytes:
            raise ChipSizeError(
                f"the file has {size_bytes} bytes; at most {self.max_bytes} are accepted: "
                f"send the ship cut out, not the whole scene"
            )

    def check_bands(self, bands: int) -> None:
        """Reject a file whose header announces too many bands.

        Raises:
            ChipSizeError: the file has more than `max_bands`.
        """
        if bands > self.max_bands:
            raise ChipSizeError(
                f"the file announces {bands} bands; at most {self.max_bands} are accepted: "
                f"send fewer bands"
            )

    def check_picture(self, width: int, height: int, bytes_per_pixel: int) -> None:
        """Reject a picture whose header announces too few or too many pixels.

        Raises:
            EmptyChipError: the picture has no pixels.
            ChipSizeError: a side, the area or the decoded size is out of range.
        """
        if width <= 0 or height <= 0:
            raise EmptyChipError(
                f"the file announces {width} x {height} pixels; a chip needs at least "
                f"{self.min_side_px} x {self.min_side_px}"
            )
        size = f"the chip is {width} x {height} pixels (width x height)"
        if min(width, height) < self.min_side_px:
            raise ChipSizeError(f"{size}; each side must have at least {self.min_side_px} pixels")
        if max(width, height) > self.max_side_px or width * height > self.max_pixels:
            raise ChipSizeError(
                f"{size}; at most {self.max_side_px} pixels a side and {self.max_pixels} in all "
                f"are accepted: send the ship cut out, not the whole scene"
            )
        if width * height * bytes_per_pixel > self.max_decoded_bytes:
            raise ChipSizeError(
                f"{size} of {bytes_per_pixel} bytes each; at most {self.max_decoded_bytes} bytes "
                f"are decoded: send fewer bands"
            )


@dataclass(frozen=True, slots=True)
class Georeference:
    """The transform from pixel (column, row) to map coordinates, and their reference system."""

    transform: Affine
    crs: CRS


@dataclass(frozen=True, slots=True)
class Raster:
    """The samples of a file and its metadata.

    Attributes:
        container: `TIFF`, `PNG` or `JPEG`.
        samples: `[bands, H, W]`, at least one band, in the file's type (a palette is expanded).
        bit_depth: the sample type of the file, e.g. `uint16` or `complex_int16`.
        colours: the colour of each band, `unknown` if the file does not mark it.
        band_names: each band's description, or an empty string.
        nodata: the value declared to mean "no data"; NaN is such a value, None means none.
        mask: bool `[H, W]`, true where the file's internal mask marks valid data.
        hint: the modality that the file's tags name.
        georeference: the file's georeference, if any.
        warnings: changes made while reading.
    """

    container: str
    samples: NDArray[Any]
    bit_depth: str
    colours: tuple[Colour, ...]
    band_names: tuple[str, ...]
    nodata: float | None = None
    mask: NDArray[Any] | None = None
    hint: Modality | None = None
    georeference: Georeference | None = None
    warnings: tuple[str, ...] = ()

    @property
    def picture_bands(self) -> tuple[int, ...]:
        """The indices of the bands that are not alpha."""
        return tuple(i for i, colour in enumerate(self.colours) if colour != "alpha")
