"""Turn pydantic's errors into messages for the senders of requests."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from service.identity.errors import InvalidRequestError

Model = TypeVar("Model", bound=BaseModel)

BODY = "body"
MOST_ERRORS = 20
"""How many errors of one request are described; a body may have hundreds of thousands."""
MESSAGES = {
    "dict_type": "expected a JSON object",
    "extra_forbidden": "there is no such field",
    "list_type": "expected a JSON list",
    "missing": "is missing",
    "model_attributes_type": "expected a JSON object",
    "model_type": "expected a JSON object",
}

EXPECTED = {
    "bool_parsing": "true or false",
    "finite_number": "a finite number",
    "float_parsing": "a number with a decimal point, e.g. 0.75",
    "float_type": "a number, e.g. 0.75",
    "int_from_float": "a whole number, e.g. 2",
    "int_parsing": "a whole number, e.g. 2",
    "int_parsing_size": "a whole number of fewer digits",
    "int_type": "a whole number, e.g. 2",
    "string_type": "a text",
    "string_unicode": "a text of whole characters",
    "uuid_parsing": "an id, which is a UUID",
    "uuid_type": "an id, which is a UUID",
}
"""What would be right, by the type of the error; the message adds what was sent."""

BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
"""How a bound is said, and its name in the error's context, by the type of the error."""

CHOICES = {"enum", "literal_error"}
LENGTHS = {
    "string_too_long": ("more than", "max_length", "characters; send it shorter"),
    "string_too_short": ("fewer than", "min_length", "characters"),
    "too_long": ("more than", "max_length", "entries; send fewer"),
    "too_short": ("fewer than", "min_length", "entries"),
}
"""How a bound of a length is said, its name in the error's context, and of what it is one."""


def explain(errors: Sequence[Mapping[str, Any]]) -> str:
    """Describe the first errors of a `pydantic.ValidationError` in one line."""
    parts = []
    for error in errors[:MOST_ERRORS]:
        field = ".".join(str(part) for part in error["loc"])
        parts.append(f"{field}: {message(error)}" if field else message(error))
    return "; ".join(parts) + more_errors(errors)


def more_errors(errors: Sequence[Mapping[str, Any]]) -> str:
    """Say how many errors are not described."""
    more = len(errors) - MOST_ERRORS
    return f"; and {more} more" if more > 0 else ""


def validated(model: type[Model], value: object, field: str = "") -> Model:
    """Validate a part of a request.

    Raises:
        InvalidRequestError: it is wrong; the message begins with the name of the field.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        where = f"{field}: " if field else ""
        raise InvalidRequestError(where + explain(error.errors())) from error


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the field and the message of the first errors of a `RequestValidationError`."""
    first = errors[:MOST_ERRORS]
    return [{"field": _field(error), "message": _request_message(error)} for error in first]


def message(error: Mapping[str, Any]) -> str:
    """Return the message of one error, in terms of JSON instead of Python."""
    sent = f"{error.get('input')!r:.60}"
    if error["type"] in EXPECTED:
        return f"expected {EXPECTED[error['type']]}; got {sent}"
    if error["type"] in CHOICES:
        return f"expected {error['ctx']['expected']}; got {sent}"
    if error["type"] in BOUNDS:
        words, name = BOUNDS[error["type"]]
        bound = str(error["ctx"][name]).removesuffix(".0")
        return f"must be {words} {bound}; got {sent}"
    if error["type"] in LENGTHS:
        # A bound that is added to a text with a validator of its own counts as that of a list.
        of_text = "string_" if isinstance(error.get("input"), str) else ""
        words, name, what = LENGTHS[of_text + error["type"].removeprefix("string_")]
        return f"holds {words} {error['ctx'][name]} {what}"
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
    if tuple(error["loc"]) == (BODY,) and error["type"] in MESSAGES:
        return f"{text}, sent with Content-Type: application/json"
    return text
