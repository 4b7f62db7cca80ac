"""The port of the chip decoder: bytes in, a decoded and framed chip out."""

from typing import Protocol

from service.contract.chip import Chip, Modality
from service.contract.framing.apply import FramedChip
from service.contract.framing.records import Framing, FramingMode


class ChipDecoder(Protocol):
    """Decodes chips within limits of time and memory. Safe to call from many threads."""

    def decode(
        self,
        data: bytes,
        *,
        modality: Modality | None = None,
        gsd_m: float | None = None,
        band: int | None = None,
    ) -> Chip:
        """Decode one chip; see `service.contract.decoding.decode.decode_chip`.

        Raises:
            ChipError: the bytes cannot be used, or cost more than a chip may cost.
            OverloadedError: too many chips are waiting.
        """

    def frame(
        self,
        data: bytes,
        framing: FramingMode | Framing | None,
        *,
        modality: Modality | None = None,
        gsd_m: float | None = None,
        band: int | None = None,
    ) -> FramedChip:
        """Decode one chip and frame it; see `service.contract.framing.apply`.

        Args:
            data: a file.
            framing: what the client wants, or what was recorded of this file before; None is the
                record of sightings that were made before chips were framed.
            modality: as in `decode`.
            gsd_m: likewise.
            band: likewise.

        Raises:
            ChipError: as `decode`; NoShipError when `framing` is `auto` and no ship was found.
            OverloadedError: as `decode`.
        """

    def all_busy_s(self) -> float:
        """Return for how many seconds no decoder has been free; 0 when one is."""
