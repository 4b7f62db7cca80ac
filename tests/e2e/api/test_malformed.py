"""Every malformed upload is refused with the right problem and changes nothing."""

import json

import httpx
import pytest

from service.api.errors import status_of
from tests.support.inputs.chips import optical_png
from tests.support.inputs.malformed import MALFORMED
from tests.support.inputs.malformed_case import MalformedCase


def gallery_state(api: httpx.Client) -> tuple[object, str]:
    listing = api.get("/gallery", params={"limit": 500}).json()
    metrics = api.get("/metrics").text.splitlines()
    gallery = [line for line in metrics if line.startswith("crossfix_gallery_")]
    return listing, "\n".join(gallery)


def check(response: httpx.Response, case: MalformedCase) -> None:
    """Assert status, kind and text of the decoder's error.

    A field that is invalid in itself (not a number, not finite, not positive) may be refused before
    the chip is decoded.
    """
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    kind = body["type"].removeprefix("urn:crossfix:problem:")
    if kind in ("invalid-field", "invalid-request"):
        assert set(case.form) & {"gsd_m", "band"}
        assert response.status_code == 422
        assert any(field in body["detail"] for field in case.form)
        return
    assert kind == case.error.kind
    assert response.status_code == status_of(case.error("")), response.text
    assert case.must_mention.casefold() in body["detail"].casefold()


def test_the_table_has_at_least_sixty_cases() -> None:
    assert len({case.name for case in MALFORMED}) >= 60


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_match_refuses(api: httpx.Client, case: MalformedCase) -> None:
    before = gallery_state(api)
    check(api.post("/match", files={"chip": ("chip", case.data)}, data=case.form), case)
    assert gallery_state(api) == before


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case.name)
def test_gallery_refuses_also_with_an_intact_chip(api: httpx.Client, case: MalformedCase) -> None:
    before = gallery_state(api)
    response = api.post(
        "/gallery",
        data={
            "vessel": json.dumps({"name": "NEVER REGISTERED"}),
            "chip_metadata": json.dumps([{}, case.form]),
        },
        files=[("chips", ("good.png", optical_png(1))), ("chips", ("bad", case.data))],
    )
    check(response, case)
    assert gallery_state(api) == before
