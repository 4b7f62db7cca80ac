"""The operator's table of settings, made from `settings.py`.

`python -m service.cli.settings_table > docs/settings.md` renews it; a test tells when it is stale.
"""

import re
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from service.settings import CLIENT_KEY, PREFIX, SHIPPED_BUNDLE, Settings

HEAD = f"""# Settings

Made from `service/settings.py` by `make settings-table`; do not edit.

Each setting is an environment variable, read once at the start. A malformed value, or a variable
with the prefix `{PREFIX}` that is not in this table, stops the start with a message that names it.
Lists are separated by commas; an empty value of an optional setting is as unset.

| variable | default | value | meaning |
|---|---|---|---|
"""
FOOT = f"""
The commands that ask a service (`crossfix enrol`, `crossfix match`) show it the key in
`{CLIENT_KEY}`; the service itself does not read it.
"""
KINDS: dict[object, str] = {
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
    """The whole document, Markdown."""
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
    """The default as it would be written in the environment."""
    value = field.default
    if field.default_factory is not None or value in (None, ()):
        return "unset"
    if value == SHIPPED_BUNDLE:
        return "the shipped bundle"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) and value < 1e6 else f"`{value}`"


def _value(field: FieldInfo) -> str:
    """The kind of value and its bounds."""
    kind = _kind(field.annotation)
    bounds = [
        f"{sign} {getattr(one, name):.12g}"
        for mark, name, sign in BOUNDS
        for one in field.metadata
        if isinstance(one, mark)
    ]
    return ", ".join([kind, *bounds])


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _kind(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return next(_kind(one) for one in get_args(annotation) if one is not type(None))
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(annotation))
    if get_origin(annotation) is tuple:
        return "list"
    return KINDS[annotation]


if __name__ == "__main__":
    print(settings_table(), end="")
