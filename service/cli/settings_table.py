"""Write the operator's table of settings from `service/settings/model.py`: `crossfix settings`."""

import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.settings import CLIENT_KEY, PREFIX, SHIPPED_BUNDLE, Settings

HEAD = f"""# Settings

Each setting is an environment variable, read once at the start. The service refuses to start with a
malformed value, or an unknown variable with the prefix `{PREFIX}`, and names it. Separate the items
of a list by commas. An empty value of an optional setting counts as unset.

`crossfix settings` prints this page from `service/settings/model.py`.
Renew it by `make settings-table`; do not edit it.

| variable | default | value | meaning |
|---|---|---|---|
"""
FOOT = f"""
The commands that call a service (`crossfix enrol`, `crossfix match`) send it the API key in
`{CLIENT_KEY}`; the service itself does not read it.
"""
TYPE_NAMES: dict[object, str] = {
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    SecretStr: "secret",
}
BOUNDS: tuple[tuple[type, str, str], ...] = (
    (Ge, "ge", "≥"),
    (Gt, "gt", ">"),
    (Le, "le", "≤"),
    (Lt, "lt", "<"),
    (MinLen, "min_length", "length ≥"),
    (MaxLen, "max_length", "length ≤"),
)


def settings_table() -> str:
    """Return `docs/settings.md`: one row for each setting."""
    rows = [_row(name, field) for name, field in Settings.model_fields.items()]
    return HEAD + "\n".join(rows) + "\n" + FOOT


def _row(name: str, field: FieldInfo) -> str:
    cells = (f"`{PREFIX}{name.upper()}`", _default(field), _value(field), _meaning(field))
    return "| " + " | ".join(cells) + " |"


def _meaning(field: FieldInfo) -> str:
    if not field.description:
        raise ValueError("every setting needs a description")
    return re.sub(r"\s+", " ", field.description).replace("|", "\\|")


def _default(field: FieldInfo) -> str:
    """Return the default as it would be written in the environment."""
    value = field.default
    if field.default_factory is not None or value in (None, ()):
        return "unset"
    if value == SHIPPED_BUNDLE:
        return "the shipped bundle"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) and value < 1e6 else f"`{value}`"


def _value(field: FieldInfo) -> str:
    """Return the type of the value and its bounds."""
    bounds = [
        f"{sign} {getattr(constraint, attribute):.12g}"
        for kind, attribute, sign in BOUNDS
        for constraint in field.metadata
        if isinstance(constraint, kind)
    ]
    return ", ".join([_type_name(field.annotation), *bounds])


def _type_name(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _type_name(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return next(_type_name(arg) for arg in get_args(annotation) if arg is not type(None))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{arg}`" for arg in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list"
    return TYPE_NAMES[annotation]
