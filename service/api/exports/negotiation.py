"""Choose the representation of a response from `Accept` (RFC 9110, sections 12.4.2 and 12.5.1)."""

import re
from collections.abc import Sequence
from urllib.request import parse_http_list

from python_multipart.multipart import parse_options_header

from service.api.transport_errors import NotAcceptableError

JSON, CSV, GEOJSON = "application/json", "text/csv", "application/geo+json"

_QUALITY = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_OWN_PARAMETERS = {"charset": "utf-8", "header": "present"}


MediaRange = tuple[str, int, float]
"""An element of `Accept`: its name, e.g. `text/*`; how many parameters it demands, which each
representation has; and its quality, from 0 (not acceptable) to 1."""


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
    ranges = [one for text in parse_http_list(accept) if (one := _media_range(text)) is not None]
    best = max(offered, key=lambda media: _quality(media, ranges))
    if _quality(best, ranges) <= 0:
        raise NotAcceptableError(
            f"Accept: {accept[:200]}: this can be sent as {', '.join(offered)}, none of which the "
            "header accepts"
        )
    return best


def _quality(media: str, ranges: Sequence[MediaRange]) -> float:
    """Return the quality that the most specific matching range gives; 0 when none matches."""
    precedence = {media: 2, f"{media.partition('/')[0]}/*": 1, "*/*": 0}
    matching = [
        (precedence[name] + parameters, quality)
        for name, parameters, quality in ranges
        if name in precedence
    ]
    return max(matching)[1] if matching else 0.0


def _media_range(element: str) -> MediaRange | None:
    """Read an element; None if it is malformed, or demands what no representation has."""
    media, options = parse_options_header(element)
    said = {k.decode("latin-1"): v.decode("latin-1").casefold() for k, v in options.items()}
    quality = said.pop("q", "1")
    if not _QUALITY.fullmatch(quality) or said.items() - _OWN_PARAMETERS.items():
        return None
    return media.decode("latin-1").casefold(), len(said), float(quality)
