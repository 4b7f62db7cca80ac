"""One upload that is not a chip, and the error that it must raise."""

from collections.abc import Callable
from dataclasses import dataclass

from service.contract.chip import Modality
from service.contract.errors import ChipError

OPTICAL, SAR = Modality.OPTICAL, Modality.SAR


@dataclass(frozen=True, slots=True)
class MalformedCase:
    """One bad upload.

    Attributes:
        name: unique, for test ids.
        build: makes the bytes.
        error: the exact class that decoding must raise.
        must_mention: words that the message must hold.
        modality: form parameter, as are `gsd_m` and `band`.
    """

    name: str
    build: Callable[[], bytes]
    error: type[ChipError]
    must_mention: str
    modality: Modality | None = None
    gsd_m: float | None = None
    band: int | None = None

    @property
    def data(self) -> bytes:
        return self.build()

    @property
    def form(self) -> dict[str, str]:
        """The parameters as form fields, absent ones left out."""
        values = {"modality": self.modality, "gsd_m": self.gsd_m, "band": self.band}
        return {name: str(value) for name, value in values.items() if value is not None}
