import pytest

from service.api.exports.negotiation import CSV, GEOJSON, JSON, choose_media
from service.api.transport_errors import NotAcceptableError

OFFERED = (JSON, GEOJSON, CSV)


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("text/csv", CSV),
        ("TEXT/CSV", CSV),
        ("text/*", CSV),
        ("application/*", JSON),
        ("application/geo+json", GEOJSON),
        ("application/geo+json;q=0.5, text/csv;q=0.7", CSV),
        ("text/csv;q=0.5, */*;q=0.1", CSV),
        ("text/html, application/xml;q=0.9, */*;q=0.8", JSON),
        # The more specific range decides, wherever it stands (RFC 9110, 12.5.1).
        ("application/json;q=0.1, application/*;q=0.9", GEOJSON),
        ("*/*, application/json;q=0", GEOJSON),
        ("text/csv; charset=UTF-8; header=present", CSV),
        ("text/csv; charset=latin-1, application/json;q=0.1", JSON),
        ('text/csv; charset="utf-8" ; q=1.000', CSV),
        ("nonsense, text/csv", CSV),
        ("text/csv;q=high, application/json;q=0.2", JSON),
        ('application/xml;note="a, text/csv", application/geo+json', GEOJSON),
    ],
)
def test_the_preferred_representation_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose_media(accept, OFFERED) == chosen


@pytest.mark.parametrize(
    "accept", ["application/xml", "text/csv;q=0", "*/*;q=0", "*/json", "text/csv; charset=latin-1"]
)
def test_other_representations_are_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/geo\\+json, text/csv"):
        choose_media(accept, OFFERED)
