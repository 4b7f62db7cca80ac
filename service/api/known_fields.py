"""Reject unknown and repeated form fields and query parameters."""

from collections.abc import Iterable

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from starlette.datastructures import UploadFile

from service.api.transport_errors import MediaTypeError
from service.identity.errors import InvalidRequestError

MULTIPART = "multipart/form-data"


def multipart_form(file: str, texts: Iterable[str]) -> Dependency:
    """Return a dependency that accepts a multipart form of these fields only.

    Args:
        file: name of the field that holds the chips, and may occur more than once.
        texts: names of the other fields, each of which may occur once.

    Raises (for a request):
        MediaTypeError: the body is not `multipart/form-data`.
        InvalidRequestError: a field is unknown, repeated or of the wrong kind.
    """
    known = (file, *texts)

    async def check(request: Request) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        if kind.casefold() != MULTIPART:
            raise MediaTypeError(
                f"expected a form sent as {MULTIPART}, got {kind[:80] or 'no Content-Type'}; "
                f"with curl: -F {file}=@FILE"
            )
        form = await request.form()
        for name in form:
            if name not in known:
                raise InvalidRequestError(
                    f"there is no field {name[:80]!r}; the fields are: {', '.join(known)}"
                )
            _check_values(name, form.getlist(name), is_file=name == file)

    dependency: Dependency = Depends(check)
    return dependency


def _check_values(name: str, values: list[UploadFile | str], is_file: bool) -> None:
    if len(values) > 1 and not is_file:
        raise InvalidRequestError(f"{name}: sent {len(values)} times; send it once")
    for value in values:
        if is_file and isinstance(value, str):
            raise InvalidRequestError(
                f"{name}: expected a file, got text; with curl: -F {name}=@FILE"
            )
        if not is_file and not isinstance(value, str):
            raise InvalidRequestError(
                f"{name}: expected text, got a file; with curl: -F '{name}=<FILE'"
            )


async def _check_query(request: Request) -> None:
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if (times := len(request.query_params.getlist(name))) > 1:
            raise InvalidRequestError(f"{name[:80]}: sent {times} times; send it once")
        if name not in known:
            hint = f"the parameters are: {', '.join(known)}" if known else "this path takes none"
            raise InvalidRequestError(f"there is no query parameter {name[:80]!r}; {hint}")


KNOWN_QUERY_ONLY = Depends(_check_query)
"""Rejects query parameters that the route does not declare, or that are sent twice."""
