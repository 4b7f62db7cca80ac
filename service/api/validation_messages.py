"""Turn pydantic's errors into messages for the senders of requests."""

from collections.abc import Mapping, Sequence
from typing import Any

BODY = "body"
MESSAGES = {
    "dict_type": "expected a JSON object",
    "extra_forbidden": "there is no such field",
    "list_type": "expected a JSON list",
    "missing": "is missing",
    "model_attributes_type": "expected a JSON object",
    "model_type": "expected a JSON object",
}


def explain(errors: Sequence[Mapping[str, Any]]) -> str:
    """Describe the errors of a `pydantic.ValidationError` in one line."""
    parts = []
    for error in errors:
        field = ".".join(str(part) for part in error["loc"])
        parts.append(f"{field}: {message(error)}" if field else message(error))
    return "; ".join(parts)


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the field and the message of each error of a `RequestValidationError`."""
    return [{"field": _field(error), "message": _request_message(error)} for error in errors]


def message(error: Mapping[str, Any]) -> str:
    """Return the message of one error, in terms of JSON instead of Python."""
    text: str = MESSAGES.get(error["type"], error["msg"])
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
