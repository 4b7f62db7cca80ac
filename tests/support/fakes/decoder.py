"""A chip decoder in this process."""

from service.contract.chip import Modality
from service.contract.decoding.decode import decode_chip
from service.contract.framing.apply import FramedChip, frame, frame_again
from service.contract.framing.records import Framing, FramingMode


class LocalDecoder:
    """Decode for real, without processes and their limits."""

    busy_s = 0.0

    def frame(
        self,
        data: bytes,
        framing: FramingMode | Framing,
        *,
        modality: Modality | None = None,
        gsd_m: float | None = None,
        band: int | None = None,
    ) -> FramedChip:
        chip = decode_chip(data, modality=modality, gsd_m=gsd_m, band=band)
        if isinstance(framing, FramingMode):
            return frame(chip, framing)
        return FramedChip(frame_again(chip, framing), framing)

    def all_busy_s(self) -> float:
        return self.busy_s
