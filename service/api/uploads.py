"""Parse the parts of multipart requests and the ids in paths."""

from collections import Counter
from json import JSONDecodeError
from typing import Annotated, Any
from unicodedata import normalize as normalise
from uuid import UUID

from fastapi import Path, UploadFile
from pydantic import TypeAdapter, ValidationError, WithJsonSchema

from service.access.strict_json import parse_json
from service.api.validation_messages import explain, validated
from service.identity.enrol import NewVessel
from service.identity.errors import InvalidRequestError
from service.identity.records.identifiers import normalise_line
from service.identity.uploads import ChipMetadata, ChipUpload

Id = Annotated[str, Path(json_schema_extra={"format": "uuid"})]
"""An id in a path, for `parse_id`, whose error says more than the framework's."""

BinaryFile = Annotated[UploadFile, WithJsonSchema({"type": "string", "format": "binary"})]

_METADATA_LIST = TypeAdapter(list[ChipMetadata])
_METADATA_BY_NAME = TypeAdapter(dict[str, ChipMetadata])


def parse_vessel(text: str) -> NewVessel:
    """Parse the `vessel` part, a JSON object.

    Raises:
        InvalidRequestError: not JSON, or a field is wrong; the message names the field.
    """
    return validated(NewVessel, json_value("vessel", text), "vessel")


def parse_uploads(chips: list[UploadFile], metadata: str | None, limit: int) -> list[ChipUpload]:
    """Read the `chips` parts and parse their `chip_metadata`.

    Args:
        metadata: JSON: a list with one object for each chip in order, or an object keyed by the
            chips' file names.
        limit: number of chips that are accepted.

    Raises:
        InvalidRequestError: too many chips, or metadata that does not fit.
    """
    if len(chips) > limit:
        raise InvalidRequestError(
            f"{len(chips)} chips were sent; send at most {limit} in one request"
        )
    names = [file_name(chip) for chip in chips]
    parsed = _parse_metadata(metadata, [name or "" for name in names])
    return [
        ChipUpload(chip.file.read(), meta, name)
        for chip, meta, name in zip(chips, parsed, names, strict=True)
    ]


def file_name(chip: UploadFile) -> str | None:
    """Return the name of an uploaded file, its last 255 characters; None when it has none.

    Raises:
        InvalidRequestError: it holds control characters.
    """
    try:
        return normalise_line(chip.filename or "")[-255:] or None
    except ValueError as error:
        raise InvalidRequestError(f"the file name {chip.filename!r:.80}: {error}") from error


def parse_id(kind: str, text: str) -> UUID:
    """Parse an id in a path; raise InvalidRequestError if it is no UUID."""
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidRequestError(
            f"{text[:80]!r} is not the id of a {kind}; ids are UUIDs"
        ) from error


def _parse_metadata(text: str | None, names: list[str]) -> list[ChipMetadata]:
    if text is None:
        return [ChipMetadata() for _ in names]
    value = json_value("chip_metadata", text)
    try:
        if isinstance(value, dict):
            keys = [plain_name(name) for name in value]
            for what, given in (("chips are", names), ("keys are", keys)):
                if twice := [name for name, times in Counter(given).items() if times > 1]:
                    raise InvalidRequestError(
                        f"chip_metadata: two {what} named {twice[0]!r}; send a list with one "
                        "object for each chip"
                    )
            if unknown := sorted(set(keys) - set(names)):
                raise InvalidRequestError(
                    f"chip_metadata: no chip is named {unknown[0]!r}; the chips are {names}"
                )
            by_name = _METADATA_BY_NAME.validate_python(
                dict(zip(keys, value.values(), strict=True))
            )
            return [by_name.get(name, ChipMetadata()) for name in names]
        listed = _METADATA_LIST.validate_python(value)
    except ValidationError as error:
        raise InvalidRequestError(f"chip_metadata: {explain(error.errors())}") from error
    if len(listed) != len(names):
        raise InvalidRequestError(
            f"chip_metadata has {len(listed)} entries for {len(names)} chips; send one for each"
        )
    return listed


def plain_name(name: str) -> str:
    """Return how a file name is written when names are compared."""
    return " ".join(normalise("NFC", name).split())


def json_value(field: str, text: str) -> Any:
    """Parse the JSON of a field.

    Raises:
        InvalidRequestError: not JSON, or ambiguous; the message names the field.
    """
    try:
        return parse_json(text)
    except JSONDecodeError as error:
        raise InvalidRequestError(f"{field}: not JSON: {error}") from error
    except ValueError as error:
        raise InvalidRequestError(f"{field}: {error}") from error
