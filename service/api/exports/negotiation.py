"""Choose the representation of a response from `Accept` (RFC 9110, sections 12.4.2 and 12.5.1)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.request import parse_http_list

from python_multipart.multipart import parse_options_header

from service.api.transport_errors import NotAcceptableError

JSON, CSV, GEOJSON = "application/json", "text/csv", "application/geo+json"

_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
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
    elements = (_media_range(element) for element in parse_http_list(accept))
    return [one for one in elements if one is not None]


def _media_range(element: str) -> MediaRange | None:
    media, options = parse_options_header(element)
    kind, _, subtype = media.decode("latin-1").casefold().partition("/")
    said = {k.decode("latin-1"): v.decode("latin-1").casefold() for k, v in options.items()}
    quality = said.pop("q", "1")
    if (
        not (kind and subtype)
        or (kind == "*" and subtype != "*")
        or not _QUALITY.fullmatch(quality)
        or any(_OWN_PARAMETERS.get(name) != value for name, value in said.items())
    ):
        return None
    return MediaRange(kind, subtype, len(said), float(quality))
