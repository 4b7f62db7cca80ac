"""Requests to a running service, and the check of its problem documents."""

import json
from typing import Any

import httpx

from tests.support.inputs.chips import optical_png

OPTICAL_METADATA = [{"modality": "optical", "gsd_m": 0.75, "captured_at": "2026-03-02T10:12:00Z"}]


def enrol(
    api: httpx.Client, seed: int, metadata: object = OPTICAL_METADATA, **attributes: object
) -> httpx.Response:
    """Enrol a vessel with these attributes and an optical chip made from `seed`."""
    return api.post(
        "/gallery",
        data={"vessel": json.dumps(attributes), "chip_metadata": json.dumps(metadata)},
        files=[("chips", (f"{seed}.png", optical_png(seed, height=120, width=30)))],
    )


def bulk_form(lines: list[dict[str, Any]], chips: dict[str, bytes]) -> dict[str, Any]:
    """Return the arguments of `POST /gallery/bulk` with this manifest and these files."""
    return {
        "data": {"manifest": "\n".join(map(json.dumps, lines))},
        "files": [("chips", (name, data)) for name, data in chips.items()],
    }


def problem(response: httpx.Response, status: int) -> dict[str, object]:
    """Assert that a response is a problem document with this status; return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["status"] == status
    assert str(body["type"]).startswith("urn:crossfix:problem:")
    assert body["detail"]
    return body
