"""Pictures of a sighting for the analyst."""

from typing import TypedDict
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from service.contract.chip import Chip, Modality
from service.contract.choice import Choice
from service.contract.framing.records import UNCHANGED
from service.contract.framing.rectangle import Rectangle
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import to_picture
from service.contract.translation import brightened
from service.identity.context import Context, UseCase
from service.identity.errors import NotFoundError
from service.identity.ports.decoder import ChipDecoder
from service.identity.ports.embedder import ChipEmbedder
from service.identity.records.sightings import Sighting

OUTLINE_COLOUR = (255, 80, 0)
OUTLINE_PART = 250
"""The outline is as thick as this part of the picture's long side."""


class View(Choice):
    """What a picture of a chip shows.

    `original`: the chip as it was sent, with the outline of the ship. `framed`: the ship upright
    and tight. `denoised`: the same after suppression of speckle, as the models see it.
    """

    ORIGINAL = "original"
    FRAMED = "framed"
    DENOISED = "denoised"


class Pictures(UseCase):
    """The use cases behind `/sightings/{id}/…`."""

    def __init__(
        self,
        context: Context,
        decoder: ChipDecoder,
        embedder: ChipEmbedder,
        preprocess: PreprocessSpec,
    ) -> None:
        super().__init__(context)
        self._decoder = decoder
        self._embedder = embedder
        self._preprocess = preprocess

    def original(self, sighting_id: UUID) -> tuple[Sighting, bytes]:
        """Return the sighting and the bytes as they were uploaded.

        Raises:
            NotFoundError: no such sighting, or its chip is missing.
        """
        sighting = self.sighting(sighting_id)
        return sighting, self._chips.get(sighting.chip_sha256)

    def sighting(self, sighting_id: UUID) -> Sighting:
        """Return the sighting; raise NotFoundError if there is none."""
        sighting = self._gallery.get_sighting(sighting_id)
        if sighting is None:
            raise NotFoundError(f"no sighting {sighting_id} is known")
        return sighting

    def preview(self, sighting_id: UUID, view: View) -> NDArray[np.uint8]:
        """Return a picture of the chip, uint8 `[H, W, 3]`; raise NotFoundError if unknown."""
        sighting, data = self.original(sighting_id)
        if view is View.ORIGINAL:
            chip = self._decoder.frame(data, UNCHANGED, **_facts(sighting)).chip
            return _with_outline(quick_look(chip), sighting.framing.outline)
        chip = self._framed(sighting, data)
        return quick_look(chip) if view is View.FRAMED else to_picture(chip, self._preprocess)

    def pseudo_sar(self, sighting_id: UUID) -> NDArray[np.uint8]:
        """Return the `K` pseudo-SAR images of an optical chip for the eye: uint8 `[K, h, w]`.

        Raises:
            NotFoundError: no such sighting.
            TranslationError: the sighting is SAR, or the bundle has no translator.
            OverloadedError: too many chips are waiting.
        """
        return brightened(self._embedder.translate(self._framed(*self.original(sighting_id))))

    def _framed(self, sighting: Sighting, data: bytes) -> Chip:
        """Return the chip as it was framed when it was sent."""
        return self._decoder.frame(data, sighting.framing, **_facts(sighting)).chip


def quick_look(chip: Chip) -> NDArray[np.uint8]:
    """Return a chip's pixels for the eye, uint8 `[H, W, 3]`.

    Optical pixels stay as they are. The square root of SAR amplitude is shown, the brightest 0.3 %
    as white, so that ships and sea can be seen together.
    """
    if chip.modality is Modality.OPTICAL:
        return np.asarray(chip.pixels, np.uint8)
    amplitude = np.maximum(chip.pixels, 0)
    white = max(float(np.percentile(amplitude, 99.7)), float(amplitude.max()) * 1e-3)
    grey = np.sqrt(np.clip(amplitude / (white or 1.0), 0, 1)) * 255
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def _with_outline(picture: NDArray[np.uint8], outline: Rectangle | None) -> NDArray[np.uint8]:
    """Draw the outline of the ship."""
    if outline is None:
        return picture
    image = Image.fromarray(picture)
    corners = outline.corners()
    width = max(1, round(max(image.size) / OUTLINE_PART))
    ImageDraw.Draw(image).line([*corners, *corners[:2]], OUTLINE_COLOUR, width, joint="curve")
    return np.asarray(image)


class _Facts(TypedDict):
    modality: Modality
    gsd_m: float
    band: int | None


def _facts(sighting: Sighting) -> _Facts:
    """Return what the chip of a sighting was decoded with."""
    return _Facts(modality=sighting.modality, gsd_m=sighting.gsd_m, band=sighting.band)
