"""Genuine chips, which are not part of the repository, enrolled and matched over HTTP."""

import json
from pathlib import Path

import httpx
import pytest

from tests.support.paths import HOSS_SAMPLE_CHIPS

pytestmark = pytest.mark.skipif(
    not HOSS_SAMPLE_CHIPS.is_dir(), reason="the genuine HOSS sample is not beside this repository"
)


def by_id(suffix: str) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(HOSS_SAMPLE_CHIPS.glob(f"*_{suffix}.tif")):
        found.setdefault(path.name.split("_")[0], []).append(path)
    return found


def test_enrol_every_optical_chip_and_match_every_sar_chip(api: httpx.Client) -> None:
    optical, sar = by_id("RGB"), by_id("SAR")
    assert (sum(map(len, optical.values())), sum(map(len, sar.values()))) == (41, 15)
    vessels = {}
    for ship, paths in optical.items():
        answer = api.post(
            "/gallery",
            data={"vessel": json.dumps({"name": f"HOSS {ship}"})},
            files=[("chips", (path.name, path.read_bytes())) for path in paths],
        )
        assert answer.status_code in (200, 201), answer.text
        vessels[ship] = answer.json()["id"]
        assert len(answer.json()["sightings"]) == len(paths)
    for ship, (path,) in sar.items():
        answer = api.post("/match", files={"chip": path.read_bytes()}, data={"top_k": "50"})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["query"]["modality"] == "sar"
        assert body["query"]["bit_depth"] == "float32"
        assert vessels[ship] in {c["vessel"]["id"] for c in body["candidates"]}
        assert all(0 <= c["probability"] <= 1 for c in body["candidates"])
        assert all(-1 <= c["similarity"] <= 1 for c in body["candidates"])
    for vessel in vessels.values():
        assert api.delete(f"/gallery/{vessel}").status_code == 204
