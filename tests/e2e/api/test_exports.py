"""Lists as CSV and GeoJSON, and the evidence report, over HTTP."""

import base64
import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.report.page import SHOWN_CANDIDATES
from service.storage.audit.check import read_entries
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

FORMULA = "=HYPERLINK(A1)"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[ServiceProcess]:
    with running_service(folder) as process:
        yield process


def enrol(api: httpx.Client, name: str, seed: int, *metadata: dict[str, Any]) -> str:
    answer = api.post(
        "/gallery",
        data={"vessel": json.dumps({"name": name}), "chip_metadata": json.dumps(metadata)},
        files=[
            ("chips", (f"{n}.png", optical_png(seed, height=100 + n, width=20)))
            for n in range(len(metadata))
        ],
    )
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


@pytest.fixture
def vessel(api: httpx.Client) -> str:
    enrol(api, FORMULA, 71, {})
    return enrol(
        api,
        "PACIFIC EXAMPLE",
        72,
        {"captured_at": "2026-03-04T10:00:00Z", "lat": 2.0, "lon": -178.0},
        {"captured_at": "2026-03-02T10:00:00Z", "lat": 0.0, "lon": 178.0},
        {"captured_at": "2026-03-05"},
    )


@pytest.fixture
def match(api: httpx.Client, vessel: str) -> dict[str, Any]:
    answer = api.post(
        "/match",
        files={"chip": ("<b>@1.tif", sar_tiff(72, 90, 20))},
        data={"lat": "1.5", "lon": "-179.5", "case": "@case"},
    )
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert vessel in [candidate["vessel"]["id"] for candidate in body["candidates"]]
    return body


def get(api: httpx.Client, path: str, accept: str, status: int = 200) -> httpx.Response:
    answer = api.get(path, headers={"Accept": accept})
    assert answer.status_code == status, answer.text
    return answer


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def features(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "application/geo+json"
    collection = answer.json()
    assert collection["type"] == "FeatureCollection"
    found: list[dict[str, Any]] = collection["features"]
    for one in found:
        assert one.keys() == {"type", "id", "geometry", "properties"}
    return found


def test_vessels_are_exported_with_their_last_position(api: httpx.Client, vessel: str) -> None:
    answer = get(api, "/gallery", "text/csv")
    assert answer.headers["vary"] == "Accept"
    assert 'filename="vessels.csv"' in answer.headers["content-disposition"]
    by_name = {row["name"]: row for row in rows(answer)}
    assert f"'{FORMULA}" in by_name
    row = by_name["PACIFIC EXAMPLE"]
    assert (row["id"], row["sightings"]) == (vessel, "3")
    assert (row["last_seen_at"], row["last_lat"], row["last_lon"]) == (
        "2026-03-04T10:00:00Z",
        "2.0",
        "-178.0",
    )
    points = {one["properties"]["name"]: one for one in features(get(api, "/gallery", GEO))}
    assert points["PACIFIC EXAMPLE"]["geometry"] == {"type": "Point", "coordinates": [-178.0, 2.0]}
    assert points[FORMULA]["geometry"] is None


GEO = "application/geo+json"


def test_a_track_is_in_order_and_cut_at_the_antimeridian(api: httpx.Client, vessel: str) -> None:
    path = f"/gallery/{vessel}/track"
    positions = api.get(path).json()["positions"]
    assert [one["captured_at"] for one in positions] == [
        "2026-03-02T10:00:00Z",
        "2026-03-04T10:00:00Z",
    ]
    assert [row["lon"] for row in rows(get(api, path, "text/csv"))] == ["178.0", "-178.0"]
    *points, way = features(get(api, path, GEO))
    assert [one["id"] for one in points] == [one["sighting_id"] for one in positions]
    assert way["geometry"] == {
        "type": "MultiLineString",
        "coordinates": [[[178.0, 0.0], [180.0, 1.0]], [[-180.0, 1.0], [-178.0, 2.0]]],
    }
    unknown = get(api, "/gallery/00000000-0000-4000-8000-000000000001/track", GEO, 404)
    assert unknown.headers["content-type"] == "application/problem+json"


def test_matches_are_exported_with_filters(api: httpx.Client, match: dict[str, Any]) -> None:
    (row,) = [
        one
        for one in rows(get(api, "/matches?case=@case", "text/csv"))
        if one["match_id"] == match["match_id"]
    ]
    first = match["candidates"][0]
    assert (row["file_name"], row["case"]) == ("<b>@1.tif", "'@case")
    assert row["first_vessel_id"] == first["vessel"]["id"]
    assert float(row["first_probability"]) == pytest.approx(first["probability"], abs=1e-6)
    assert row["training_domain"] == "simulated"
    assert rows(get(api, "/matches?case=other", "text/csv")) == []
    found = {one["id"]: one for one in features(get(api, "/matches", GEO))}
    assert found[match["match_id"]]["geometry"]["coordinates"] == [-179.5, 1.5]


@pytest.mark.usefixtures("vessel")
def test_an_export_is_whole_unless_a_limit_is_given(api: httpx.Client) -> None:
    for seed in range(80, 83):
        enrol(api, f"FLEET {seed}", seed, {})
    every = [row["id"] for row in rows(get(api, "/gallery", "text/csv"))]
    paged: list[str] = []
    url = "/gallery?limit=2"
    while True:
        answer = get(api, url, "text/csv")
        paged += [row["id"] for row in rows(answer)]
        if "next" not in answer.links:
            break
        url = f"/gallery{answer.links['next']['url']}"
    assert paged == every
    assert len(every) >= 5
    assert get(api, "/gallery?cursor=nonsense", "text/csv", 422)


@pytest.mark.parametrize("path", ["/matches", "/gallery"])
def test_a_representation_that_does_not_exist_gets_406(api: httpx.Client, path: str) -> None:
    answer = get(api, path, "application/xml, text/csv;q=0", 406)
    assert answer.json()["type"] == "urn:crossfix:problem:not-acceptable"
    assert get(api, path, "text/html, */*;q=0.1").headers["content-type"] == "application/json"


def test_the_report_shows_the_evidence_without_scripts(
    api: httpx.Client, match: dict[str, Any], folder: Path
) -> None:
    answer = api.get(f"/matches/{match['match_id']}/report")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.text
    assert "<script" not in page
    assert not re.search(r'\son\w+=|style="|https?://', page)
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "script-src" not in policy
    assert "taught on simulated ships alone" in page
    assert "&lt;b&gt;@1.tif" in page
    assert "<b>@1" not in page
    assert page.count("<image") == 1 + len(match["candidates"][:SHOWN_CANDIDATES])
    assert match["query"]["sha256"] in page
    assert match["model"]["bundle_id"] in page
    for candidate in match["candidates"][:SHOWN_CANDIDATES]:
        assert candidate["sighting"]["sha256"] in page
    audit = api.get(f"/matches/{match['match_id']}").json()["audit"]
    assert f"entry {audit['number']} of chain {audit['chain']}" in page
    assert audit["sha256"] in page
    (entry,) = [
        entry
        for chain, entry in read_entries(folder / "data" / "audit")
        if (chain, entry["seq"]) == (audit["chain"], audit["number"])
    ]
    assert (entry["hash"], entry["match_id"]) == (audit["sha256"], match["match_id"])


def test_the_report_follows_judgements_and_deletions(
    api: httpx.Client, vessel: str, match: dict[str, Any]
) -> None:
    url = f"/matches/{match['match_id']}"
    assert "Nobody has judged" in api.get(f"{url}/report").text
    judged = {"decision": "confirmed", "vessel_id": vessel, "note": "<same> cranes"}
    assert api.post(f"{url}/verdict", json=judged).status_code == 200
    page = api.get(f"{url}/report").text
    assert f"confirmed as {vessel} by local: &lt;same&gt; cranes" in page
    sighting = match["query"]["sighting_id"]
    assert api.delete(f"/gallery/{vessel}/chips/{sighting}").status_code == 204
    assert "This chip is no longer stored" in api.get(f"{url}/report").text
    unknown = api.get("/matches/00000000-0000-4000-8000-000000000001/report")
    assert unknown.status_code == 404
