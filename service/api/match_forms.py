"""The forms of `POST /match` and `POST /match/scene`."""

from dataclasses import replace

from pydantic import Field

from service.api.uploads import BinaryFile, file_name, parse_uploads
from service.api.validation_messages import validated
from service.contract.framing.records import FramingMode
from service.identity.matching.match import MatchOptions
from service.identity.uploads import ChipMetadata, ChipUpload, QueryFacts

MAX_SCENE_CHIPS = 200
"""How many chips of one image are accepted in one request."""

FRAMING = (
    "`auto`: find the ship, and cut it out upright and tight unless the chip is so already; a chip "
    "without a ship is refused (`no-ship`). `as_is`: judge the chip, but use its pixels as they are"
)


class AskingForm(MatchOptions, QueryFacts):
    """What is sent beside the chips; an unknown field is an error."""

    framing: FramingMode = Field(FramingMode.AUTO, description=FRAMING)

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
