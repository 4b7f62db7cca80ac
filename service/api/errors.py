"""Map every exception to a status and a problem response (RFC 9457)."""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service.api import transport_errors
from service.api.problems import PROBLEM_JSON, problem, problem_fields
from service.api.validation_messages import field_errors, more_errors
from service.contract.errors import (
    BundleError,
    ChipError,
    ChipSizeError,
    CrossfixError,
    OverloadedError,
    TranslationError,
    UnsupportedFormatError,
)
from service.identity.errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    StoreFullError,
    StoreUnavailableError,
)
from service.observability.metrics import Telemetry

log = logging.getLogger("crossfix.api")

STATUS: dict[type[CrossfixError], int] = {
    UnsupportedFormatError: 415,
    ChipSizeError: 413,
    ChipError: 422,
    TranslationError: 422,
    InvalidRequestError: 422,
    transport_errors.MediaTypeError: 415,
    transport_errors.NotAcceptableError: 406,
    NotFoundError: 404,
    ConflictError: 409,
    OverloadedError: 429,
    transport_errors.RateLimitedError: 429,
    transport_errors.UnauthenticatedError: 401,
    transport_errors.ForbiddenError: 403,
    transport_errors.BodyTooLargeError: 413,
    transport_errors.SlowUploadError: 408,
    transport_errors.IdempotencyKeyReusedError: 422,
    transport_errors.RequestInProgressError: 409,
    transport_errors.ResponseTooLargeError: 409,
    transport_errors.RequestTimeoutError: 503,
    StoreUnavailableError: 503,
    StoreFullError: 507,
    BundleError: 500,
}
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
HTTP_KINDS = {
    404: "no-such-route",
    405: "method-not-allowed",
    415: transport_errors.MediaTypeError.kind,
    422: InvalidRequestError.kind,
}
UNEXPECTED = "the service failed to answer; the error was logged"
RETRY_AFTER_S = {429: "1", 503: "5"}


def status_of(error: CrossfixError) -> int:
    """Return the status of the nearest base class in `STATUS`, else 500."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def error_response(error: Exception, telemetry: Telemetry, path: str) -> Response:
    """Return an error as a problem response; count it by kind, and log it if it is a 5xx."""
    fields = error_fields(error, telemetry, path)
    status = fields["status"]
    return JSONResponse(fields, status, _headers(error, status), media_type=PROBLEM_JSON)


def error_fields(error: Exception, telemetry: Telemetry, path: str) -> dict[str, Any]:
    """Return the members of an error's problem; count it by kind, and log it if it is a 5xx."""
    if not isinstance(error, CrossfixError):
        telemetry.errors.labels("internal").inc()
        log.error("unexpected error", exc_info=error)
        return problem_fields(500, "internal", UNEXPECTED)
    status = status_of(error)
    telemetry.errors.labels(error.kind).inc()
    if status >= 500:
        log.error("%s", error, extra={"fields": {"kind": error.kind, "path": path}})
    extensions: dict[str, str] = {}
    if isinstance(error, ConflictError | NotFoundError) and error.vessel_id is not None:
        extensions["vessel_id"] = str(error.vessel_id)
    return problem_fields(status, error.kind, str(error), **extensions)


def _headers(error: Exception, status: int) -> dict[str, str]:
    if isinstance(error, transport_errors.RateLimitedError):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))}
    if isinstance(error, transport_errors.UnauthenticatedError):
        return {"WWW-Authenticate": 'Bearer realm="crossfix"'}
    if isinstance(error, transport_errors.DisplacedUploadError):
        return {"Retry-After": "1", "Connection": "close"}
    if isinstance(error, transport_errors.BodyTooLargeError | transport_errors.SlowUploadError):
        return {"Connection": "close"}
    if isinstance(error, transport_errors.RequestInProgressError):
        return {"Retry-After": "1"}
    return {"Retry-After": RETRY_AFTER_S[status]} if status in RETRY_AFTER_S else {}


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that the routes accept at the request's path, all routes together."""
    accepted = {
        method
        for method in METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    }
    if "GET" in accepted:
        accepted.add("HEAD")  # answered by the middleware `HeadRequests`
    return [method for method in METHODS if method in accepted]


def _http_error_detail(request: Request, error: HTTPException, headers: Mapping[str, str]) -> str:
    """Return what was wrong and what would be right, where the framework does not say."""
    path = request.url.path[:200]
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"there is nothing at {path}; /docs lists the paths"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method[:20]} is not supported at {path}; use {headers['Allow']}"
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return f"the body of the request cannot be read: {error.detail}"
    return str(error.detail)


def install(app: FastAPI, telemetry: Telemetry) -> None:
    """Answer every error with a problem response, and count it by kind."""

    @app.exception_handler(CrossfixError)
    def on_known(request: Request, error: CrossfixError) -> Response:
        return error_response(error, telemetry, request.url.path)

    @app.exception_handler(RequestValidationError)
    def on_invalid(_request: Request, error: RequestValidationError) -> Response:
        telemetry.errors.labels("invalid-field").inc()
        errors = error.errors()
        fields = field_errors(errors)
        detail = "; ".join(f"{f['field']}: {f['message']}" for f in fields) + more_errors(errors)
        return problem(422, "invalid-field", detail, fields=fields)

    @app.exception_handler(HTTPException)
    def on_http(request: Request, error: HTTPException) -> Response:
        kind = HTTP_KINDS.get(error.status_code, "http")
        telemetry.errors.labels(kind).inc()
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(allowed_methods(request))
        detail = _http_error_detail(request, error, headers)
        return problem(error.status_code, kind, detail, headers)

    @app.exception_handler(Exception)
    def on_unexpected(request: Request, error: Exception) -> Response:
        return error_response(error, telemetry, request.url.path)
