"""The Gallery page: search, register, change, merge, split, delete, import, each with its undo."""

import json
import re
import uuid
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import FilePayload, Page, expect

from tests.support.browser.chromium import WatchedPage
from tests.support.browser.harbour import Harbour, ask, chips_of
from tests.support.inputs.chip_files import picture_bytes, sar_plane, tiff_bytes


def register(page: Page, name: str, chips: list[Path], **attributes: str) -> None:
    """Register a vessel through the page's dialog."""
    page.get_by_role("button", name="Add vessel").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(name)
    for label, value in attributes.items():
        dialog.get_by_label(label.replace("_", " ")).fill(value)
    dialog.locator("input[type=file]").set_input_files([str(path) for path in chips])
    dialog.get_by_label("Metres per pixel").fill("0.75")
    dialog.get_by_role("button", name="Add vessel").click()


def chip_count(api: httpx.Client, vessel_id: str) -> int:
    return len(api.get(f"/gallery/{vessel_id}").json()["sightings"])


@pytest.fixture
def vessel(api: httpx.Client) -> dict[str, str]:
    """A vessel of its own with two chips."""
    name = f"TEMPORARY {uuid.uuid4().hex[:6].upper()}"
    answer = api.post(
        "/gallery",
        data={"vessel": f'{{"name": "{name}"}}'},
        files=[("chips", (path.name, path.read_bytes())) for path in chips_of("0013")],
    )
    assert answer.status_code == 201, answer.text
    return {"id": answer.json()["id"], "name": name}


def test_vessels_are_found_while_typing(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open("#/gallery")
    rows = page.locator(".side .list .row")
    expect(rows.filter(has_text="HARBOUR 0001")).to_have_count(1)
    names = [one for one in rows.locator("strong").all_inner_texts() if "HARBOUR" in one]
    assert names == sorted(names)
    page.get_by_role("searchbox").fill("harb 0003")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("HARBOUR 0003")
    rows.first.click()
    expect(page.locator(".vessel h1")).to_be_visible()
    page.get_by_role("link", name="About").click()
    expect(page.locator(".card")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("searchbox")).to_have_value("harb 0003")
    page.get_by_role("searchbox").fill("harb zzz")
    expect(page.get_by_text("No vessel begins like this.")).to_be_visible()


def test_more_vessels_are_listed_on_request(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open("#/gallery?search=harbour&shown=2")
    rows = page.locator(".side .list .row")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="List more").click()
    expect(rows).to_have_count(len(harbour.vessels))
    expect(page.get_by_text("More vessels fit")).to_have_count(0)


def test_vessels_are_filtered_by_a_type_from_the_list(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    [chip, _] = chips_of("0019")
    made = api.post(
        "/gallery",
        data={"vessel": '{"name": "ODD ONE", "type": "Cable layer"}'},
        files={"chips": (chip.name, chip.read_bytes())},
    )
    assert made.status_code == 201, made.text
    page = desk.open("#/gallery")
    rows = page.locator(".side .list .row")
    expect(rows.filter(has_text="HARBOUR 0001")).to_have_count(1)
    kinds = page.get_by_label("Only of this type")
    expect(kinds.locator("option")).to_have_text(["All types", "bulk carrier", "cable layer"])
    kinds.select_option("cable layer")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("ODD ONE")
    kinds.select_option("All types")
    expect(rows.filter(has_text="HARBOUR 0001")).to_have_count(1)


def test_a_vessel_is_registered_with_its_chips(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    page = desk.open("#/gallery")
    name = f"ENROLLED {uuid.uuid4().hex[:6].upper()}"
    register(page, name, chips_of("0015"), IMO_number="12345", Length="190")
    expect(page.locator("#field-imo-error")).to_contain_text("IMO")
    page.get_by_role("dialog").get_by_label("IMO number").fill("")
    page.get_by_role("dialog").get_by_role("button", name="Add vessel").click()
    expect(page.locator("h1")).to_have_text(name)
    expect(page.locator(".chips .chip")).to_have_count(len(chips_of("0015")))
    [found] = api.get("/gallery", params={"search": name}).json()["vessels"]
    assert found["length_m"] == 190


def test_a_vessel_page_shows_source_track_history_and_look_alikes(
    desk: WatchedPage, harbour: Harbour
) -> None:
    page = desk.open(f"#/gallery/{harbour.vessels['0001']}")
    expect(page.locator(".table").first).to_contain_text("made up")
    expect(page.locator(".track li")).to_have_count(2)
    expect(page.locator(".map canvas").first).to_be_visible()
    expect(page.locator(".events")).to_contain_text("added")
    page.get_by_role("button", name="Find look-alikes").click()
    look_alike = page.locator(".vessel .row").filter(has_text="HARBOUR")  # beside other tests' ones
    expect(look_alike.first).to_be_visible()
    expect(page.locator(".vessel .row").filter(has_text="HARBOUR 0001")).to_have_count(0)
    expect(page.locator(".vessel .row").first).to_contain_text(
        re.compile(r"similarity [01]\.\d\d$")
    )
    expect(page.locator(".vessel .row .bar")).to_have_count(0)


def test_matches_state_the_rank_of_the_vessel_whose_page_it_is(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match = api.get(f"/matches/{harbour.matches['0003']}").json()
    second = match["candidates"][1]
    page = desk.open(f"#/gallery/{second['vessel']['id']}")
    named = page.locator(".naming li").filter(has_text=match["query"]["file_name"])
    share = second["probability"]
    shown = f"{share * 100:.0f} %" if share >= 0.01 else "< 1 %"
    expect(named).to_contain_text(f"this vessel: rank 2, {shown}")


def test_the_found_vessels_and_a_track_are_saved(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open(f"#/gallery/{harbour.vessels['0003']}")
    page.get_by_role("searchbox").fill("harbour 0003")
    expect(page.locator(".side .list .row")).to_have_count(1)
    saved = {}
    for place in (page.locator(".side"), page.locator(".vessel")):
        for kind in ("CSV", "GeoJSON"):
            with page.expect_download() as download:
                place.get_by_role("button", name=f"Save as {kind}").click()
            saved[download.value.suggested_filename] = download.value.path().read_text()
    csv, track_csv = saved["vessels.csv"], saved["track-HARBOUR 0003.csv"]
    assert "HARBOUR 0003" in csv
    assert "HARBOUR 0001" not in csv
    assert track_csv.count("2026-03-0") == 2
    features = json.loads(saved["vessels.geojson"])["features"]
    assert [one["geometry"]["type"] for one in features] == ["Point"]
    kinds = [
        one["geometry"]["type"]
        for one in json.loads(saved["track-HARBOUR 0003.geojson"])["features"]
    ]
    assert "LineString" in kinds


def test_an_attribute_is_changed_and_changed_back(
    desk: WatchedPage, vessel: dict[str, str], api: httpx.Client
) -> None:
    page = desk.open(f"#/gallery/{vessel['id']}")
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("dialog").get_by_label("Flag").fill("PA")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".table").first).to_contain_text("PA")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert api.get(f"/gallery/{vessel['id']}").json()["flag"] is None


def test_chips_are_split_off_and_merged_back(
    desk: WatchedPage, vessel: dict[str, str], api: httpx.Client
) -> None:
    page = desk.open(f"#/gallery/{vessel['id']}")
    page.locator(".chip input").first.check()
    page.get_by_role("button", name="Split 1 chip off").click()
    expect(page.get_by_text("1 chip is now a vessel of their own.")).to_be_visible()
    assert chip_count(api, vessel["id"]) == 1
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert chip_count(api, vessel["id"]) == 2


def test_a_removed_chip_comes_back_with_its_facts(desk: WatchedPage, api: httpx.Client) -> None:
    planes = np.stack([sar_plane(seed=seed) for seed in (1, 2)])
    facts = {"band": 2, "framing": "as_is", "gsd_m": 1.5, "captured_at": "2026-03-05", "lat": 1.2}
    made = api.post(
        "/gallery",
        data={
            "vessel": json.dumps({"name": f"BANDS {uuid.uuid4().hex[:6].upper()}"}),
            "chip_metadata": json.dumps([facts | {"lon": 103.9, "note": "second band"}]),
        },
        files=[("chips", ("bands.tif", tiff_bytes(planes)))],
    ).json()
    page = desk.open(f"#/gallery/{made['id']}")
    page.locator(".chip input").first.check()
    page.get_by_role("button", name="Remove 1 chip").click()
    expect(page.locator(".chips .chip")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".chips .chip")).to_have_count(1)
    [before], [after] = made["sightings"], api.get(f"/gallery/{made['id']}").json()["sightings"]
    assert after | {"recorded_at": None} == before | {"recorded_at": None}


def test_the_sensor_type_of_added_chips_is_not_guessed(
    desk: WatchedPage, vessel: dict[str, str], api: httpx.Client
) -> None:
    grey = picture_bytes((sar_plane(120, 30) * 60).clip(0, 255).astype(np.uint8), "PNG")
    page = desk.open(f"#/gallery/{vessel['id']}")
    field = page.locator("input[type=file]")
    field.set_input_files([FilePayload(name="grey.png", mimeType="image/png", buffer=grey)])
    expect(page.locator(".fault")).to_contain_text("may be optical or SAR")
    expect(page.locator("#field-added-modality-error")).to_contain_text("Choose SAR or optical")
    page.get_by_label("Sensor type").select_option("SAR")
    page.get_by_label("Use the chip").select_option("as it is")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".chips .chip")).to_have_count(3)
    page.get_by_text("Facts for the next chips (2 given)").click()
    page.get_by_label("Sensor type").select_option("as the file says")
    names = ("1_RGB.png", "2_SAR.png")
    field.set_input_files(
        [
            FilePayload(name=name, mimeType="image/png", buffer=grey + bytes(number))
            for number, name in enumerate(names, 1)
        ]
    )
    expect(page.locator(".chips .chip")).to_have_count(5)
    found = api.get(f"/gallery/{vessel['id']}").json()["sightings"]
    assert {s["file_name"]: s["modality"] for s in found if s["file_name"] in names} == {
        "1_RGB.png": "optical",
        "2_SAR.png": "sar",
    }
    assert {s["framing"]["mode"] for s in found if s["file_name"] == "grey.png"} == {"as_is"}


def test_a_vessel_is_merged_and_taken_apart_again(
    desk: WatchedPage, harbour: Harbour, vessel: dict[str, str], api: httpx.Client
) -> None:
    survivor = harbour.vessels["0011"]
    before = chip_count(api, survivor)
    match_id = ask(api, "0009", note=vessel["name"], top_k="1")["match_id"]
    decision = {"decision": "confirmed", "vessel_id": vessel["id"]}
    assert api.post(f"/matches/{match_id}/verdict", json=decision).status_code == 200
    page = desk.open(f"#/gallery/{survivor}")
    page.get_by_role("button", name="Merge").click()
    page.get_by_role("dialog").get_by_role("searchbox").fill(vessel["name"])
    page.get_by_role("dialog").get_by_role("button", name=vessel["name"]).click()
    expect(page.locator(".chips .chip")).to_have_count(before + 3)
    assert api.get(f"/gallery/{vessel['id']}").status_code == 404
    confirmed = page.locator(".naming li").filter(has_text="0009_s01c3_SAR.tif")
    expect(confirmed).to_contain_text("names a vessel that was merged into this one")
    expect(page.locator(".events")).to_contain_text("0009_s01c3_SAR.tif confirmed by")
    page.goto(f"{desk.url}/#/gallery/{vessel['id']}")
    page.locator(".fault").get_by_role("link", name="HARBOUR 0011").click()
    expect(page.locator("h1")).to_have_text("HARBOUR 0011")
    matches = {"vessel_id": survivor, "note": vessel["name"]}
    assert len(api.get("/matches", params=matches).json()["matches"]) == 1
    table = api.get("/matches", params=matches, headers={"Accept": "text/csv"}).text
    assert match_id in table
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert chip_count(api, survivor) == before
    [again] = api.get("/gallery", params={"search": vessel["name"]}).json()["vessels"]
    assert chip_count(api, again["id"]) == 3


def test_a_vessel_is_deleted_and_restored(
    desk: WatchedPage, vessel: dict[str, str], api: httpx.Client
) -> None:
    page = desk.open(f"#/gallery/{vessel['id']}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("was deleted.")).to_be_visible()
    assert api.get(f"/gallery/{vessel['id']}").status_code == 404
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("h1")).to_have_text(vessel["name"])
    assert chip_count(api, vessel["id"]) == 2


def test_a_csv_is_imported_and_what_was_refused_is_listed(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client, tmp_path: Path
) -> None:
    [first, second] = chips_of("0017")
    known = chips_of("0005")[0]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    table = tmp_path / "harbour.csv"
    table.write_text(
        "chip,name,length_m,modality\n"
        f"{first.name},IMPORTED ONE,180,optical\n"
        f'{second.name},"IMPORTED, TWO",abc,optical\n'
        "missing.png,IMPORTED THREE,100,optical\n"
        f"{broken.name},IMPORTED FOUR,100,optical\n"
        f"{second.name},<NA>,100,optical\n"
        f"{known.name},IMPORTED SIX,100,optical\n"
    )
    page = desk.open("#/gallery")
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog")
    files = [str(path) for path in (table, first, second, broken, known)]
    dialog.locator("input[type=file]").last.set_input_files(files)
    expect(dialog).to_contain_text("Found 3 vessels with 3 chips.")
    expect(dialog).to_contain_text("Line 3: length_m is “abc”, not a number")
    expect(dialog).to_contain_text("Line 4: the file missing.png was not among the chosen files.")
    expect(dialog).to_contain_text("Line 6: name is “<NA>”, which names no vessel")
    dialog.get_by_role("button", name="Import", exact=True).click()
    expect(dialog).to_contain_text("2 vessels with 2 chips imported, 4 refused.")
    warned = dialog.locator("table").filter(has_text="look at these").locator("tbody tr")
    expect(warned.filter(has_text=known.name).first).to_contain_text("is enrolled for vessel")
    expect(warned.filter(has_text=first.name)).to_contain_text("0.75 m per pixel was assumed")
    expect(dialog.locator("tbody tr").filter(has_text="broken.png")).to_contain_text("PNG")
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Save this list as CSV").first.click()
    assert Path(download.value.path()).read_text().count("\n") == 4
    [found] = api.get("/gallery", params={"search": "imported one"}).json()["vessels"]
    assert found["length_m"] == 180
