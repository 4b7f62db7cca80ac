"""Multipart parts -> chip uploads."""

import json
from typing import Any
from uuid import UUID

from fastapi import UploadFile
from pydantic import TypeAdapter, ValidationError

from service.api.validation_messages import explain
from service.identity.enrol import NewVessel
from service.identity.errors import InvalidRequestError
from service.identity.observe import ChipMetadata, ChipUpload

_METADATA_LIST = TypeAdapter(list[ChipMetadata])
_METADATA_BY_NAME = TypeAdapter(dict[str, ChipMetadata])


def parse_vessel(text: str) -> NewVessel:
    """The `vessel` part.

    Raises:
        InvalidRequestError: not JSON, or a field is wrong; names it.
    """
    try:
        return NewVessel.model_validate(_json("vessel", text))
    except ValidationError as error:
        raise InvalidRequestError(f"vessel: {explain(error.errors())}") from error


def parse_uploads(chips: list[UploadFile], metadata: str | None, limit: int) -> list[ChipUpload]:
    """The `chips` parts with their `chip_metadata`.

    Metadata is a JSON list with one object for each chip in order, or an object keyed by the
    chips' file names.

    Raises:
        InvalidRequestError: too many chips, or metadata that does not fit.
    """
    if len(chips) > limit:
        raise InvalidRequestError(
            f"{len(chips)} chips were sent; at most {limit} are taken at once"
        )
    described = _metadata(metadata, [chip.filename or "" for chip in chips])
    return [ChipUpload(chip.file.read(), one) for chip, one in zip(chips, described, strict=True)]


def parse_id(kind: str, text: str) -> UUID:
    """A UUID of the path.

    Raises:
        InvalidRequestError: not a UUID.
    """
    try:
        return UUID(text)
    except ValueError as error:
        raise InvalidRequestError(
            f"{text[:80]!r} is not the id of a {kind}; ids are UUIDs"
        ) from error


def _metadata(text: str | None, names: list[str]) -> list[ChipMetadata]:
    if text is None:
        return [ChipMetadata() for _ in names]
    value = _json("chip_metadata", text)
    try:
        if isinstance(value, dict):
            by_name = _METADATA_BY_NAME.validate_python(value)
            if strangers := sorted(by_name.keys() - set(names)):
                raise InvalidRequestError(
                    f"chip_metadata: no chip is named {strangers[0]!r}; the chips are {names}"
                )
            return [by_name.get(name, ChipMetadata()) for name in names]
        listed = _METADATA_LIST.validate_python(value)
    except ValidationError as error:
        raise InvalidRequestError(f"chip_metadata: {explain(error.errors())}") from error
    if len(listed) != len(names):
        raise InvalidRequestError(
            f"chip_metadata has {len(listed)} entries for {len(names)} chips; one each is needed"
        )
    return listed


def _json(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{field}: not JSON: {error}") from error
