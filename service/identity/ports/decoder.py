"""The port of the chip decoder: bytes in, a decoded chip out."""

from typing import Protocol

from service.contract.chip import Chip, Modality


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
        ...

    def all_busy_s(self) -> float:
        """Return for how many seconds no decoder has been free; 0 when one is."""
        ...
