"""The page Open sightings: a group becomes a vessel, or is marked as different ships."""

import time
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.test_quality_of_page import violations
from tests.support.browser.chromium import WatchedPage, desk_page
from tests.support.browser.harbour import ask, ask_about_looks, enrol, wait_for_group
from tests.support.processes.service_process import ServiceProcess, running_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    settings = {"CROSSFIX_ASK_AGAIN_INTERVAL_S": "0.1"}
    with running_service(tmp_path_factory.mktemp("groups"), settings=settings) as process:
        yield process


def group_with(page: Page, number: str) -> Locator:
    return page.locator(".group").filter(has_text=f"{number}_s01c1_RGB.jpg")


def test_a_group_becomes_a_vessel_and_that_is_undone(desk: WatchedPage, api: httpx.Client) -> None:
    ask_about_looks(api, "0003")
    page = desk.open("#/waiting")
    group = group_with(page, "0003")
    expect(group).to_contain_text("Perhaps one ship, seen on 2 chips")
    expect(group.locator(".badge")).to_contain_text("%")
    expect(group.locator("small").filter(has_text="same ship: ").first).to_contain_text("%")
    for word in ("enrol", "regist", "calibrated"):
        expect(page.locator("main")).not_to_contain_text(word, ignore_case=True)
    expect(page.get_by_text("Simulated models.")).to_be_visible()
    group.get_by_role("button", name="Add as a new vessel").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("IMO number").fill("123")
    dialog.get_by_role("button", name="Add vessel").click()
    expect(dialog.locator("#field-imo-error")).to_contain_text("seven digits")
    dialog.get_by_label("IMO number").fill("")
    dialog.get_by_label("Name", exact=True).fill("UNKNOWN 1")
    dialog.get_by_role("button", name="Add vessel").click()
    expect(page.get_by_text("UNKNOWN 1 was added.")).to_be_visible()
    expect(group).to_have_count(0)
    (vessel,) = api.get("/gallery", params={"name": "UNKNOWN 1"}).json()["vessels"]
    assert len(api.get(f"/gallery/{vessel['id']}").json()["sightings"]) == 2
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    assert api.get("/gallery", params={"name": "UNKNOWN 1"}).json()["vessels"] == []
    wait_for_group(api, "0003")


def test_chips_are_marked_different_and_that_is_undone(
    desk: WatchedPage, api: httpx.Client
) -> None:
    ask_about_looks(api, "0017")
    page = desk.open("#/waiting")
    group = group_with(page, "0017")
    group.get_by_role("button", name="These are not one ship").click()
    expect(page.get_by_text("Recorded: these chips show different ships.")).to_be_visible()
    expect(group).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone.")).to_be_visible()
    wait_for_group(api, "0017")
    desk.page.reload()
    expect(group).to_have_count(1)


def test_the_navigation_counts_new_hits_and_asks_seldom(
    desk: WatchedPage, api: httpx.Client
) -> None:
    asked: list[str] = []
    desk.page.on("request", lambda one: asked.append(one.url))
    desk.page.clock.install()
    page = desk.open("#/about")
    waiting = page.get_by_role("navigation").get_by_role("link", name="Open sightings")
    expect(page.locator(".card table").first).to_be_visible()
    expect(waiting).to_have_text("Open sightings")
    ask(api, "0013")
    enrol(api, "0013", 0)
    deadline = time.monotonic() + 60
    while not (new := api.get("/matches", params={"state": "new"}).json()["matches"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    page.clock.run_for(25_000)
    expect(waiting).to_have_text("Open sightings")
    page.clock.run_for(25_000)
    expect(waiting).to_have_text(f"Open sightings {len(new)} new")
    assert len([url for url in asked if "state=new" in url]) == 2
    waiting.click()
    expect(page.get_by_text("matched again because of HARBOUR 0013").first).to_be_visible()
    page.get_by_role("link", name=new[0]["query"]["file_name"], exact=True).first.click()
    expect(page.locator(".explanation")).to_contain_text("a chip was added to HARBOUR 0013.")


def test_a_chip_that_another_match_gave_a_vessel_waits_no_more(
    desk: WatchedPage, api: httpx.Client
) -> None:
    vessel_id = enrol(api, "0001", 0)
    first, second = (ask(api, "0001")["match_id"] for _ in range(2))
    rows = desk.open("#/waiting").locator("tr").filter(has_text="0001_s01c3_SAR.tif")
    expect(rows).to_have_count(2)
    decision = {"decision": "confirmed", "vessel_id": vessel_id}
    assert api.post(f"/matches/{second}/verdict", json=decision).status_code == 200
    deadline = time.monotonic() + 60
    while api.get(f"/matches/{first}").json()["state"] != "settled":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    desk.page.reload()
    expect(desk.page.get_by_role("heading", name="Not judged yet")).to_be_visible()
    expect(rows).to_have_count(0)
    page = desk.open(f"#/match/{first}")
    expect(page.locator(".judge")).to_contain_text(
        "By another match, this chip belongs to HARBOUR 0001."
    )


def test_chips_of_a_group_stand_upright_at_one_scale(desk: WatchedPage, api: httpx.Client) -> None:
    ask_about_looks(api, "0007")
    listed = api.get("/sightings/open/groups").json()["groups"]
    [group] = [
        one for one in listed if one["sightings"][0]["sighting"]["file_name"].startswith("0007")
    ]
    lengths = [one["sighting"]["length_m"] for one in group["sightings"]]
    assert len(set(lengths)) == len(lengths)
    shown = group_with(desk.open("#/waiting"), "0007")
    pictures = shown.locator("canvas")
    expect(pictures).to_have_count(len(lengths))
    boxes = [picture.bounding_box() for picture in pictures.all()]
    heights = [box["height"] for box in boxes if box and box["height"] > box["width"]]
    scales = [height / length for height, length in zip(heights, lengths, strict=True)]
    assert scales == pytest.approx([scales[0]] * len(lengths), rel=0.02)
    expect(shown.locator(".ruler span").first).to_have_text("0 m")
    pixels = "node => node.toDataURL()"
    before = pictures.first.evaluate(pixels)
    shown.get_by_role("button", name="Turn by 180°").first.click()
    assert pictures.first.evaluate(pixels) != before


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_groups_pass_wcag_aa(
    browser: Browser, service: ServiceProcess, api: httpx.Client, dark: bool
) -> None:
    ask_about_looks(api, "0011")
    with desk_page(browser, service.url, dark=dark) as desk:
        page = desk.open("#/waiting")
        page.wait_for_selector(".group .chips canvas")
        assert violations(page) == []
