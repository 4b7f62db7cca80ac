"""Requests that say exactly what a route can hear: nothing that is sent goes unheard."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from service.api.transport_errors import MediaTypeError
from service.identity.errors import InvalidRequestError

MULTIPART = "multipart/form-data"


@dataclass(frozen=True)
class FormShape:
    """The fields of a form.

    Attributes:
        file: the field of the chips.
        several: whether it may come more than once.
        texts: the other fields, each once at most.
    """

    file: str
    several: bool
    texts: tuple[str, ...]

    def check(self, form: FormData) -> None:
        """Raises InvalidRequestError for a field that is unknown, repeated or of the wrong kind."""
        known = (self.file, *self.texts)
        for name in form:
            if name not in known:
                raise InvalidRequestError(
                    f"there is no field {name[:80]!r}; the fields are: {', '.join(known)}"
                )
            self._check_values(name, form.getlist(name))

    def _check_values(self, name: str, values: list[UploadFile | str]) -> None:
        wants_file = name == self.file
        if len(values) > 1 and not (wants_file and self.several):
            raise InvalidRequestError(f"{name}: sent {len(values)} times, but it is taken once")
        for value in values:
            if wants_file and isinstance(value, str):
                raise InvalidRequestError(
                    f"{name}: expected a file, got text; with curl: -F {name}=@FILE"
                )
            if not wants_file and not isinstance(value, str):
                raise InvalidRequestError(
                    f"{name}: expected text, got a file; with curl: -F '{name}=<FILE'"
                )


def form_of(file: str, *, several: bool, texts: Iterable[str]) -> Any:
    """A dependency that takes a multipart form of these fields alone.

    Raises, when asked:
        MediaTypeError: the body is not `multipart/form-data`.
        InvalidRequestError: a field is unknown, repeated or of the wrong kind.
    """
    shape = FormShape(file, several, tuple(texts))

    async def check(request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind.casefold() != MULTIPART:
            raise MediaTypeError(
                f"expected a form sent as {MULTIPART}, got {kind[:80] or 'no Content-Type'}; "
                f"with curl: -F {file}=@FILE"
            )
        shape.check(await request.form())

    return Depends(check)


def _known_query(request: Request) -> None:
    """Refuse query parameters that the route does not know."""
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            listed = f"the parameters are: {', '.join(known)}" if known else "none is taken here"
            raise InvalidRequestError(f"there is no query parameter {name[:80]!r}; {listed}")


KNOWN_QUERY = Depends(_known_query)
