"""What the service says of chips and sightings, see `models`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

Modality = Literal["optical", "sar"]


class Body(BaseModel):
    """Immutable response body or part of one."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def document(self) -> dict[str, Any]:
        """Return the body as JSON values."""
        return self.model_dump(mode="json")


class Position(Body):
    """WGS 84, degrees."""

    lat: float
    lon: float


class Pixel(Body):
    """Column and row of a place in the chip as it was sent."""

    x: float
    y: float


class Outline(Body):
    """The corners of the rectangle around the hull; on the ground if the chip is georeferenced."""

    pixels: tuple[Pixel, ...]
    positions: tuple[Position, ...] | None = None


class Framing(Body):
    """How the ship was cut out of the chip; `turned_deg` is the turn that made it upright.

    The axis is clockwise from the chip's top, its heading from true north; lengths are metres, with
    their standard errors.
    """

    mode: Literal["auto", "as_is"] = "as_is"
    method: str
    turned_deg: float = 0.0
    axis_deg: float | None = None
    heading_axis_deg: float | None = None
    outline: Outline | None = None
    length_m: float | None = None
    length_error_m: float | None = None
    width_m: float | None = None
    width_error_m: float | None = None
    removed_share: float = 0.0


class Finding(Body):
    """One judgement of the quality of a chip, the number behind it, and what it means."""

    kind: str
    level: Literal["ok", "doubtful", "bad"]
    value: float
    sentence: str


class Quality(Body):
    """What was judged of a chip, the worst first."""

    level: Literal["ok", "doubtful", "bad"]
    findings: tuple[Finding, ...] = ()


class ChipFacts(Body):
    """What is known of a chip."""

    modality: Modality
    gsd_m: float
    gsd_source: str
    length_m: float
    width_m: float
    bit_depth: str
    sha256: str
    captured_at: datetime | None = None
    captured_until: datetime | None = None
    position: Position | None = None
    file_name: str | None = None
    case: str | None = None
    note: str | None = None
    framing: Framing | None = None
    quality: Quality | None = None
    warnings: tuple[str, ...] = ()

    def complaints(self, level: Literal["doubtful", "bad"]) -> tuple[str, ...]:
        """Return the sentences of the findings of a level."""
        found = self.quality.findings if self.quality else ()
        return tuple(finding.sentence for finding in found if finding.level == level)


class Sighting(ChipFacts):
    """One chip of one ship at one time; `vessel_id` is None while no vessel is assigned."""

    id: UUID
    vessel_id: UUID | None
    origin_vessel_id: UUID | None = None
    band: int | None = None
    sensor: str | None = None
    source: str | None = None
    licence: str | None = None
    recorded_at: datetime
    chip_url: str
    preview_url: str
    pseudo_sar_url: str | None = None


class Query(ChipFacts):
    """The query chip as the service read it; `sighting_id` is None when it was not stored."""

    sighting_id: UUID | None
    preview_url: str | None = None
