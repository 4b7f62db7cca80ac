"""What was wrong with each field and what would be right, in words for people who send requests."""

from collections.abc import Mapping, Sequence
from typing import Any

BODY = "body"
A_TIME = "expected a time, e.g. 2026-03-05T17:20:00Z"
RIGHT = {
    "dict_type": "expected a JSON object",
    "extra_forbidden": "there is no such field",
    "list_type": "expected a JSON list",
    "missing": "is missing",
    "model_attributes_type": "expected a JSON object",
    "model_type": "expected a JSON object",
    **dict.fromkeys(("datetime_from_date_parsing", "datetime_parsing", "datetime_type"), A_TIME),
}


def explain(errors: Sequence[Mapping[str, Any]]) -> str:
    """The errors of a `pydantic.ValidationError` in one line."""
    lines = []
    for error in errors:
        place = ".".join(str(part) for part in error["loc"])
        lines.append(f"{place}: {message(error)}" if place else message(error))
    return "; ".join(lines)


def wrong_fields(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Field and message of each error of a `RequestValidationError`."""
    return [{"field": _field(error), "message": _request_message(error)} for error in errors]


def message(error: Mapping[str, Any]) -> str:
    """One error of pydantic, without its words for programmers."""
    text: str = RIGHT.get(error["type"], error["msg"])
    return text.removeprefix("Value error, ")


def _field(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return BODY
    return ".".join(str(part) for part in error["loc"][1:]) or BODY


def _request_message(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"not JSON: {error['ctx']['error']} at character {error['loc'][-1]}"
    text = message(error)
    if tuple(error["loc"]) == (BODY,):
        return f"{text}, sent with Content-Type: application/json"
    return text
