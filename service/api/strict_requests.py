"""Reject request bodies that FastAPI would change or complete without saying so."""

from collections.abc import Callable, Coroutine
from contextlib import aclosing
from json import JSONDecodeError
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from service.access.strict_json import parse_json
from service.api.known_fields import KNOWN_QUERY_ONLY

UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
FORM_HELP = (
    "Expected multipart/form-data as curl -F sends it: from the first boundary on, parts with "
    "headers of at most 4 kB and lines that end with CR LF"
)


class StrictParser(MultiPartParser):
    """A parser of forms that refuses texts which are not valid, instead of guessing."""

    def on_part_begin(self) -> None:
        """Refuse a form whose texts are not in UTF-8, and begin a part."""
        if self._charset not in UTF_8:
            raise HTTPException(
                415, f"the form names the character set {self._charset}; send it in UTF-8"
            )
        self._charset = "utf-8"
        super().on_part_begin()

    def on_headers_finished(self) -> None:
        """Check the names of a field and its file before they are decoded."""
        disposition = self._current_part.content_disposition or b""
        _require_text(disposition, "the name of a part")
        super().on_headers_finished()
        name = self._current_part.field_name
        headers = [header for header, _ in self._current_part.item_headers]
        if headers.count(b"content-disposition") > 1:
            raise HTTPException(422, f"{name}: the part has two Content-Disposition; send one")
        if self._current_part.file is None:
            _require_plain(name, dict(self._current_part.item_headers))
            if b"filename*" in disposition:
                raise HTTPException(
                    422,
                    f'{name}: a form names a file by filename="…" in UTF-8 (RFC 7578), not by '
                    "filename*",
                )

    def on_part_end(self) -> None:
        """Check the text of a field before it is decoded."""
        if self._current_part.file is None:
            _require_text(self._current_part.data, self._current_part.field_name)
        super().on_part_end()


def _require_text(data: bytes | bytearray, name: str) -> None:
    if b"\0" in data:
        raise HTTPException(
            422, f"{name}: holds a NUL character; remove it, or send a file with a file name"
        )
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise HTTPException(422, f"{name}: not valid UTF-8; encode it in UTF-8") from error


def _require_plain(name: str, headers: dict[bytes, bytes]) -> None:
    """Refuse the text of a part that is encoded in a way which the parser would ignore."""
    _, options = parse_options_header(headers.get(b"content-type", b""))
    charset = options.get(b"charset", b"utf-8").decode("latin-1").casefold()
    if charset not in UTF_8:
        raise HTTPException(422, f"{name}: sent in {charset[:40]}; send it in UTF-8")
    for header in (b"content-transfer-encoding", b"content-encoding"):
        encoding = headers.get(header, b"binary").decode("latin-1").strip()
        if encoding.casefold() not in ("7bit", "8bit", "binary", "identity"):
            raise HTTPException(
                422, f"{name}: sent with {header.decode()} {encoding[:40]}; send it as it is"
            )


class StrictRequest(Request):
    """A request whose body is parsed strictly."""

    async def json(self) -> Any:
        """Parse the body; as the framework expects, refuse it with an HTTPException."""
        try:
            return parse_json(await self.body())
        except UnicodeDecodeError as error:
            raise HTTPException(400, "the JSON is not valid UTF-8") from error
        except JSONDecodeError:
            raise
        except ValueError as error:
            raise HTTPException(422, str(error)) from error

    async def _get_form(self, **limits: Any) -> FormData:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if self._form is None and kind == "multipart/form-data":
            async with aclosing(self.stream()) as stream:
                try:
                    self._form = await StrictParser(self.headers, stream, **limits).parse()
                except MultiPartException as error:
                    raise HTTPException(400, f"{error.message} {FORM_HELP}") from error
        return await super()._get_form(**limits)


class StrictRoute(APIRoute):
    """A route that parses bodies strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which receives a `StrictRequest`."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def strict_router(
    tag: str, prefix: str = "", responses: dict[int | str, dict[str, Any]] | None = None
) -> APIRouter:
    """Return a router that parses bodies strictly, and refuses query parameters it does not know.

    Args:
        tag: of its routes in the OpenAPI document.
        prefix: of the paths of its routes.
        responses: of all its routes, for the OpenAPI document.
    """
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        responses=responses,
        dependencies=[KNOWN_QUERY_ONLY],
        route_class=StrictRoute,
    )
