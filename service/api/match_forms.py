"""The forms of `POST /match` and `POST /match/scene`."""

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.api.uploads import BinaryFile, file_name, parse_uploads
from service.api.validation_messages import validated
from service.contract.chip import Modality
from service.contract.framing.records import FramingMode
from service.contract.utc_time import StatedTime
from service.identity.matching.match import MatchOptions
from service.identity.records.base import Fact, Line, Note, Text, plain_number
from service.identity.uploads import ChipMetadata, ChipUpload

MAX_SCENE_CHIPS = 200
"""How many chips of one image are accepted in one request."""

FRAMING = (
    "`auto`: find the ship, and cut it out upright and tight unless the chip is so already; a chip "
    "without a ship is refused (`no-ship`). `as_is`: judge the chip, but use its pixels as they are"
)


class AskingForm(BaseModel):
    """What is sent beside the chips; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    modality: Modality | None = Field(None, description="required when the file does not tell")
    gsd_m: float | None = Field(None, description="metres per pixel", examples=[1.0])
    band: int | None = Field(None, ge=1, description="band of a multi-polarisation SAR chip")
    framing: FramingMode = Field(FramingMode.AUTO, description=FRAMING)
    captured_at: StatedTime | None = Field(
        None,
        description="ISO 8601; a day without a time is taken as the whole day, UTC",
        examples=["2026-03-05T17:20:00Z"],
    )
    lat: float | None = Field(None, ge=-90, le=90, examples=[1.24])
    lon: float | None = Field(None, ge=-180, le=180, examples=[103.9])
    sensor: Fact | None = Field(None, max_length=200)
    case: Fact | None = Field(None, max_length=200, description="the case that the chip belongs to")
    note: Note | None = Field(None, description="a remark, kept with the match")
    top_k: int = Field(5, ge=1, le=100, description="how many vessels to rank")
    max_speed_kn: float | None = Field(
        None,
        gt=0,
        le=100,
        description="a vessel that would have had to sail faster comes last; default 30",
    )
    vessel_type: Line | None = Field(None, description="only vessels of this registered type")
    looks_like: Text | None = Field(
        None,
        description="the vessel type that you see: counts as evidence, leaves no vessel out",
        examples=["tanker"],
    )
    length_tolerance: float | None = Field(
        None, gt=0, lt=1, description="only vessels whose registered length fits, e.g. 0.2"
    )
    store: bool = Field(
        True,
        description="store the chip as a sighting without a vessel, and the match; with false, "
        "the match can be neither looked up nor judged later",
    )

    _plain = field_validator(
        *("gsd_m", "band", "lat", "lon", "top_k", "max_speed_kn", "length_tolerance"), mode="before"
    )(plain_number)

    def metadata(self) -> ChipMetadata:
        """Return the metadata of the chip, or raise InvalidRequestError."""
        return validated(ChipMetadata, self.model_dump(include=set(ChipMetadata.model_fields)))

    def options(self) -> MatchOptions:
        """Return the options of the match, or raise InvalidRequestError."""
        return validated(MatchOptions, self.model_dump(include=set(MatchOptions.model_fields)))


class MatchForm(AskingForm):
    """The form of `POST /match`."""

    chip: list[BinaryFile] = Field(
        description="TIFF, PNG or JPEG of one ship, at any heading; several chips of the same "
        "ship, of one sensor type, get one answer"
    )

    def uploads(self) -> list[ChipUpload]:
        """Return the chips, for each of which the other fields hold.

        Raises:
            InvalidRequestError: a field or a file name is wrong.
        """
        stated = self.metadata()
        return [ChipUpload(one.file.read(), stated, file_name(one)) for one in self.chip]


class SceneForm(AskingForm):
    """The form of `POST /match/scene`; what is stated beside the chips holds for each of them."""

    chips: list[BinaryFile] = Field(description="the chips of one image, each of another ship")
    chip_metadata: str | None = Field(
        None,
        description="JSON: a list with one object for each chip, or an object keyed by file names, "
        "see `POST /gallery`; takes precedence over the other fields",
    )

    def uploads(self) -> list[ChipUpload]:
        """Return the chips with their metadata, or raise InvalidRequestError."""
        shared = self.metadata().model_dump(exclude_none=True)
        return [
            replace(
                upload,
                metadata=validated(
                    ChipMetadata, shared | upload.metadata.model_dump(exclude_unset=True)
                ),
            )
            for upload in parse_uploads(self.chips, self.chip_metadata, MAX_SCENE_CHIPS)
        ]
