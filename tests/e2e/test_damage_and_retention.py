"""`crossfix check` and `crossfix apply-retention`, and what a service does of both by itself."""

import json
from pathlib import Path
from typing import Any

import httpx

from tests.support.faults.outages import wait_until
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.command import crossfix
from tests.support.processes.service_process import running_service

LIMIT_S = 60.0


def enrol(api: httpx.Client, name: str) -> str:
    answer = api.post(
        "/gallery",
        data={"vessel": json.dumps({"name": name})},
        files=[("chips", ("chip.png", optical_png(1)))],
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def match(api: httpx.Client, seed: int) -> dict[str, Any]:
    answer = api.post("/match", files={"chip": sar_tiff(seed)})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def statuses(api: httpx.Client, paths: list[str]) -> list[int]:
    return [api.get(path).status_code for path in paths]


def test_flipped_bytes_are_reported_and_never_served(tmp_path: Path) -> None:
    home, data = tmp_path, tmp_path / "data"
    with running_service(home) as service, service.client() as api:
        whole, hurt = enrol(api, "WHOLE SHIP"), enrol(api, "FLIPPED SHIP")
        asked = match(api, 1)
    sound = crossfix(data, "check")
    assert sound["damage"] == []
    assert sound["records"] == {"vessel": {"intact": 2}, "sighting": {"intact": 3}} | {
        "match": {"intact": 1}
    }
    assert sound["chips"] == 2

    files = [path for path in (data / "gallery" / "vessels").rglob("*") if path.is_file()]
    changed = [path for path in files if b"FLIPPED" in path.read_bytes()]
    assert changed
    for path in changed:
        path.write_bytes(path.read_bytes().replace(b"FLIPPED", b"FLIPPEX"))
    report = crossfix(data, "check", status=1)
    [line] = report["damage"]
    assert line.startswith(f"vessel {hurt}: ")

    with running_service(home, awaited="/livez") as service, service.client() as api:
        wait_until(lambda: api.get("/readyz").status_code == 503, LIMIT_S, "finding the damage")
        parts = api.get("/readyz").json()["parts"]
        assert [name for name, problem in parts.items() if problem] == ["records"]
        assert hurt in parts["records"]
        assert "crossfix_damaged_records 1.0" in api.get("/metrics").text
        answer = api.get(f"/gallery/{hurt}")
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:crossfix:problem:store-damaged"
        assert api.get(f"/gallery/{whole}").status_code == 200
        assert api.get(f"/matches/{asked['match_id']}").status_code == 200
        assert "Traceback" not in service.log.read_text()


def test_a_changed_or_lost_chip_is_reported(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_service(tmp_path) as service, service.client() as api:
        enrol(api, "ONE")
        asked = match(api, 1)
    [chip] = data.glob(f"chips/**/{asked['query']['sha256']}*")
    content = bytearray(chip.read_bytes())
    content[-1] ^= 1
    chip.write_bytes(content)
    [line] = crossfix(data, "check", status=1)["damage"]
    assert line.startswith(f"chip {asked['query']['sha256']}: ")
    chip.unlink()
    [line] = crossfix(data, "check", status=1)["damage"]
    assert line.startswith(f"chip {asked['query']['sha256']}: ")


def test_old_matches_and_open_sightings_are_deleted_on_demand_and_by_a_service(
    tmp_path: Path,
) -> None:
    data, alone = tmp_path / "data", {"CROSSFIX_ASK_AGAIN_INTERVAL_S": "0"}
    with running_service(tmp_path, settings=alone) as service, service.client() as api:
        vessel = enrol(api, "KEPT")
        answers = [match(api, seed) for seed in range(4)]
        judged = f"/matches/{answers[0]['match_id']}/verdict"
        confirmed = {"decision": "confirmed", "vessel_id": vessel}
        assert api.post(judged, json=confirmed).status_code == 200
    matches = [f"/matches/{one['match_id']}" for one in answers]
    chips = [f"/sightings/{one['query']['sighting_id']}/chip" for one in answers]
    assert "no limit is set" in crossfix(data, "apply-retention", status=2)
    keep_two = {"CROSSFIX_KEEP_MATCHES": "2"}
    assert crossfix(data, "apply-retention", settings=keep_two) == {
        "matches": 1,
        "sightings": 0,
        "chips": 0,
    }
    keep_one = {"CROSSFIX_KEEP_MATCHES": "1", "CROSSFIX_KEEP_OPEN_SIGHTINGS": "1"}
    with running_service(tmp_path, settings=alone | keep_one) as service, service.client() as api:
        wait_until(lambda: statuses(api, chips) == [200, 404, 404, 200], LIMIT_S, "retention")
        assert statuses(api, matches) == [200, 404, 404, 200]
        assert api.get(f"/gallery/{vessel}").json()["sightings"][0]["vessel_id"] == vessel
