"""History, Open sightings and About: what was asked is found again, with filters and an area."""

import codecs
import json
import re
from datetime import date, timedelta

import httpx
import pytest
from playwright.sync_api import Browser, Download, Route, expect

from tests.support.browser.chromium import WatchedPage, desk_page
from tests.support.browser.harbour import Harbour, ask
from tests.support.processes.service_process import ServiceProcess


def test_matches_are_found_by_file_name_and_standing(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match_id = ask(api, "0019", case="history")["match_id"]
    judged = api.post(f"/matches/{match_id}/verdict", json={"decision": "rejected"})
    assert judged.status_code == 200, judged.text
    page = desk.open("#/history")
    page.get_by_label("File name").fill("0019_s01")
    rows = page.locator(".matches tbody tr")
    expect(rows).to_have_count(1)
    page.get_by_label("Standing").select_option("rejected")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Rejected")
    rows.get_by_role("link").click()
    page.wait_for_url(f"**{match_id}")
    page.go_back()
    expect(page.get_by_label("File name")).to_have_value("0019_s01")
    page.get_by_label("Standing").select_option("confirmed")
    expect(page.get_by_text("No match passes these filters.")).to_be_visible()


def test_back_returns_to_where_the_list_was_left(
    browser: Browser, service: ServiceProcess, harbour: Harbour, api: httpx.Client
) -> None:
    for _ in range(4):
        ask(api, "0003")
    with desk_page(browser, service.url, width=830, height=490) as desk:
        page = desk.open("#/history?modality=sar&shown=2")
        rows = page.locator(".matches tbody tr")
        expect(rows).to_have_count(2)
        page.get_by_role("button", name="Show more").click()
        expect(rows.nth(2)).to_be_visible()
        count = rows.count()
        rows.last.scroll_into_view_if_needed()
        place = "() => document.querySelector('.content').scrollTop"
        left_at = page.evaluate(place)
        assert left_at > 0
        rows.last.get_by_role("link").click()
        expect(page.locator(".answer")).to_be_visible()
        page.go_back()
        expect(rows).to_have_count(count)
        returned = "top => document.querySelector('.content')?.scrollTop === top"
        page.wait_for_function(returned, arg=left_at)
        expect(page.get_by_label("Sensor")).to_have_value("sar")
        page.reload()
        page.wait_for_function(returned, arg=left_at)
        page.get_by_role("link", name="History").click()
        expect(page.get_by_label("Sensor")).to_have_value("")
        assert page.evaluate(place) == 0


def test_matches_are_found_by_vessel_and_case(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    ask(api, "0021", case="Operation Nine")
    page = desk.open("#/history")
    page.get_by_label("Case").fill("operation nine")
    expect(page.locator(".matches tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_role("button", name="Vessel…").click()
    page.get_by_role("dialog").get_by_role("searchbox").fill("harbour 0001")
    page.get_by_role("dialog").get_by_role("button", name="HARBOUR 0001").click()
    expect(page.get_by_role("button", name="Vessel: HARBOUR 0001")).to_be_visible()
    assert harbour.vessels["0001"] in page.url


def test_dates_of_the_filters_are_utc(
    browser: Browser, service: ServiceProcess, harbour: Harbour, api: httpx.Client
) -> None:
    asked_at = api.get(f"/matches/{harbour.matches['0001']}").json()["asked_at"]
    day = date.fromisoformat(asked_at[:10])
    context = browser.new_context(timezone_id="Pacific/Kiritimati")  # UTC+14: often another day
    page = context.new_page()
    page.goto(f"{service.url}/#/history")
    rows = page.locator(".matches tbody tr").filter(has_text="0001_s01c3_SAR.tif")
    expect(rows.first).to_contain_text(f"{day} ")
    page.get_by_label("Asked since (UTC)").fill(f"{day}")
    page.get_by_label("Asked before (UTC)").fill(f"{day + timedelta(days=1)}")
    expect(page).to_have_url(re.compile(f"since={day}"))
    expect(rows.first).to_be_visible()
    page.get_by_label("Asked since (UTC)").fill(f"{day + timedelta(days=1)}")
    expect(rows).to_have_count(0)
    context.close()


def test_matches_are_found_in_an_area_drawn_on_the_map(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    ask(api, "0023", lat="64.1", lon="-22.0")
    page = desk.open("#/history")
    page.get_by_role("button", name="Draw an area").click()
    frame = page.locator(".map.area")
    expect(frame.locator("canvas").first).to_be_visible()
    box = frame.bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle - 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(middle - box["width"] / 2 + 5, box["y"] + box["height"] / 2 - 5, steps=5)
    page.mouse.up()
    expect(page.get_by_role("button", name="In an area")).to_be_visible()
    expect(page.locator(".matches tbody tr")).to_have_count(1)
    expect(page.locator(".matches tbody tr")).to_contain_text("0023_s01c3_SAR.tif")
    page.get_by_role("button", name="Anywhere").click()
    expect(page.locator(".matches tbody tr").nth(1)).to_be_visible()


def test_an_area_is_typed(desk: WatchedPage, harbour: Harbour, api: httpx.Client) -> None:
    ask(api, "0025", lat="-50.5", lon="-20")
    page = desk.open("#/history")
    page.get_by_role("button", name="Draw an area").click()
    sides = page.get_by_label("or type west, south, east, north")
    sides.fill("-21, -51, -19")
    sides.press("Enter")
    expect(page.locator("#field-area-error")).to_contain_text("Expected four numbers")
    sides.fill("-21, -51, -19, -50")
    sides.press("Enter")
    expect(page.locator(".matches tbody tr")).to_have_count(1)
    expect(page.locator(".matches tbody tr")).to_contain_text("0025_s01c3_SAR.tif")


def test_lists_are_saved_as_csv(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open("#/history")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    saved = download.value.path().read_bytes()
    assert b"0001_s01c3_SAR.tif" in saved
    # Without a byte order mark, spreadsheets do not read UTF-8.
    assert saved.startswith(codecs.BOM_UTF8)


def test_a_refused_list_is_told_and_not_saved(desk: WatchedPage, harbour: Harbour) -> None:
    def refuse(route: Route) -> None:
        wanted = route.request.headers["accept"] == "application/geo+json"
        body = json.dumps({"detail": "These are too many matches for one file."})
        route.fulfill(status=422, body=body) if wanted else route.continue_()

    page = desk.open("#/history")
    saved: list[Download] = []
    page.on("download", lambda one: saved.append(one))
    page.route(re.compile("/matches"), refuse)
    page.get_by_role("button", name="Save as GeoJSON").click()
    expect(page.get_by_role("alert")).to_have_text("These are too many matches for one file.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert [one.suggested_filename for one in saved] == [download.value.suggested_filename]
    expect(page.get_by_role("alert")).to_have_count(0)


def test_open_matches_wait(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open("#/waiting")
    expect(page.locator(".matches tbody tr").first).to_contain_text("Open")


def test_about_says_what_a_probability_means_and_that_the_models_are_simulated(
    desk: WatchedPage, harbour: Harbour
) -> None:
    page = desk.open("#/about")
    expect(page.get_by_text("calibrated on simulated ships alone").last).to_be_visible()
    expect(page.get_by_text("Ready", exact=True)).to_be_visible()
    expect(page.locator(".card table").first).to_be_visible()
    expect(page.get_by_text("leaflet 1.9.4")).to_be_visible()


MAP_FUNCTIONS = """async ([places, area]) => {
  const { alongTheWay, areaOf, cornersOf } = await import("./desk/map.js");
  const corners = cornersOf(area);
  const [[south, west], [north, east]] = corners;
  const drawn = [0, 360].map((turn) => areaOf([west + turn, south, east + turn, north]));
  return [alongTheWay(places).map((one) => one.lon), corners, drawn];
}"""


@pytest.mark.parametrize("side", [1, -1])
def test_maps_go_the_shorter_way_across_the_antimeridian(desk: WatchedPage, side: int) -> None:
    lons = (side * 170, side * 178, side * -179, side * -170, side * 175)
    places = [{"lat": 0, "lon": lon} for lon in lons]
    page = desk.open("#/history?area=170,-10,-160,10")
    expect(page.locator(".map.area canvas").first).to_be_visible()
    placed, drawn, areas = page.evaluate(MAP_FUNCTIONS, [places, [170, -10, -160, 10]])
    assert placed == [side * lon for lon in (170, 178, 181, 190, 175)]
    assert drawn == [[-10, 170], [10, 200]]
    assert areas == [[170, -10, -160, 10]] * 2


LAND_IN_TILES = """async (tiles) => {
  const { landLayer, projected } = await import("./desk/land.js");
  const ring = [[170, -40], [-170, -40], [-170, 40], [170, 40], [170, -40]];
  const land = projected({ features: [{ geometry: { type: "Polygon", coordinates: [ring] } }] });
  const extend = (one) => function Layer() { return one; };
  const layer = landLayer({ GridLayer: { extend } }, land);
  return tiles.map(([x, y, z]) => {
    const tile = layer.createTile({ x, y, z });
    const { data } = tile.getContext("2d").getImageData(tile.width / 2, tile.height / 2, 1, 1);
    return data[3] > 0;
  });
}"""


def test_land_across_the_antimeridian_is_drawn_in_the_tiles_that_show_it(desk: WatchedPage) -> None:
    page = desk.open("#/about")
    inside, outside = (
        [(63, 31, 6), (0, 32, 6), (1023, 500, 10)],
        [(32, 31, 6), (60, 31, 6), (0, 9, 6)],
    )
    drawn = page.evaluate(LAND_IN_TILES, inside + outside)
    assert drawn == [True] * 3 + [False] * 3


def test_the_model_card_breaks_no_word_and_does_not_push_the_rest_away(desk: WatchedPage) -> None:
    page = desk.open("#/about")
    frame = page.locator(".card .table-frame").first
    expect(frame).to_be_visible()
    box = frame.bounding_box()
    assert box is not None
    assert box["height"] <= 0.7 * page.evaluate("innerHeight") + 1
    header = frame.locator("th").last
    one_line = header.evaluate(
        "node => node.firstChild && (() => { const r = document.createRange();"
        " r.selectNodeContents(node); return r.getClientRects().length; })()"
    )
    assert one_line == 1


def test_an_area_that_is_none_in_the_address_is_explained(desk: WatchedPage) -> None:
    page = desk.open("#/history?area=1,2,3")
    expect(page.get_by_role("alert")).to_contain_text("expected four numbers")
    expect(page.locator(".map.area canvas").first).to_be_visible()
