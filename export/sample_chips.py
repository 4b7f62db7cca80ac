"""Make simulated chips as small files that may be shipped and are decoded like uploads."""

import io
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from PIL import Image

from model_training.simulator import SimulatorConfig, render_view
from model_training.simulator.ships.vessel import sample_vessel
from service.contract.chip import DEFAULT_GSD_M, Chip, Modality
from service.contract.decoding.decode import decode_chip

FLEET_SEED = 90210  # of no training fleet
SISTER_BLOCK = 4  # the simulator makes sister ships only within blocks of this many vessels

_SUFFIX = {Modality.OPTICAL: "RGB", Modality.SAR: "SAR"}


@dataclass(frozen=True, slots=True)
class SampleChip:
    """A chip as a file named `*_RGB.tif` or `*_SAR.tif`."""

    name: str
    modality: Modality
    gsd_m: float
    data: bytes

    def decode(self) -> Chip:
        """Decode the file as the service does."""
        return decode_chip(self.data, modality=self.modality, gsd_m=self.gsd_m)


def sample_chip(
    number: int, modality: Modality, pixels: NDArray[Any], gsd_m: float | None = None
) -> SampleChip:
    """Encode pixels as a deflated TIFF.

    Args:
        number: number of the chip in its set.
        modality: decides the suffix.
        pixels: optical uint8 `[H, W, 3]`, or SAR amplitude float32 `[H, W]`.
        gsd_m: metres per pixel; None takes the modality's default.
    """
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="TIFF", compression="tiff_deflate")
    name = f"{number:04d}_{_SUFFIX[modality]}.tif"
    return SampleChip(name, modality, gsd_m or DEFAULT_GSD_M[modality], stream.getvalue())


def simulated_chips(vessels: int = 4, seed: int = FLEET_SEED) -> list[SampleChip]:
    """Render one optical and one SAR chip of each of several ships, none of them sisters."""
    config = SimulatorConfig()
    chips = []
    for number in range(vessels):
        vessel = sample_vessel(number * SISTER_BLOCK, seed, config)
        for modality in Modality:
            view = render_view(vessel, modality.value, number, config)
            chips.append(sample_chip(number, modality, view.pixels, view.gsd_m))
    return chips
