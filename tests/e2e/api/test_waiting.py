"""An open sighting is asked about again when a vessel is enrolled, over HTTP."""

import json
import time
from pathlib import Path
from typing import Any

from tests.support.paths import FLEET
from tests.support.processes.service_process import running_service


def test_a_new_vessel_makes_a_waiting_sighting_news(tmp_path: Path) -> None:
    chip = FLEET / "query" / "0001_s01c3_SAR.tif"
    optical = sorted((FLEET / "bounding_box_test").glob("0001_*_RGB.jpg"))
    settings = {"CROSSFIX_ASK_AGAIN_INTERVAL_S": "0.1"}
    with running_service(tmp_path, settings=settings) as service, service.client() as api:
        first = api.post(
            "/match",
            files={"chip": (chip.name, chip.read_bytes())},
            data={"gsd_m": "1", "modality": "sar"},
        ).json()
        assert first["candidates"] == []
        enrolled = api.post(
            "/gallery",
            data={
                "vessel": json.dumps({"name": "LATE ARRIVAL"}),
                "chip_metadata": json.dumps([{"gsd_m": 0.75}] * len(optical)),
            },
            files=[("chips", (one.name, one.read_bytes())) for one in optical],
        ).json()
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
