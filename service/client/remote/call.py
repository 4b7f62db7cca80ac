"""Requests described apart from how they are sent, so that both clients share them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from uuid import uuid4

import httpx
from pydantic import BaseModel, ValidationError

from service.client.errors import UnreachableError
from service.client.files import read_chip_file, require_text_name

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ChipPart:
    """A chip to send.

    Attributes:
        metadata: fields of `chip_metadata` in `POST /gallery`, or of `POST /match`.
    """

    name: str
    data: bytes
    metadata: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path | str, **metadata: object) -> "ChipPart":
        """Read a file; raise SourceError if it cannot be read, or its name is not UTF-8."""
        path = require_text_name(Path(path))
        return cls(path.name, read_chip_file(path), metadata)


ChipSource = ChipPart | Path | str
"""A chip in memory, or the path of a chip file."""


def as_part(chip: ChipSource) -> ChipPart:
    """Return the chip in memory.

    Raises:
        SourceError: its file cannot be read.
        TypeError: it is neither a path nor a `ChipPart`.
    """
    if isinstance(chip, ChipPart):
        return chip
    if not isinstance(chip, str | Path):
        raise TypeError(
            f"a chip is the path of a file or ChipPart(name, data), not {type(chip).__name__}"
        )
    return ChipPart.read(chip)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how its response is read.

    Attributes:
        path: with a leading slash.
        read: makes the result of a response, read whole; raises UnreachableError if it cannot.
        query: parameters; those that are None are left out.
        form: text fields of a multipart form.
        files: name of the field and the chips of a multipart form.
        body: the JSON body; None for none.
        once: send an idempotency key, so that the service does a repeated request once.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    query: Mapping[str, object] = field(default_factory=dict)
    form: Mapping[str, object] = field(default_factory=dict)
    files: tuple[str, Sequence[ChipPart]] | None = None
    body: Mapping[str, object] | None = None
    accept: str = "application/json"
    once: bool = False

    def request(self) -> dict[str, Any]:
        """Return the arguments of `httpx.Client.request`; the same for each attempt."""
        request: dict[str, Any] = {
            "method": self.method,
            "url": self.path,
            "headers": {"Accept": self.accept},
        }
        if self.query:
            request["params"] = _texts(self.query)
        if self.once:
            request["headers"]["Idempotency-Key"] = str(uuid4())
        if self.files is not None:
            name, chips = self.files
            request["files"] = [(name, (chip.name, chip.data)) for chip in chips]
            request["data"] = _texts(self.form)
        if self.body is not None:
            request["headers"]["Content-Type"] = "application/json"
            request["content"] = json_text(self.body)
        return request

    def after(self, cursor: str | None) -> "Call[T]":
        """Return the request of the page after `cursor`, or of the first page."""
        return replace(self, query={**self.query, "cursor": cursor})

    def require_media(self, response: httpx.Response) -> None:
        """Check the media type of a response that holds a file: a sign-in page is none.

        Raises:
            UnreachableError: it is not the type that was asked for.
        """
        media = response.headers.get("Content-Type", "")
        kind = media.partition(";")[0].strip().lower()
        if self.accept not in ("application/json", "*/*", kind):
            raise not_understood("Content-Type", f"is {media}, not {self.accept}")


def reads(kind: type[M]) -> Callable[[httpx.Response], M]:
    """Return a reader of a JSON body of this kind; see `validated`."""
    return lambda response: validated(kind, decoded(response.content))


def validated(kind: type[M], document: object) -> M:
    """Validate a decoded body.

    Raises:
        UnreachableError: it does not fit; another version of the service may answer.
    """
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise not_understood(".".join(map(str, first["loc"])), first["msg"]) from error


def decoded(content: bytes) -> object:
    """Return the decoded JSON, None when it is not JSON."""
    try:
        document: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return document


def json_text(document: object) -> str:
    """Return JSON of plain values, times and ids."""
    return json.dumps(document, default=_plain)


def not_understood(name: str, problem: str) -> UnreachableError:
    """Return the error of a field of a response that has no meaning for this client."""
    return UnreachableError(
        f"the service's answer is not understood ({name or 'body'}: {problem}); "
        "does the service have another version?"
    )


def _texts(values: Mapping[str, object]) -> dict[str, object]:
    """Return query parameters or form fields as httpx takes them, without those that are None."""
    return {
        name: value if isinstance(value, str | int | float) else _plain(value)
        for name, value in values.items()
        if value is not None
    }


def _plain(value: object) -> object:
    """Return a value that JSON does not know as one that it knows."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
