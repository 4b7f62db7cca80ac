"""Reading and judging match records over HTTP."""

import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from service.storage.audit.check import read_entries
from tests.support.inputs.chips import optical_png
from tests.support.paths import FLEET
from tests.support.processes.service_process import ServiceProcess, running_service

QUERIES = FLEET / "query"
UNKNOWN_VESSEL = str(uuid.UUID(int=7))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matches")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[ServiceProcess]:
    with running_service(folder) as process:
        yield process


def enrol(api: httpx.Client, name: str, seed: int) -> str:
    answer = api.post(
        "/gallery",
        data={"vessel": json.dumps({"name": name})},
        files=[("chips", ("a.png", optical_png(seed)))],
    )
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


@pytest.fixture
def star(api: httpx.Client) -> str:
    return enrol(api, "HISTORY STAR", 901)


def sar_chip(ship: int, margin: int) -> bytes:
    """Return a chip of a ship of the demo fleet, cropped by `margin` pixels on each side."""
    with Image.open(sorted(QUERIES.iterdir())[ship]) as picture:
        cut = picture.crop((margin, margin, picture.width - margin, picture.height - margin))
        buffer = io.BytesIO()
        cut.save(buffer, "TIFF")
    return buffer.getvalue()


def match(api: httpx.Client, chip: bytes, **form: str) -> dict[str, Any]:
    answer = api.post("/match", files={"chip": ("q.tif", chip)}, data={"modality": "sar", **form})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def judge(api: httpx.Client, match_id: str, decision: str, **fields: str) -> httpx.Response:
    return api.post(f"/matches/{match_id}/verdict", json={"decision": decision, **fields})


def listed(api: httpx.Client, **where: str | int) -> list[dict[str, Any]]:
    answer = api.get("/matches", params=where)
    assert answer.status_code == 200, answer.text
    matches: list[dict[str, Any]] = answer.json()["matches"]
    return matches


def evidence_sighting(api: httpx.Client, chip: bytes, vessel_id: str) -> str | None:
    """Return the sighting that is the evidence for a vessel on this chip."""
    candidates = match(api, chip, store="false", top_k="100")["candidates"]
    return next((c["sighting"]["id"] for c in candidates if c["vessel"]["id"] == vessel_id), None)


def test_a_confirmed_chip_is_evidence_until_the_judgement_is_withdrawn(
    api: httpx.Client, star: str
) -> None:
    answer = match(api, sar_chip(0, 1))
    sighting = answer["query"]["sighting_id"]
    assert evidence_sighting(api, sar_chip(0, 2), star) != sighting
    judged = judge(api, answer["match_id"], "confirmed", vessel_id=star, note="same deck cranes")
    assert judged.status_code == 200, judged.text
    assert judged.json()["sighting"]["vessel_id"] == star
    assert evidence_sighting(api, sar_chip(0, 2), star) == sighting
    assert sighting in [s["id"] for s in api.get(f"/gallery/{star}").json()["sightings"]]
    again = match(api, sar_chip(0, 1))
    assert api.get(f"/matches/{again['match_id']}").json()["sighting"]["vessel_id"] == star
    assert judge(api, answer["match_id"], "withdrawn").json()["sighting"]["vessel_id"] is None
    assert evidence_sighting(api, sar_chip(0, 2), star) != sighting


def test_two_questions_about_one_chip_keep_their_own_facts(api: httpx.Client, star: str) -> None:
    first = match(api, sar_chip(7, 1), gsd_m="1", lat="1.2", lon="103.9", case="C 7", note="dawn")
    other = match(api, sar_chip(7, 1), gsd_m="2", captured_at="2026-03-05", case="C 8")
    sighting = first["query"]["sighting_id"]
    assert other["query"]["sighting_id"] != sighting
    assert judge(api, first["match_id"], "confirmed", vessel_id=star).status_code == 200
    assert judge(api, other["match_id"], "rejected").status_code == 200
    sightings = api.get(f"/gallery/{star}").json()["sightings"]
    [kept] = [one for one in sightings if one["id"] == sighting]
    assert (kept["gsd_m"], kept["position"]) == (1.0, {"lat": 1.2, "lon": 103.9})
    assert (kept["file_name"], kept["case"], kept["note"]) == ("q.tif", "C 7", "dawn")
    assert [one["match_id"] for one in listed(api, case="c 7")] == [first["match_id"]]
    found = listed(api, file_name="Q.TI", note="daw", limit=500)
    assert [one["match_id"] for one in found] == [first["match_id"]]
    assert judge(api, first["match_id"], "withdrawn").status_code == 200


@pytest.mark.usefixtures("star")
def test_a_match_record_equals_the_response_to_the_match(api: httpx.Client) -> None:
    answer = match(api, sar_chip(1, 1), top_k="3", captured_at="2026-03-05T17:20:00Z")
    record = api.get(f"/matches/{answer['match_id']}").json()
    assert answer["candidates"]
    for name in answer.keys() - {"timings_ms", "stored"}:
        assert record[name] == answer[name], name
    assert record["asked_by"] == "local"
    assert record["options"] == {"top_k": 3, "store": True}
    assert (record["standing"], record["judgements"]) == ("open", [])
    assert record["sighting"]["id"] == answer["query"]["sighting_id"]
    assert record["sighting"]["vessel_id"] is None


def test_a_match_with_store_false_has_no_record(api: httpx.Client) -> None:
    match_id = match(api, sar_chip(2, 1), store="false")["match_id"]
    for answer in (api.get(f"/matches/{match_id}"), judge(api, match_id, "rejected")):
        assert answer.status_code == 404
        assert "store=false" in answer.json()["detail"]
    assert match_id not in [one["match_id"] for one in listed(api, limit=500)]


def test_the_list_is_paged_newest_first_and_filtered(api: httpx.Client, star: str) -> None:
    before = [one["match_id"] for one in listed(api, limit=500)]
    made = [match(api, sar_chip(3, margin)) for margin in range(4)]
    ids = [one["match_id"] for one in reversed(made)]
    judge(api, ids[0], "rejected", note="too short")
    pages: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = api.get("/matches", params={"limit": 3, **cursor}).json()
        pages += [one["match_id"] for one in page["matches"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert pages == ids + before
    first = listed(api, limit=1)[0]
    assert first["standing"] == "rejected"
    assert first["judgement"]["note"] == "too short"
    assert first["first"] == made[-1]["candidates"][0]
    assert first["query"] == made[-1]["query"]

    def found(**where: str) -> set[str]:
        return {one["match_id"] for one in listed(api, limit=500, **where)} & set(ids)

    assert found(standing="rejected") == {ids[0]}
    assert found(standing="open", modality="sar") == set(ids[1:])
    assert found(sighting_id=made[0]["query"]["sighting_id"]) == {ids[-1]}
    assert found(vessel_id=star) == set(ids)
    assert found(modality="optical") == found(vessel_id=UNKNOWN_VESSEL) == set()
    assert found(verdict=made[0]["verdict"]) >= {ids[-1]}
    since = listed(api, sighting_id=made[2]["query"]["sighting_id"])[0]["asked_at"]
    assert found(since=since) == set(ids[:2])
    assert found(until=since) == set(ids[2:])


def test_an_impossible_judgement_is_refused(api: httpx.Client, star: str) -> None:
    other = enrol(api, "HISTORY OTHER", 902)
    match_id = match(api, sar_chip(4, 1))["match_id"]
    sighting = api.get(f"/matches/{match_id}").json()["sighting"]["id"]
    for decision, fields, status, mention in (
        ("confirmed", {}, 422, "vessel_id is needed"),
        ("rejected", {"vessel_id": star}, 422, "vessel_id is needed"),
        ("maybe", {}, 422, "decision"),
        ("rejected", {"remark": "x"}, 422, "remark: there is no such field"),
        ("rejected", {"note": " "}, 422, "empty"),
        ("rejected", {"note": "bell \x07"}, 422, "U+0007"),
        ("confirmed", {"vessel_id": UNKNOWN_VESSEL}, 404, "no vessel"),
        ("withdrawn", {}, 409, "no judgement"),
    ):
        answer = judge(api, match_id, decision, **fields)
        assert answer.status_code == status, (decision, fields, answer.text)
        assert mention in answer.json()["detail"]
    assert api.get(f"/matches/{match_id}").json()["judgements"] == []
    assert judge(api, match_id, "confirmed", vessel_id=other).status_code == 200
    assert api.delete(f"/gallery/{other}").status_code == 204
    record = api.get(f"/matches/{match_id}").json()
    assert (record["standing"], record["sighting"]["vessel_id"]) == ("confirmed", None)
    restored = api.post(f"/gallery/{other}/restore").json()
    assert sighting in [one["id"] for one in restored["sightings"]]
    assert api.delete(f"/gallery/{other}/chips/{sighting}").status_code == 204
    answer = judge(api, match_id, "confirmed", vessel_id=star)
    assert answer.status_code == 409
    assert f"{sighting} of match {match_id} was deleted" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "mention"),
    [
        ("/matches?nmae=x", "verdict, standing, state, modality, vessel_id"),
        ("/matches?cursor=nonsense", "cursor"),
        ("/matches?since=yesterday", "2026-03-05T17:20:00Z"),
        ("/matches?vessel_id=7", "vessel_id"),
        ("/matches?limit=0", "limit"),
        ("/matches/7", "ids are UUIDs"),
    ],
)
def test_an_invalid_request_is_refused_with_a_reason(
    api: httpx.Client, path: str, mention: str
) -> None:
    answer = api.get(path)
    assert answer.status_code == 422
    assert mention in answer.json()["detail"]


def test_a_repeated_judgement_is_made_once(api: httpx.Client) -> None:
    match_id = match(api, sar_chip(5, 1))["match_id"]
    for _ in range(2):
        answer = api.post(
            f"/matches/{match_id}/verdict",
            json={"decision": "rejected"},
            headers={"Idempotency-Key": f"judge {match_id}"},
        )
        assert answer.status_code == 200
    assert len(answer.json()["judgements"]) == 1


def test_judgements_are_counted_and_audited(api: httpx.Client, folder: Path, star: str) -> None:
    answer = match(api, sar_chip(6, 1))
    newer = enrol(api, "NEWER", 903)
    first = answer["candidates"][0]["vessel"]["id"]

    def judgement_count(decision: str, vessel: str) -> float:
        labels = f'decision="{decision}",verdict="{answer["verdict"]}",vessel="{vessel}"'
        series = f"crossfix_judgements_total{{{labels}}}"
        lines = api.get("/metrics").text.splitlines()
        return sum(float(one.split()[-1]) for one in lines if one.startswith(series))

    for decision, vessel, fields in (
        ("confirmed", "first", {"vessel_id": first}),
        ("confirmed", "other", {"vessel_id": newer}),
        ("rejected", "none", {}),
        ("confirmed", "other" if star != first else "first", {"vessel_id": star}),
    ):
        before = judgement_count(decision, vessel)
        judge(api, answer["match_id"], decision, note="same cranes", **fields)
        assert judgement_count(decision, vessel) == before + 1
    begun, done = [
        entry
        for _, entry in read_entries(folder / "data" / "audit")
        if entry["action"] == "verdict"
    ][-2:]
    assert (begun["phase"], done["phase"]) == ("begun", "done")
    assert (begun["match_id"], begun["vessel_id"]) == (answer["match_id"], star)
    assert begun["sighting_id"] == answer["query"]["sighting_id"]
    assert (begun["decision"], begun["note"]) == ("confirmed", "same cranes")
