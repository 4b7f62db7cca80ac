"""Refuse bodies that the framework would repair in silence."""

import json
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser

from service.identity.errors import InvalidRequestError


def parse_json(text: str | bytes) -> Any:
    """Parse JSON whose objects hold each key once.

    Raises:
        InvalidRequestError: a key stands twice.
        ValueError, RecursionError: not JSON in UTF-8.
    """
    return json.loads(text, object_pairs_hook=_unique_keys)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidRequestError(f"the key {key[:80]!r} stands twice in one JSON object")
        found[key] = value
    return found


class StrictParser(MultiPartParser):
    """A parser of forms that refuses texts which are not valid, instead of guessing."""

    def on_headers_finished(self) -> None:
        """Check the names of a field and its file before they are decoded."""
        self._require_text(self._current_part.content_disposition or b"", "the name of a part")
        super().on_headers_finished()

    def on_part_end(self) -> None:
        """Check the text of a field before it is decoded."""
        if self._current_part.file is None:
            self._require_text(self._current_part.data, self._current_part.field_name)
        super().on_part_end()

    def _require_text(self, data: bytes | bytearray, name: str) -> None:
        if b"\0" in data:
            raise HTTPException(422, f"{name}: holds a NUL character; remove it")
        try:
            data.decode(self._charset)
        except UnicodeDecodeError as error:
            raise HTTPException(
                422, f"{name}: not text in {self._charset.upper()}; send it in UTF-8"
            ) from error


class StrictRequest(Request):
    """A request whose body is parsed strictly."""

    async def json(self) -> Any:
        """Parse the body; as the framework expects, refuse it with an HTTPException."""
        try:
            return parse_json(await self.body())
        except InvalidRequestError as error:
            raise HTTPException(422, str(error)) from error

    async def _get_form(self, **limits: Any) -> FormData:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().casefold()
        if self._form is None and kind == "multipart/form-data":
            async with aclosing(self.stream()) as stream:
                try:
                    self._form = await StrictParser(self.headers, stream, **limits).parse()
                except MultiPartException as error:
                    raise HTTPException(400, error.message) from error
        return await super()._get_form(**limits)


class StrictRoute(APIRoute):
    """A route that parses bodies strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, which receives a `StrictRequest`."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict
