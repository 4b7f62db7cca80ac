"""Simulated chips as files: small, free to ship, and read like any upload."""

import io
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from service.contract.chip import DEFAULT_GSD_M, Chip, Modality
from service.contract.decode import decode_chip

_SUFFIX = {Modality.OPTICAL: "RGB", Modality.SAR: "SAR"}


@dataclass(frozen=True, slots=True)
class SampleChip:
    """A chip as a file named `*_RGB.tif` or `*_SAR.tif`."""

    name: str
    modality: Modality
    gsd_m: float
    data: bytes

    def decode(self) -> Chip:
        """As the service would read it."""
        return decode_chip(self.data, modality=self.modality, gsd_m=self.gsd_m)


def sample_chip(number: int, modality: Modality, pixels: NDArray[Any]) -> SampleChip:
    """Write pixels as a deflated TIFF.

    Args:
        number: tells the chips of a set apart.
        modality: decides suffix and sampling distance.
        pixels: optical uint8 `[H, W, 3]` at 0.75 m, or SAR amplitude float32 `[H, W]` at 1 m.
    """
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="TIFF", compression="tiff_deflate")
    name = f"{number:04d}_{_SUFFIX[modality]}.tif"
    return SampleChip(name, modality, DEFAULT_GSD_M[modality], stream.getvalue())


def simulated_chips() -> list[SampleChip]:
    raise NotImplementedError
