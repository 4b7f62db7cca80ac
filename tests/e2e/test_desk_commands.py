"""`crossfix matches | judge | vessels | show | merge | split | export` against a real service."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.cli import CommandResult, crossfix
from tests.support.processes.service_process import ServiceProcess, running_service


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with running_service(tmp_path_factory.mktemp("desk")) as process:
        yield process


@pytest.fixture(scope="module")
def ships(desk: ServiceProcess) -> dict[str, str]:
    """The ids of vessels by name."""
    ids = {}
    with desk.client() as api:
        for seed, (name, imo) in enumerate({"AURORA": "9074729", "AURORA TWO": ""}.items()):
            vessel = {"name": name, "type": "tanker"} | ({"imo": imo} if imo else {})
            position = {"captured_at": "2026-03-02T10:00:00Z", "lat": 1.0, "lon": 2.0}
            answer = api.post(
                "/gallery",
                data={"vessel": json.dumps(vessel), "chip_metadata": json.dumps([position] * 2)},
                files=[
                    ("chips", (f"{part}.png", optical_png(40 + seed, 100 + part, 20)))
                    for part in range(2)
                ],
            )
            ids[name] = str(answer.json()["id"])
    return ids


def ok(desk: ServiceProcess, *arguments: object) -> CommandResult:
    done = crossfix(*arguments, "--url", desk.url)
    assert done.returncode == 0, done.stderr
    return done


def document(desk: ServiceProcess, *arguments: object) -> Any:
    return json.loads(ok(desk, *arguments, "--json").stdout)


@pytest.fixture
def match_id(desk: ServiceProcess, ships: dict[str, str], tmp_path: Path) -> str:
    assert ships
    chip = tmp_path / f"{tmp_path.name}_SAR.tif"
    chip.write_bytes(sar_tiff(41, 90, 20))
    (answer,) = document(desk, "match", chip, "--case", tmp_path.name)
    return str(answer["match_id"])


def test_matching_prints_the_id_under_which_the_match_is_found(
    desk: ServiceProcess, ships: dict[str, str], tmp_path: Path
) -> None:
    assert ships
    chip = tmp_path / "found_SAR.tif"
    chip.write_bytes(sar_tiff(41, 90, 20))
    shown = ok(desk, "match", chip, "--case", "C 9", "--sensor", "ICEYE X6").stdout
    (listed,) = document(desk, "matches", "--case", "c 9", "--state", "asked")
    assert f"match {listed['match_id']}" in shown
    assert listed["query"]["file_name"] == "found_SAR.tif"
    with desk.client() as client:
        kept = client.get(f"/matches/{listed['match_id']}").json()
    assert kept["sighting"]["sensor"] == "ICEYE X6"
    table = ok(desk, "matches", "--file-name", "FOUND", "--standing", "open").stdout
    assert listed["match_id"] in table
    assert ok(desk, "matches", "--case", "other").stdout.strip() == "no such match"
    assert "not stored" in ok(desk, "match", chip, "--no-store").stdout


def test_a_match_is_judged_by_vessel_and_by_rank(
    desk: ServiceProcess, ships: dict[str, str], match_id: str
) -> None:
    judged = document(desk, "judge", match_id, "--confirm", "9074729", "--note", "cranes")
    assert judged["standing"] == "confirmed"
    assert judged["judgements"][-1]["vessel_id"] == ships["AURORA"]
    second = judged["candidates"][1]["vessel"]["id"]
    by_rank = document(desk, "judge", match_id, "--rank", 2)
    assert by_rank["judgements"][-1]["vessel_id"] == second
    assert document(desk, "judge", match_id, "--withdraw")["standing"] == "open"
    assert "rejected by local" in ok(desk, "judge", match_id, "--reject").stdout
    shown = ok(desk, "show", match_id).stdout
    assert f"confirmed as {ships['AURORA']} by local: cranes" in shown
    assert document(desk, "show", match_id)["standing"] == "rejected"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ((), 2, "give one of --confirm"),
        (("--reject", "--withdraw"), 2, "give one of --confirm"),
        (("--confirm", "NOBODY"), 1, "no registered vessel has the name 'NOBODY'"),
        (("--confirm", "AUR"), 1, "'AUR' names several vessels"),
        (("--rank", 99), 1, "none of rank 99"),
        (("--withdraw",), 1, "no judgement that could be withdrawn"),
    ],
)
def test_an_impossible_judgement_is_explained(
    desk: ServiceProcess, match_id: str, arguments: tuple[object, ...], status: int, message: str
) -> None:
    done = crossfix("judge", match_id, *arguments, "--url", desk.url)
    assert done.returncode == status
    assert message in done.stderr


def test_vessels_are_listed_and_shown(desk: ServiceProcess, ships: dict[str, str]) -> None:
    listed = document(desk, "vessels", "--name", "aurora")
    assert {one["id"] for one in listed} == set(ships.values())
    assert len(document(desk, "vessels", "--limit", 1)) == 1
    assert "9074729" in ok(desk, "vessels", "--imo", "9074729").stdout
    for named in (ships["AURORA"], "9074729", "aurora"):
        assert document(desk, "show", named)["id"] == ships["AURORA"]
    shown = ok(desk, "show", "9074729").stdout
    assert "imo 9074729 (api, " in shown
    assert "1.0000, 2.0000" in shown


def test_records_are_split_and_merged(desk: ServiceProcess, ships: dict[str, str]) -> None:
    sightings = [one["id"] for one in document(desk, "show", "AURORA TWO")["sightings"]]
    new = document(desk, "split", "AURORA TWO", sightings[0], "--name", "OTHER SHIP")
    assert (new["name"], [one["id"] for one in new["sightings"]]) == ("OTHER SHIP", [sightings[0]])
    merged = document(desk, "merge", ships["AURORA TWO"], "OTHER SHIP")
    assert {one["id"] for one in merged["sightings"]} == set(sightings)
    assert document(desk, "vessels", "--name", "OTHER SHIP") == []


def test_lists_and_reports_are_exported(
    desk: ServiceProcess, ships: dict[str, str], match_id: str, tmp_path: Path
) -> None:
    out = tmp_path / "matches.csv"
    assert str(out) in ok(desk, "export", "matches", "--case", tmp_path.name, "--out", out).stdout
    rows = csv.DictReader(io.StringIO(out.read_text(), newline=""))
    assert match_id in [row["match_id"] for row in rows]
    vessels, track = tmp_path / "v.geojson", tmp_path / "t.geojson"
    ok(desk, "export", "vessels", "--type", "tanker", "--format", "geojson", "--out", vessels)
    found = {one["id"] for one in json.loads(vessels.read_text())["features"]}
    assert found == set(ships.values())
    ok(desk, "export", "track", "9074729", "--format", "geojson", "--out", track)
    assert json.loads(track.read_text())["features"][0]["geometry"]["coordinates"] == [2.0, 1.0]
    report = tmp_path / "report.html"
    ok(desk, "export", "report", match_id, "--out", report)
    assert f"Evidence report of match {match_id}" in report.read_text()


def test_a_batch_goes_into_a_result_file(desk: ServiceProcess, tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}_SAR.tif").write_bytes(sar_tiff(50 + number, 90, 20))
    (tmp_path / "bad.tif").write_text("no chip")
    table = tmp_path / "chips.csv"
    table.write_text(
        "chip,case,lat,lon\n0_SAR.tif,B 1,1,2\n1_SAR.tif,B 1,,\n2_SAR.tif,B 1,,\nbad.tif,,,\n"
    )
    out = tmp_path / "out.jsonl"
    arguments = ("match", table, "--results", out, "--url", desk.url)
    first = crossfix(*arguments, "--json")
    assert first.returncode == 1, first.stderr
    counts = json.loads(first.stdout)
    assert (counts["chips"], counts["matched"], counts["refused"]) == (4, 3, 1)
    assert sum(counts["verdicts"].values()) == 3
    results = [json.loads(line) for line in out.read_text().splitlines()]
    stored = {
        one["match_id"] for one in document(desk, "matches", "--case", "B 1", "--state", "asked")
    }
    assert {one["match_id"] for one in results if "match_id" in one} == stored
    again = ok(desk, *arguments[:-2])
    assert "0 matched (none), 0 refused, 4 done before" in again.stdout
    assert len(out.read_text().splitlines()) == 4
