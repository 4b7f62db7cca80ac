"""The API over HTTP, route by route."""

import io
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pytest
from PIL import Image

from service.contract.manifest import EncoderSpec
from service.contract.weighing.specs import VerdictName
from tests.support.api_requests import enrol, problem
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import running_service


@pytest.fixture
def vessel(api: httpx.Client) -> Iterator[dict[str, Any]]:
    """A new vessel, which is deleted after the test."""
    seed = uuid.uuid4().int % 2**32
    answer = enrol(api, seed, name=f"VESSEL {seed}", type="tanker", length_m=90)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    yield body
    api.delete(f"/gallery/{body['id']}")


def test_match_returns_candidates_with_evidence(api: httpx.Client, vessel: dict[str, Any]) -> None:
    answer = api.post(
        "/match",
        files={"chip": ("q.tif", sar_tiff(5, height=90, width=22))},
        data={"captured_at": "2026-03-05T10:12:00Z", "lat": "1.2", "lon": "103.9", "gsd_m": "1.0"},
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == {
        "match_id",
        "verdict",
        "candidates",
        "none_probability",
        "explanation",
        "scene",
        "query",
        "queries",
        "model",
        "gallery",
        "stored",
        "timings_ms",
    }
    assert body["stored"] is True
    assert body["verdict"] in get_args(VerdictName)
    assert body["queries"] == [body["query"]]
    assert body["query"]["modality"] == "sar"
    assert body["query"]["length_m"] == 90
    assert body["query"]["bit_depth"] == "float32"
    assert body["gallery"]["vessels"] >= 1
    assert body["model"]["training_domain"] == "simulated"
    stages = ["decode", "frame", "denoise", "encode", "translate", "fuse", "search", "total"]
    assert list(body["timings_ms"]) == stages
    assert body["timings_ms"]["total"] >= body["timings_ms"]["encode"] > 0
    ranks = [c["rank"] for c in body["candidates"]]
    assert ranks == list(range(1, len(ranks) + 1))
    shown = next(c for c in body["candidates"] if c["vessel"]["id"] == vessel["id"])
    assert 0 <= shown["probability"] <= 1
    odds = math.log(shown["probability"] / body["none_probability"])
    assert sum(shown["evidence"].values()) == pytest.approx(odds)
    assert shown["checks"]["length"]["vessel_m"] == 90
    assert shown["sighting"]["modality"] == "optical"
    assert api.get(shown["sighting"]["preview_url"]).headers["content-type"] == "image/png"


def test_a_stored_query_can_be_fetched_again(api: httpx.Client) -> None:
    data = sar_tiff(77)
    body = api.post("/match", files={"chip": data}).json()
    sighting = body["query"]["sighting_id"]
    assert api.get(f"/sightings/{sighting}/chip").content == data
    files = ("chip", "preview.png", "preview.png?view=framed", "preview.png?view=original")
    paths = [f"/sightings/{sighting}/{name}" for name in files] + ["/bundle"]
    tags = {path: api.get(path).headers["ETag"] for path in paths}
    assert len(set(tags.values())) == len(paths)
    for path, tag in tags.items():
        known = api.get(path, headers={"If-None-Match": tag})
        assert (known.status_code, known.content) == (304, b"")
    again = api.post("/match", files={"chip": data}, data={"store": "false"}).json()
    assert again["query"]["sighting_id"] is None


def test_pictures_of_an_optical_sighting(api: httpx.Client, vessel: dict[str, Any]) -> None:
    (sighting,) = vessel["sightings"]
    preview = Image.open(io.BytesIO(api.get(sighting["preview_url"]).content))
    assert preview.size == (30, 120)
    imagined = api.get(sighting["pseudo_sar_url"])
    has_translator = api.get("/bundle").json()["manifest"]["translator"] is not None
    assert imagined.status_code == (200 if has_translator else 422)
    if has_translator:
        assert np.asarray(Image.open(io.BytesIO(imagined.content))).max() == 255


def test_the_service_says_which_graph_of_the_encoder_runs(api: httpx.Client) -> None:
    bundle = api.get("/bundle").json()
    encoder = EncoderSpec.model_validate(bundle["manifest"]["encoder"])
    assert bundle["precision"] == encoder.graph_for(bundle["device"]).precision
    assert f'precision="{bundle["precision"]}"' in api.get("/metrics").text


def test_a_sar_sighting_has_no_pseudo_sar_picture(api: httpx.Client) -> None:
    query = api.post("/match", files={"chip": sar_tiff(78)}).json()["query"]
    body = problem(api.get(f"/sightings/{query['sighting_id']}/pseudo-sar.png"), 422)
    assert "optical" in str(body["detail"])


def test_a_vessel_is_enrolled_changed_merged_split_and_deleted(api: httpx.Client) -> None:
    created = enrol(api, 101, name="LIFE ONE", imo="9074729", type="bulk carrier").json()
    url = f"/gallery/{created['id']}"
    assert enrol(api, 101, name="LIFE ONE", imo="9074729", type="bulk carrier").status_code == 200
    refused = problem(enrol(api, 102, name="LIFE TWO", imo="9074729"), 409)
    assert refused["vessel_id"] == created["id"]
    assert created["id"] in str(refused["detail"])

    patched = api.patch(url, json={"name": "LIFE RENAMED", "source": "registry"}).json()
    assert patched["name"] == "LIFE RENAMED"
    assert patched["provenance"]["name"]["source"] == "registry"
    assert [
        v["id"] for v in api.get("/gallery", params={"name": "life ren"}).json()["vessels"]
    ] == [created["id"]]
    more = api.post(f"{url}/chips", files=[("chips", optical_png(103))])
    assert more.status_code == 201
    assert len(more.json()["sightings"]) == 2

    other = enrol(api, 104, name="LIFE OTHER").json()
    merged = api.post(f"{url}/merge", json={"other": other["id"]}).json()
    assert len(merged["sightings"]) == 3
    assert created["id"] in str(problem(api.get(f"/gallery/{other['id']}"), 404)["detail"])

    split = api.post(
        f"{url}/split",
        json={"sightings": [merged["sightings"][0]["id"]], "vessel": {"name": "LIFE SPLIT"}},
    )
    assert split.status_code == 201
    assert len(split.json()["sightings"]) == 1

    sighting = api.get(url).json()["sightings"][0]["id"]
    assert api.delete(f"{url}/chips/{sighting}").status_code == 204
    assert problem(api.get(f"/sightings/{sighting}/chip"), 404)
    assert api.delete(url).status_code == 204
    assert problem(api.get(url), 404)
    assert api.delete(f"/gallery/{split.json()['id']}").status_code == 204


def test_lists_are_paged(api: httpx.Client) -> None:
    made = {enrol(api, 200 + i, name=f"PAGED {i}").json()["id"] for i in range(5)}
    listed: list[str] = []
    cursor = None
    while True:
        params: dict[str, str] = {"name": "PAGED", "limit": "2"} | (
            {"cursor": cursor} if cursor else {}
        )
        page = api.get("/gallery", params=params).json()
        listed += [v["id"] for v in page["vessels"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(listed) == sorted(made)
    for one in made:
        api.delete(f"/gallery/{one}")


def test_two_chips_are_compared(api: httpx.Client) -> None:
    answer = api.post(
        "/verify", files=[("chips", ("a.tif", sar_tiff(1))), ("chips", ("b.png", optical_png(2)))]
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert 0 <= body["probability"] <= 1
    assert [c["modality"] for c in body["chips"]] == ["sar", "optical"]
    assert not any("same picture" in w for c in body["chips"] for w in c["warnings"])
    assert problem(api.post("/verify", files=[("chips", sar_tiff(1))]), 422)


def test_a_chip_that_is_compared_with_itself_warns(api: httpx.Client) -> None:
    same = optical_png(2)
    files = [("chips", ("a.png", same)), ("chips", ("b.png", same))]
    body = api.post("/verify", files=files).json()
    assert body["similarity"] <= 1
    assert all(any("same picture" in w for w in c["warnings"]) for c in body["chips"])


@pytest.mark.parametrize(
    ("attributes", "mention"),
    [
        ({"imo": "9074728"}, "check digit"),
        ({"imo": "0000000"}, "placeholder"),
        ({"mmsi": "999999999"}, "placeholder"),
        ({"mmsi": "12345"}, "nine digits"),
        ({"name": "-"}, "placeholder"),
        ({"callsign": "0"}, "placeholder"),
        ({"length_m": -5}, "length_m"),
        ({"length_m": 5000}, "length_m"),
        ({"lenght_m": 190}, "lenght_m"),
    ],
)
def test_impossible_attributes_are_refused(
    api: httpx.Client, attributes: dict[str, object], mention: str
) -> None:
    before = api.get("/gallery", params={"limit": 500}).json()
    body = problem(enrol(api, 300, **attributes), 422)
    assert mention in str(body["detail"])
    assert api.get("/gallery", params={"limit": 500}).json() == before


@pytest.mark.parametrize(
    ("form", "mention"),
    [
        ({"lat": "1.0"}, "lon"),
        ({"lat": "95", "lon": "0"}, "lat"),
        ({"top_k": "0"}, "top_k"),
        ({"top_K": "3"}, "top_K"),
        ({"modality": "infrared"}, "modality"),
        ({"captured_at": "yesterday"}, "captured_at"),
        ({"length_tolerance": "2"}, "length_tolerance"),
        ({"max_speed_kn": "-1"}, "max_speed_kn"),
        ({"store": "maybe"}, "store"),
    ],
)
def test_match_fields_are_checked(api: httpx.Client, form: dict[str, str], mention: str) -> None:
    body = problem(api.post("/match", files={"chip": sar_tiff(1)}, data=form), 422)
    assert mention in str(body["detail"])


def test_unknown_routes_ids_and_methods_are_problems(api: httpx.Client) -> None:
    assert problem(api.get("/nowhere"), 404)
    assert problem(api.put("/match"), 405)
    assert "UUID" in str(problem(api.get("/gallery/7"), 422)["detail"])
    assert problem(api.get(f"/gallery/{uuid.uuid4()}"), 404)
    assert problem(api.get("/gallery", params={"cursor": "nonsense"}), 422)


def test_metrics_are_exposed(api: httpx.Client) -> None:
    api.post("/match", files={"chip": sar_tiff(1)})
    text = api.get("/metrics").text
    for name in (
        "crossfix_stage_seconds_bucket",
        "crossfix_queue_depth",
        "crossfix_batch_size_bucket",
        "crossfix_gallery_vessels",
        "crossfix_gallery_sightings",
        "crossfix_verdicts_total",
        "crossfix_errors_total",
        "crossfix_bundle_info",
        "crossfix_request_seconds_bucket",
    ):
        assert name in text


def stage_count(api: httpx.Client, stage: str) -> float:
    name = f'crossfix_stage_seconds_count{{stage="{stage}"}}'
    lines = [line for line in api.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(lines[0].split()[-1]) if lines else 0.0


def test_enrolment_is_measured_stage_by_stage(tmp_path: Path) -> None:
    """A service with open sightings would embed their half turns meanwhile."""
    with running_service(tmp_path) as fresh, fresh.client() as api:
        before = {stage: stage_count(api, stage) for stage in ("decode", "encode", "search")}
        assert enrol(api, 1, name="MEASURED").status_code == 201
        grown = {stage: stage_count(api, stage) - count for stage, count in before.items()}
    assert grown == {"decode": 1, "encode": 1, "search": 0}


def test_probes_bundle_and_documentation(api: httpx.Client) -> None:
    assert api.get("/livez").json() == {"status": "alive"}
    assert api.get("/readyz").json() == {
        "ready": True,
        "parts": dict.fromkeys(
            ("decoding", "inference", "gallery", "records", "chips", "audit"), None
        ),
    }
    card = api.get("/bundle").json()
    assert card["manifest"]["training"]["domain"] == "simulated"
    assert "simulated" in card["model_card"].casefold()
    assert api.get("/docs").status_code == 200
    assert "/match" in api.get("/openapi.json").json()["paths"]


def test_a_too_large_body_is_refused_with_and_without_content_length(api: httpx.Client) -> None:
    big = b"x" * 65_000_000
    assert problem(api.post("/match", files={"chip": big}), 413)

    def stream() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="chip"; filename="x"\r\n\r\n'
        for _ in range(66):
            yield b"x" * 1_000_000

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    try:
        refused = api.post("/match", content=stream(), headers=headers)
    except httpx.TransportError:
        return  # The service closed the connection while the body was still being sent.
    assert problem(refused, 413)


def test_a_large_body_without_files_is_refused_before_it_is_read(api: httpx.Client) -> None:
    keys = "{" + ",".join(f'"k{number}": 1' for number in range(30_000)) + "}"
    answer = api.post("/session", content=keys, headers={"Content-Type": "application/json"})
    assert "files as multipart/form-data" in str(problem(answer, 413)["detail"])


def test_chips_of_one_ship_get_one_answer(api: httpx.Client, vessel: dict[str, Any]) -> None:
    chips = [("chip", (f"{n}.tif", sar_tiff(210 + n, height=90, width=22))) for n in range(3)]
    answer = api.post("/match", files=chips, data={"gsd_m": "1.0", "case": "one ship"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["query"] == body["queries"][0]
    assert [one["file_name"] for one in body["queries"]] == ["0.tif", "1.tif", "2.tif"]
    assert {one["case"] for one in body["queries"]} == {"one ship"}
    assert "All 3 chips were compared as one" in body["explanation"]["text"]
    sightings = [one["sighting_id"] for one in body["queries"]]
    for sighting_id, chip in zip(sightings, chips, strict=True):
        assert api.get(f"/sightings/{sighting_id}/chip").content == chip[1][1]
        listed = api.get("/matches", params={"sighting_id": sighting_id}).json()["matches"]
        assert [one["match_id"] for one in listed] == [body["match_id"]]
    record = api.get(f"/matches/{body['match_id']}").json()
    assert record["queries"] == body["queries"]
    report = api.get(f"/matches/{body['match_id']}/report").text
    assert all(f"query {n}, sar" in report and f"<h2>Query {n}</h2>" in report for n in (1, 2, 3))
    assert all(one["sha256"] in report for one in body["queries"])
    judged = api.post(
        f"/matches/{body['match_id']}/verdict",
        json={"decision": "confirmed", "vessel_id": vessel["id"]},
    )
    assert judged.status_code == 200, judged.text
    shown = api.get(f"/gallery/{vessel['id']}").json()["sightings"]
    assert {one["id"] for one in shown} >= set(sightings)
    refused = api.post("/match", files=[chips[0], chips[0]])
    assert "a chip was sent twice" in str(problem(refused, 422)["detail"])
    assert api.post("/match", files=[chips[0], ("chip", ("x", b"none"))]).status_code >= 400


def test_chips_of_one_image_are_answered_together(
    api: httpx.Client, vessel: dict[str, Any]
) -> None:
    chips = [("chips", (f"{n}.tif", sar_tiff(200 + n, height=90, width=22))) for n in range(2)]
    answer = api.post(
        "/match/scene",
        files=chips,
        data={
            "gsd_m": "1.0",
            "captured_at": "2026-03-05T10:12:00Z",
            "chip_metadata": '{"0.tif": {"lat": 1.2, "lon": 103.9}}',
        },
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    first, second = body["matches"]
    assert first["query"]["position"] == {"lat": 1.2, "lon": 103.9}
    assert second["query"]["position"] is None
    for match in (first, second):
        assert match["query"]["captured_at"] == "2026-03-05T10:12:00Z"
        assert match["scene"]["scene_id"] == body["scene_id"]
        assert match["scene"]["chips"] == 2
        shown = next(c for c in match["candidates"] if c["vessel"]["id"] == vessel["id"])
        factors = math.prod(term["factor"] for term in shown["terms"])
        assert factors == pytest.approx(math.exp(sum(shown["evidence"].values())))
        stored = api.get(f"/matches/{match['match_id']}").json()
        assert stored["scene"] == match["scene"]
    probabilities = [
        c["probability"]
        for match in (first, second)
        for c in match["candidates"]
        if c["vessel"]["id"] == vessel["id"]
    ]
    assert sum(probabilities) <= 1.0 + 1e-9


def test_a_scene_with_a_repeated_or_unusable_chip_is_refused(api: httpx.Client) -> None:
    data = sar_tiff(300)
    twice = api.post("/match/scene", files=[("chips", data), ("chips", data)])
    assert twice.status_code == 422
    assert "sent twice" in twice.json()["detail"]
    before = api.get("/matches").json()["matches"]
    bad = api.post("/match/scene", files=[("chips", sar_tiff(301)), ("chips", b"no picture")])
    assert bad.status_code in (400, 415, 422)
    assert api.get("/matches").json()["matches"] == before
    named = api.post(
        "/match/scene",
        files=[("chips", ("a.tif", sar_tiff(302)))],
        data={"chip_metadata": '{"b.tif": {}}'},
    )
    assert named.status_code == 422
    assert "no chip is named 'b.tif'" in named.json()["detail"]
