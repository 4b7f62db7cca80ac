"""An open sighting is asked about again when a vessel is enrolled, over HTTP."""

import json
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.doubles.webhook_receiver import KEY, SECRET, running_receiver
from tests.support.paths import FLEET
from tests.support.processes.service_process import running_service

AT_ONCE = {"CROSSFIX_ASK_AGAIN_INTERVAL_S": "0.1"}


def ask(api: httpx.Client) -> Any:
    chip = FLEET / "query" / "0001_s01c3_SAR.tif"
    return api.post(
        "/match",
        files={"chip": (chip.name, chip.read_bytes())},
        data={"gsd_m": "1", "modality": "sar"},
    ).json()


def enrol(api: httpx.Client) -> Any:
    """Enrol the ship of `ask`."""
    optical = sorted((FLEET / "bounding_box_test").glob("0001_*_RGB.jpg"))
    return api.post(
        "/gallery",
        data={
            "vessel": json.dumps({"name": "LATE ARRIVAL"}),
            "chip_metadata": json.dumps([{"gsd_m": 0.75}] * len(optical)),
        },
        files=[("chips", (one.name, one.read_bytes())) for one in optical],
    ).json()


def test_a_new_vessel_makes_a_waiting_sighting_news(tmp_path: Path) -> None:
    with running_service(tmp_path, settings=AT_ONCE) as service, service.client() as api:
        first = ask(api)
        assert first["candidates"] == []
        enrolled = enrol(api)
        deadline = time.monotonic() + 60
        news: list[dict[str, Any]] = []
        while not news and time.monotonic() < deadline:
            time.sleep(0.1)
            news = api.get("/matches", params={"state": "new"}).json()["matches"]
        (found,) = news
        assert found["query"]["sighting_id"] == first["query"]["sighting_id"]
        record = api.get(f"/matches/{found['match_id']}").json()
        assert record["found_by"]["vessel_id"] == enrolled["id"]
        assert record["asked_by"] == "service"
        asked = api.get("/matches", params={"state": "asked"}).json()["matches"]
        assert [one["match_id"] for one in asked] == [first["match_id"]]
        api.post(f"/matches/{found['match_id']}/verdict", json={"decision": "rejected"})
        assert api.get("/matches", params={"state": "new"}).json()["matches"] == []
        settled = api.get("/matches", params={"state": "settled"}).json()["matches"]
        assert [one["match_id"] for one in settled] == [found["match_id"]]


def test_a_new_match_reaches_the_webhook_although_the_service_was_killed(tmp_path: Path) -> None:
    with running_receiver() as receiver:
        settings = AT_ONCE | {
            "CROSSFIX_WEBHOOK_URL": receiver.url,
            "CROSSFIX_WEBHOOK_SECRET": SECRET,
        }
        receiver.status = 503
        with running_service(tmp_path, settings=settings) as service, service.client() as api:
            sighting_id = ask(api)["query"]["sighting_id"]
            enrolled = enrol(api)
            receiver.wait_for(lambda: bool(receiver.requests))
            assert 'crossfix_webhook_attempts_total{outcome="failed"}' in api.get("/metrics").text
            service.process.kill()
        refused = len(receiver.requests)
        receiver.status = 204
        with running_service(tmp_path, settings=settings) as service, service.client() as api:
            receiver.wait_for(lambda: len(receiver.requests) > refused)
            got = receiver.requests[-1]
            assert got.is_signed_with(KEY)
            assert (got.id, got.body) == (receiver.requests[0].id, receiver.requests[0].body)
            data = json.loads(got.body)["data"]
            assert (data["sighting_id"], data["vessel_id"]) == (sighting_id, enrolled["id"])
            record = api.get(data["path"]).json()
            assert record["match_id"] == data["match_id"]
            assert record["candidates"][0]["probability"] == data["probability"]
            delivered = 'crossfix_webhook_attempts_total{outcome="delivered"} 1.0'
            receiver.wait_for(lambda: delivered in api.get("/metrics").text)
            time.sleep(3)
            assert len(receiver.requests) == refused + 1
