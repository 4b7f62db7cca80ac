"""`POST /gallery/bulk`: the same results as single enrolments, told chip by chip."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx

from crossfix import ChipPart, ChipToEnrol, Client
from service.api.bulk_manifest import MOST_CHIPS
from tests.support.api_requests import bulk_form, problem
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import ServiceProcess

Line = dict[str, Any]


def new_seed() -> int:
    return uuid.uuid4().int % 2**31


def enrol(api: httpx.Client, lines: list[Line], chips: dict[str, bytes]) -> list[Line]:
    """Send a manifest with files; return the lines of the response without the totals."""
    response = api.post("/gallery/bulk", **bulk_form(lines, chips))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    *feed, last = map(json.loads, response.text.splitlines())
    outcomes = [one["outcome"] for one in feed]
    assert last == {
        "totals": {name: outcomes.count(name) for name in ("enrolled", "unchanged", "refused")}
    }
    return feed


def test_chips_of_two_vessels_are_enrolled_as_by_single_requests(api: httpx.Client) -> None:
    seed = new_seed()
    star = {"name": f"BULK {seed}", "type": "tanker", "length_m": 90}
    twin = {"name": f"BULK {seed + 1}", "id": str(uuid.uuid4())}
    chips = {"a.png": optical_png(seed), "b.tif": sar_tiff(seed), "c.png": optical_png(seed + 1)}
    facts = {"gsd_m": 0.75, "captured_at": "2026-03-02T10:12:00Z", "lat": 1.2, "lon": 103.9}
    lines: list[Line] = [
        {"chip": "a.png", "vessel": star, "modality": "optical", **facts},
        {"chip": "c.png", "vessel": twin},
        {"chip": "b.tif", "vessel": star, "modality": "sar"},
    ]
    feed = enrol(api, lines, chips)
    assert [(one["line"], one["chip"]) for one in feed] == [
        (1, "a.png"),
        (3, "b.tif"),
        (2, "c.png"),
    ]
    assert all(one["outcome"] == "enrolled" and one["created"] for one in feed)
    metadata = [{"modality": "optical", **facts}, {"modality": "sar"}]
    single = api.post(
        "/gallery",
        data={"vessel": json.dumps(star), "chip_metadata": json.dumps(metadata)},
        files=[("chips", (name, chips[name])) for name in ("a.png", "b.tif")],
    )
    assert single.status_code == 200, "a single request with the same content changes nothing"
    body = single.json()
    assert body["id"] == feed[0]["vessel_id"]
    assert body["warnings"] == []
    sightings = {one["file_name"]: one for one in body["sightings"]}
    assert sightings["a.png"]["id"] == feed[0]["sighting_id"]
    assert sightings["a.png"]["position"] == {"lat": 1.2, "lon": 103.9}
    assert sightings["b.tif"]["modality"] == "sar"
    assert feed[2]["vessel_id"] == twin["id"]
    again = enrol(api, lines, chips)
    assert {one["outcome"] for one in again} == {"unchanged"}
    assert not any(one["created"] for one in again)


def test_a_refused_chip_has_the_problem_of_a_single_request(api: httpx.Client) -> None:
    seed = new_seed()
    vessel = {"name": f"BULK {seed}"}
    chips = {
        "a.png": optical_png(seed),
        "bad.tif": b"II*\0 cut off",
        "c.png": optical_png(seed + 1),
    }
    lines: list[Line] = [{"chip": name, "vessel": vessel} for name in chips]
    lines.append({"chip": "d.png", "vessel": {"name": "nan"}})
    chips["d.png"] = optical_png(seed + 2)
    by_chip = {one["chip"]: one for one in enrol(api, lines, chips)}
    assert [by_chip[name]["outcome"] for name in chips] == [
        "enrolled",
        "refused",
        "enrolled",
        "refused",
    ]
    for chip, stated in (("bad.tif", vessel), ("d.png", {"name": "nan"})):
        files = [("chips", (chip, chips[chip]))]
        single = api.post("/gallery", data={"vessel": json.dumps(stated)}, files=files)
        assert single.json() == by_chip[chip]["problem"]


def test_a_taken_imo_number_names_the_vessel_that_has_it(api: httpx.Client) -> None:
    seed = new_seed()
    known = {"name": f"BULK {seed}", "imo": "9176187"}
    (first,) = enrol(api, [{"chip": "a", "vessel": known}], {"a": optical_png(seed)})
    other = {"name": f"BULK {seed + 1}", "imo": "9176187"}
    (second,) = enrol(api, [{"chip": "b", "vessel": other}], {"b": optical_png(seed + 1)})
    assert second["problem"]["status"] == 409
    assert second["problem"]["vessel_id"] == first["vessel_id"]
    line = {"chip": "b", "vessel_id": first["vessel_id"]}
    (added,) = enrol(api, [line], {"b": optical_png(seed + 1)})
    assert (added["outcome"], added["created"]) == ("enrolled", False)
    api.delete(f"/gallery/{first['vessel_id']}")


def test_a_manifest_that_does_not_fit_its_files_does_nothing(api: httpx.Client) -> None:
    seed = new_seed()
    line = {"chip": "a.png", "vessel": {"name": f"BULK {seed}"}}
    files = {"a.png": optical_png(seed), "b.png": optical_png(seed + 1)}
    response = api.post("/gallery/bulk", **bulk_form([line], files))
    assert "the manifest has no line for the file 'b.png'" in str(problem(response, 422))
    many = {f"{number}.png": b"x" for number in range(MOST_CHIPS + 1)}
    lines = [{"chip": name, "vessel": {"name": f"BULK {seed}"}} for name in many]
    response = api.post("/gallery/bulk", **bulk_form(lines, many))
    assert f"at most {MOST_CHIPS}" in str(problem(response, 422))
    assert api.get("/gallery", params={"name": f"BULK {seed}"}).json()["vessels"] == []


def test_the_document_states_the_limit_and_shows_a_response(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    operation = document["paths"]["/gallery/bulk"]["post"]
    example = operation["responses"]["200"]["content"]["application/x-ndjson"]["example"]
    *lines, last = map(json.loads, example.splitlines())
    assert [one["outcome"] for one in lines] == ["enrolled", "refused"]
    assert list(last) == ["totals"]
    reference = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"]
    fields = document["components"]["schemas"][reference.rpartition("/")[2]]["properties"]
    assert fields["chips"]["maxItems"] == MOST_CHIPS


def test_what_a_vanished_client_was_told_is_stored(
    service: ServiceProcess, api: httpx.Client
) -> None:
    seed = new_seed()
    chips = {f"{number}.png": optical_png(seed + number) for number in range(150)}
    lines = [{"chip": name, "vessel": {"name": f"GONE {seed} {name}"}} for name in chips]
    told = []
    with (
        service.client() as leaving,
        leaving.stream("POST", "/gallery/bulk", **bulk_form(lines, chips)) as response,
    ):
        for line in response.iter_lines():
            told.append(json.loads(line))
            if len(told) == 3:
                break
    for one in told:
        sightings = api.get(f"/gallery/{one['vessel_id']}").json()["sightings"]
        assert [s["id"] for s in sightings] == [one["sighting_id"]]
    feed = enrol(api, lines, chips)
    assert {one["outcome"] for one in feed[:3]} == {"unchanged"}
    assert "refused" not in {one["outcome"] for one in feed}


def test_the_python_client_enrols_many_chips(service: ServiceProcess, tmp_path: Path) -> None:
    seed = new_seed()
    vessel = {"id": str(uuid.uuid4()), "name": f"BULK {seed}"}
    with Client(service.url) as crossfix:
        chips = [
            ChipToEnrol(ChipPart('a "1".png', optical_png(seed), {"gsd_m": 0.75}), vessel),
            ChipToEnrol(ChipPart("bad.png", b"bad"), vessel),
        ]
        good, bad = crossfix.enrol_many(chips)
        assert good.response is not None
        assert good.response.created
        assert str(good.response.vessel_id) == vessel["id"]
        assert bad.problem is not None
        assert (bad.problem.status, bad.problem.kind) == (415, "chip-format")
        (again,) = crossfix.enrol_many([ChipToEnrol(chips[0].chip, uuid.UUID(vessel["id"]))])
        assert again.response is not None
        assert again.response.outcome == "unchanged"
