"""Parse JSON, and reject what other parsers would read differently, such as repeated keys."""

import json
from typing import Any

MAX_DIGITS = 300
"""Longer integers are no float; Python takes ever longer to read them."""


def parse_json(text: str | bytes) -> Any:
    """Parse JSON whose objects hold each key once; a byte order mark before it is passed over.

    Raises:
        JSONDecodeError: not JSON.
        ValueError: a key stands twice, a number is too long, objects are nested too deeply, or the
            text is not UTF-8.
    """
    if isinstance(text, str):  # of bytes, the parser passes it over itself
        text = text.removeprefix("\ufeff")
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_int=_short_integer)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply; send a flat object") from None


def _short_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits; send at most {MAX_DIGITS}, or a text")
    return int(digits)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key[:80]!r} stands twice in one JSON object")
        found[key] = value
    return found
