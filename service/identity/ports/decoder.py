"""The port of the chip decoder: bytes in, a decoded and framed chip out."""

from typing import Protocol

from service.contract.chip import Modality
from service.contract.framing.apply import FramedChip
from service.contract.framing.records import Framing, FramingMode


class ChipDecoder(Protocol):
    """Decodes chips within limits of time and memory. Safe to call from many threads."""

    def frame(
        self,
        data: bytes,
        framing: FramingMode | Framing,
        *,
        modality: Modality | None = None,
        gsd_m: float | None = None,
        band: int | None = None,
    ) -> FramedChip:
        """Decode one chip and frame it; see `service.contract.framing.apply`.

        Args:
            framing: what the client wants, or what was recorded of this file before.
            modality: as in `service.contract.decoding.decode.decode_chip`.
            gsd_m: likewise.
            band: likewise.

        Raises:
            ChipError: the bytes cannot be used, or cost more than a chip may cost; NoShipError when
                `framing` is `auto` and no ship was found.
            OverloadedError: too many chips are waiting.
        """

    def all_busy_s(self) -> float:
        """Return for how many seconds no decoder has been free; 0 when one is."""
