"""Pictures of a sighting for the analyst."""

from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from service.contract.chip import Chip
from service.contract.manifest import PreprocessSpec
from service.contract.preprocess import to_picture
from service.identity.context import Context
from service.identity.errors import NotFoundError
from service.identity.ports.embedder import ChipEmbedder
from service.identity.records.sightings import Sighting
from service.identity.uploads import ChipMetadata, ChipUpload, UploadEmbedder


class Pictures:
    """The use cases behind `/sightings/{id}/…`."""

    def __init__(
        self,
        context: Context,
        uploads: UploadEmbedder,
        embedder: ChipEmbedder,
        preprocess: PreprocessSpec,
    ) -> None:
        self._gallery = context.gallery
        self._chips = context.chips
        self._uploads = uploads
        self._embedder = embedder
        self._preprocess = preprocess

    def original(self, sighting_id: UUID) -> tuple[Sighting, bytes]:
        """Return the sighting and the bytes as they were uploaded.

        Raises:
            NotFoundError: no such sighting, or its chip is missing.
        """
        sighting = self._gallery.get_sighting(sighting_id)
        if sighting is None:
            raise NotFoundError(f"no sighting {sighting_id} is known")
        return sighting, self._chips.get(sighting.chip_sha256)

    def preview(self, sighting_id: UUID) -> NDArray[np.uint8]:
        """Return the chip as the models see it, upright, SAR denoised: uint8 `[H, W, 3]`.

        Raises:
            NotFoundError: no such sighting.
        """
        return to_picture(self._decoded(sighting_id), self._preprocess)

    def pseudo_sar(self, sighting_id: UUID) -> NDArray[np.uint8]:
        """Return the `K` pseudo-SAR images of an optical chip: uint8 `[K, h, w]`.

        Raises:
            NotFoundError: no such sighting.
            TranslationError: the sighting is SAR, or the bundle has no translator.
            OverloadedError: too many chips are waiting.
        """
        return self._embedder.translate(self._decoded(sighting_id))

    def _decoded(self, sighting_id: UUID) -> Chip:
        sighting, data = self.original(sighting_id)
        metadata = ChipMetadata(
            modality=sighting.modality, gsd_m=sighting.gsd_m, band=sighting.band
        )
        return self._uploads.decode(ChipUpload(data, metadata))
