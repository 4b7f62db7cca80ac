"""Choose the representation of a response from `Accept` (RFC 9110, sections 12.4.2 and 12.5.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.api.transport_errors import NotAcceptableError

JSON, CSV, GEOJSON = "application/json", "text/csv", "application/geo+json"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE = re.compile(rf"({_TOKEN})/({_TOKEN})")
_PARAMETER = re.compile(rf';[ \t]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*"))?[ \t]*')
_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_ELEMENTS = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_OWN_PARAMETERS = {"charset": "utf-8", "header": "present"}


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One element of `Accept`.

    Attributes:
        type: e.g. `text`, or `*`.
        subtype: e.g. `csv`, or `*`.
        parameters: how many parameters it demands, all of which every representation fulfils.
        quality: 0 (not acceptable) to 1.
    """

    type: str
    subtype: str
    parameters: int
    quality: float

    def precedence(self, media: str) -> int | None:
        """Return how specifically the range names a media type; None if it does not match."""
        kind, _, subtype = media.partition("/")
        if self.type not in ("*", kind) or self.subtype not in ("*", subtype):
            return None
        return (self.type != "*") + (self.subtype != "*") + self.parameters


def choose_media(accept: str | None, offered: Sequence[str]) -> str:
    """Return the offered media type that the client prefers; the first one if it has no preference.

    Args:
        accept: the header; None when it was not sent.
        offered: media types in the order in which the service prefers them.

    Raises:
        NotAcceptableError: the client accepts none of them.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = _parse(accept)
    best = max(offered, key=lambda media: _quality(media, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptableError(
            f"Accept: {accept[:200]}: this can be sent as {', '.join(offered)}, none of which the "
            "header accepts"
        )
    return best


def _quality(media: str, ranges: Sequence[MediaRange]) -> float:
    """Return the quality that the most specific matching range gives; 0 when none matches."""
    matching = [
        (precedence, one.quality)
        for one in ranges
        if (precedence := one.precedence(media)) is not None
    ]
    return max(matching)[1] if matching else 0.0


def _parse(accept: str) -> list[MediaRange]:
    """Read the elements of the header; malformed ones accept nothing."""
    elements = (_media_range(element.strip()) for element in _ELEMENTS.findall(accept))
    return [one for one in elements if one is not None]


def _media_range(element: str) -> MediaRange | None:
    head = _RANGE.match(element)
    if head is None or (head[1] == "*" and head[2] != "*"):
        return None
    quality, demanded, position = 1.0, 0, head.end()
    rest = element[position:].lstrip(" \t")
    while rest:
        found = _PARAMETER.match(rest)
        if found is None:
            return None
        rest = rest[found.end() :]
        name, value = (found[1] or "").casefold(), (found[2] or "").strip('"').casefold()
        if name == "q":
            if _QUALITY.fullmatch(value) is None:
                return None
            quality = float(value)
        elif name:
            if _OWN_PARAMETERS.get(name) != value:
                return None
            demanded += 1
    return MediaRange(head[1].casefold(), head[2].casefold(), demanded, quality)
