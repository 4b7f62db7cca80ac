"""Write the operator's table of settings from `service/settings/model.py`: `crossfix settings`."""

import re
from typing import Any

from pydantic.fields import FieldInfo

from service.settings import CLIENT_KEY, PREFIX, SHIPPED_BUNDLE, Settings

HEAD = f"""# Settings

Each setting is an environment variable, read once at the start. The service refuses to start with a
malformed value, or an unknown variable with the prefix `{PREFIX}`, and names it. Separate the items
of a list by commas. An empty value of an optional setting counts as unset.

Decide about these ten first:

| to | set |
|---|---|
| serve other models | `{PREFIX}BUNDLE` |
| run the models on the CPU, or on the GPU only | `{PREFIX}DEVICE` |
| store the data elsewhere | `{PREFIX}DATA_DIR` |
| limit the disk | `{PREFIX}KEEP_MATCHES_DAYS`, `{PREFIX}KEEP_OPEN_SIGHTINGS_DAYS` |
| listen for other machines ([make a key](access.md#keys) first) | `{PREFIX}HOST` |
| run behind a proxy | `{PREFIX}TRUSTED_PROXIES` |
| share a gallery between replicas | `{PREFIX}QDRANT_URL`, `{PREFIX}REDIS_URL` |
| store original chips in a bucket | `{PREFIX}CHIP_STORE` |

`crossfix settings` prints this page from `service/settings/model.py`; renew it by
`make settings-table` instead of editing it.
"""
SECTIONS = {
    "bundle": "Models",
    "data_dir": "Data, and how long it is kept",
    "host": "Address and TLS",
    "keys_file": "Who may send requests",
    "rate_limit_per_minute": "Limits of requests and chips",
    "qdrant_url": "Replicas on a Qdrant server",
    "chip_store": "Original chips in a bucket",
    "ask_again_interval_s": "Open sightings",
    "check_interval_h": "Checks, recovery and traces",
}
"""Heading of the section that begins with this setting."""

COLUMNS = "| variable | default | value | meaning |\n|---|---|---|---|"
FOOT = f"""
The commands that call a service (`crossfix enrol`, `crossfix match`) send it the API key in
`{CLIENT_KEY}`; the service itself does not read it.
"""
TYPE_NAMES = {
    "array": "list",
    "boolean": "`true`, `false`",
    "integer": "",
    "number": "",
    "password": "secret",
    "path": "path",
    "string": "text",
}
"""By the format, or else the type, in the JSON schema; numbers have bounds instead."""

BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def settings_table() -> str:
    """Return `docs/settings.md`: one row for each setting, in sections."""
    schemas = Settings.model_json_schema()["properties"]
    lines = []
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            lines += ["", f"## {SECTIONS[name]}", "", COLUMNS]
        lines.append(_row(name, field, schemas[name]))
    return HEAD + "\n".join(lines) + "\n" + FOOT


def _row(name: str, field: FieldInfo, schema: dict[str, Any]) -> str:
    cells = (f"`{PREFIX}{name.upper()}`", _default(field), _value(schema), _meaning(field))
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


def _value(schema: dict[str, Any]) -> str:
    """Return the bounds of the value, its choices, or else its type."""
    kinds: list[dict[str, Any]] = schema.get("anyOf", [schema])
    kind = next(one for one in kinds if one.get("type") != "null")
    choices = ", ".join(f"`{choice}`" for choice in kind.get("enum", ()))
    name = TYPE_NAMES[kind.get("format") or kind["type"]]
    return ", ".join(_bounds(kind)) or choices or name


def _bounds(kind: dict[str, Any]) -> list[str]:
    if {"minimum", "maximum"} <= kind.keys():
        return [f"{kind['minimum']:.12g} to {kind['maximum']:.12g}"]
    if {"minLength", "maxLength"} <= kind.keys():
        return [f"{kind['minLength']} to {kind['maxLength']} characters"]
    return [f"{sign} {kind[name]:.12g}" for name, sign in BOUNDS.items() if name in kind]
