"""Problem details of RFC 9457 as a response."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

PROBLEM_JSON = "application/problem+json"


def problem(
    status: int,
    kind: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> JSONResponse:
    """A problem response.

    Args:
        status: HTTP status.
        kind: stable name, becomes `type: urn:crossfix:problem:<kind>`.
        detail: what was wrong and what would be right.
        headers: further response headers.
        more: extension members, e.g. `vessel_id`.
    """
    body = {
        "type": f"urn:crossfix:problem:{kind}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **more,
    }
    return JSONResponse(body, status, dict(headers or {}), media_type=PROBLEM_JSON)


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "examples": ["urn:crossfix:problem:chip-format"]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


UPLOAD = (400, 408, 413)
"""What any request with a body may be told: it cannot be read, came too slowly, is too large."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problem responses for the OpenAPI document."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {PROBLEM_JSON: {"schema": PROBLEM_SCHEMA}},
        }
        for status in statuses
    }
