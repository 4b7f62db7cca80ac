"""Response bodies of chips: sightings and queries, how they were framed, and how good they are."""

from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from service.contract.chip import GsdSource, Modality
from service.contract.framing.findings import Kind, Level
from service.contract.framing.records import Framing, FramingMode, Method
from service.identity.records.base import GeoPoint
from service.identity.records.sightings import Sighting

DAY_ALONE = "set when only the day is known: its end, `captured_at` being its start"
ONE_WAY = "null when the chip was tight and upright as it was sent, and was compared like that"


class ResponseBody(BaseModel):
    """Immutable response body, or a part; may be made of an object with the same attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    @classmethod
    def made_of(cls, source: object, **others: object) -> Self:
        """Build the body of the attributes of `source`, and of `others` where it differs."""
        same = {name: getattr(source, name) for name in cls.model_fields.keys() - others.keys()}
        return cls.model_validate(same | others)


class PixelOut(ResponseBody):
    """A place in the chip as it was sent; the middle of the first pixel is 0, 0.

    Of a file with an orientation tag it is the place after the turn that the tag demands.
    """

    x: float = Field(description="column")
    y: float = Field(description="row")


class OutlineOut(ResponseBody):
    """The rectangle around the hull; its corners in turn."""

    pixels: tuple[PixelOut, ...]
    positions: tuple[GeoPoint, ...] | None = Field(
        description="the corners on the ground; null when the file has no georeference"
    )


class FramingOut(ResponseBody):
    """How the chip was framed. Lengths are those of the outline; null when no ship was found."""

    mode: FramingMode = Field(description="what was asked for; `as_is` leaves the pixels alone")
    method: Method = Field(
        description="`unchanged`: the pixels were used as they were sent, bit for bit; "
        "`quarter_turn`: turned by 90 degrees; `cropped`: cut out; `rotated`: turned and cut out, "
        "which resamples once"
    )
    turned_deg: float = Field(description="clockwise turn of the chip that set the ship upright")
    axis_deg: float | None = Field(
        description="axis of the ship in the chip as `preview.png?view=original` shows it, degrees "
        "clockwise from the top, 0 to 180; it does not tell the bow from the stern"
    )
    heading_axis_deg: float | None = Field(
        description="the same clockwise from true north; null when the file has no georeference"
    )
    outline: OutlineOut | None
    length_m: float | None
    length_error_m: float | None = Field(description="standard error")
    width_m: float | None
    width_error_m: float | None = Field(description="standard error")
    removed_share: float = Field(description="share of the chip's area that was cut off, 0 to 1")

    @classmethod
    def of(cls, framing: Framing) -> "FramingOut":
        """Describe the framing of a chip."""
        return cls.made_of(
            framing,
            axis_deg=None if framing.outline is None else framing.outline.axis_deg,
            outline=_outline(framing),
        )


class WayOut(ResponseBody):
    """The way round in which the query is more similar: its bow may be at either end."""

    half_turned: bool = Field(
        description="whether the query, turned by 180 degrees, is the more similar one"
    )
    certainty: float | None = Field(
        description="probability, 0.5 to 1, that this way is right, if both chips show one ship; "
        "null if the bundle does not measure it"
    )


class FindingOut(ResponseBody):
    """One judgement of a chip: how bad it is, the number behind it, and what it means."""

    kind: Kind
    level: Level
    value: float
    sentence: str


class QualityOut(ResponseBody):
    """What was judged of a chip, one finding of each kind, the worst first."""

    level: Level = Field(description="the worst level; after `bad` no verdict is `confident`")
    findings: tuple[FindingOut, ...]

    @classmethod
    def of(cls, framing: Framing) -> "QualityOut":
        """Describe the quality of a chip."""
        return cls(
            level=framing.worst,
            findings=tuple(
                FindingOut(
                    kind=one.kind, level=one.level, value=one.value, sentence=framing.sentence(one)
                )
                for one in framing.worst_first()
            ),
        )


class ChipOut(ResponseBody):
    """What is known of a chip."""

    modality: Modality
    captured_at: datetime | None
    captured_until: datetime | None = Field(description=DAY_ALONE)
    position: GeoPoint | None
    gsd_m: float
    gsd_source: GsdSource
    length_m: float
    width_m: float
    bit_depth: str
    framing: FramingOut
    quality: QualityOut
    file_name: str | None
    case: str | None
    note: str | None
    sha256: str
    warnings: tuple[str, ...] = Field(
        description="what is bad about the chip, then what was assumed or changed while reading it"
    )

    @classmethod
    def facts_of(cls, sighting: Sighting) -> dict[str, Any]:
        """Return the fields that follow from a sighting alone."""
        known = cls.model_fields.keys() & Sighting.model_fields.keys()
        return {name: getattr(sighting, name) for name in known} | {
            "framing": FramingOut.of(sighting.framing),
            "quality": QualityOut.of(sighting.framing),
            "sha256": sighting.chip_sha256,
            "warnings": (*sighting.defects, *sighting.warnings),
        }


class SightingOut(ChipOut):
    """One chip of one ship at one time; `vessel_id` is null while no vessel is assigned."""

    id: UUID
    vessel_id: UUID | None
    origin_vessel_id: UUID | None = Field(
        description="the vessel that had the sighting before merges and splits moved it"
    )
    band: int | None = Field(description="the band of the file that was asked for")
    sensor: str | None
    source: str | None
    licence: str | None
    recorded_at: datetime
    chip_url: str
    preview_url: str
    pseudo_sar_url: str | None

    @classmethod
    def of(cls, sighting: Sighting) -> "SightingOut":
        """Build the response body of a sighting."""
        base = f"/sightings/{sighting.id}"
        optical = sighting.modality is Modality.OPTICAL
        return cls(
            **cls.facts_of(sighting),
            chip_url=f"{base}/chip",
            preview_url=f"{base}/preview.png",
            pseudo_sar_url=f"{base}/pseudo-sar.png" if optical else None,
        )


class QueryOut(ChipOut):
    """What was read from the uploaded chip; `sighting_id` is null when it was not stored."""

    sighting_id: UUID | None
    preview_url: str | None = Field(
        description="picture of the chip; `?view=original`, `framed` or `denoised`"
    )

    @classmethod
    def of(cls, sighting: Sighting, stored: bool) -> "QueryOut":
        """Build the response body of a query sighting."""
        return cls(
            **cls.facts_of(sighting),
            sighting_id=sighting.id if stored else None,
            preview_url=f"/sightings/{sighting.id}/preview.png" if stored else None,
        )


def _outline(framing: Framing) -> OutlineOut | None:
    if framing.outline is None:
        return None
    ground = framing.corners_on_ground
    return OutlineOut(
        pixels=tuple(
            PixelOut(x=x, y=y) for x, y in framing.corners_in_file or framing.outline.corners()
        ),
        positions=None
        if ground is None
        else tuple(GeoPoint(lat=corner.lat, lon=corner.lon) for corner in ground),
    )
