"""Response bodies that say how a chip was framed, and how good it is."""

from pydantic import BaseModel, ConfigDict, Field

from service.contract.framing.findings import Kind, Level
from service.contract.framing.records import Framing, FramingMode, Method
from service.identity.records.base import GeoPoint
from service.identity.records.sightings import Sighting

ONE_WAY = "null when the chip was tight and upright as it was sent, and was compared like that"


class ResponseBody(BaseModel):
    """Immutable response body, or a part; may be made of an object with the same attributes."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class PixelOut(ResponseBody):
    """A place in the chip as it was sent; the middle of the first pixel is 0, 0."""

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
        description="axis of the ship in the chip, degrees clockwise from the top, 0 to 180; it "
        "does not tell the bow from the stern"
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
    def of(cls, sighting: Sighting) -> "FramingOut":
        """Describe the framing of a sighting."""
        framing = sighting.framing or Framing(mode=FramingMode.AS_IS, method="unchanged")
        return cls(
            **framing.model_dump(include=set(cls.model_fields) - {"outline"}),
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
    def of(cls, sighting: Sighting) -> "QualityOut | None":
        """Describe the quality of a chip; None when it was never judged."""
        framing = sighting.framing
        if framing is None:
            return None
        return cls(
            level=framing.worst,
            findings=tuple(
                FindingOut(
                    kind=one.kind,
                    level=one.level,
                    value=one.value,
                    sentence=framing.sentence(one),
                )
                for one in framing.worst_first()
            ),
        )


def warnings_of(sighting: Sighting) -> tuple[str, ...]:
    """Return what is bad about the chip, then the warnings of the sighting."""
    return (*sighting.defects, *sighting.warnings)


def _outline(framing: Framing) -> OutlineOut | None:
    if framing.outline is None:
        return None
    ground = framing.corners_on_ground
    return OutlineOut(
        pixels=tuple(PixelOut(x=x, y=y) for x, y in framing.outline.corners()),
        positions=None
        if ground is None
        else tuple(GeoPoint(lat=corner.lat, lon=corner.lon) for corner in ground),
    )
