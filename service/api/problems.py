"""Problem details (RFC 9457) as responses."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

PROBLEM_JSON = "application/problem+json"
PROBLEM_SCHEMA_NAME = "Problem"
PROBLEM_SCHEMA: dict[str, Any] = {
    "title": PROBLEM_SCHEMA_NAME,
    "description": "What was wrong and what would be right (RFC 9457); may have further members.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "e.g. `urn:crossfix:problem:chip-format`"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
PROBLEM_REFERENCE = {"$ref": f"#/components/schemas/{PROBLEM_SCHEMA_NAME}"}
UPLOAD_STATUSES = (400, 408, 413)
"""Errors of any request with a body: it cannot be read, arrives too slowly, or is too large."""


def problem_fields(status: int, kind: str, detail: str, **extensions: Any) -> dict[str, Any]:
    """Return the members of a problem.

    Args:
        kind: stable name, becomes `type: urn:crossfix:problem:<kind>`.
        detail: what was wrong and what would be right.
        extensions: extension members, e.g. `vessel_id`.
    """
    return {
        "type": f"urn:crossfix:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **extensions,
    }


def problem(
    status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, **extensions: Any
) -> JSONResponse:
    """Return a problem response with these headers; see `problem_fields`."""
    body = problem_fields(status, kind, detail, **extensions)
    return JSONResponse(body, status, dict(headers or {}), media_type=PROBLEM_JSON)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the problem responses of a route for the OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": PROBLEM_REFERENCE}},
        }
        for status in statuses
    }


ERRORS_OF_CHANGES = documented(*UPLOAD_STATUSES, 404, 409, 415, 422, 429, 503, 507)
"""The problem responses of a route that changes vessels, sightings or judgements."""
