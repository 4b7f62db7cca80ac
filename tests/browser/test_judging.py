"""Judging a match at the desk, with the mouse and with the keyboard alone."""

import re

import httpx
from playwright.sync_api import expect

from tests.support.browser.chromium import WatchedPage
from tests.support.browser.harbour import Harbour, ask

SETTLED_MS = 1000
"""Time in which the page has drawn what it was asked for, in milliseconds."""


def test_a_judgement_is_made_with_a_note_and_undone(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match_id = ask(api, "0005", case="undo")["match_id"]
    page = desk.open(f"#/match/{match_id}")
    page.get_by_role("radio", name="HARBOUR").first.click()
    page.locator("label.note input").fill("same deck cranes")
    page.get_by_role("button", name="Confirm HARBOUR").click()
    expect(page.locator(".detail-head .badge").last).to_have_text("Confirmed")
    record = api.get(f"/matches/{match_id}").json()
    assert (record["standing"], record["judgements"][0]["note"]) == (
        "confirmed",
        "same deck cranes",
    )
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".detail-head .badge").last).to_have_text("Open")
    assert api.get(f"/matches/{match_id}").json()["standing"] == "open"


def test_undo_waits_while_the_pointer_or_the_focus_is_on_it(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match_id = ask(api, "0003", case="slow")["match_id"]
    desk.page.clock.install()
    page = desk.open(f"#/match/{match_id}")
    page.get_by_role("button", name="Confirm HARBOUR").click()
    toast = page.locator(".toast")
    expect(toast).to_contain_text("Confirmed")
    page.clock.run_for(20_000)
    toast.get_by_text("Confirmed").hover()
    page.clock.run_for(60_000)
    expect(toast).to_have_count(1)
    toast.get_by_role("button", name="Undo").focus()
    page.mouse.move(5, 5)
    page.clock.run_for(60_000)
    expect(toast).to_have_count(1)
    page.locator(".judge input").focus()
    page.clock.run_for(60_000)
    expect(toast).to_have_count(0)


def test_a_judgement_of_another_analyst_is_not_overruled_unseen(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match_id = ask(api, "0005", case="two analysts")["match_id"]
    verdict = f"/matches/{match_id}/verdict"
    other = {"decision": "confirmed", "vessel_id": harbour.vessels["0011"], "note": "by the other"}
    page = desk.open(f"#/match/{match_id}")
    expect(page.locator(".judge")).to_be_visible()
    assert api.post(verdict, json=other).status_code == 200
    page.locator("label.note input").fill("mine")
    page.locator(".judge-buttons").get_by_role("button", name="None of them").last.click()
    expect(page.get_by_role("alert")).to_contain_text("was confirmed by local, after you looked")
    expect(page.locator(".judge")).to_contain_text("by the other")
    expect(page.locator("label.note input")).to_have_value("mine")
    page.locator(".judge-buttons").get_by_role("button", name="None of them").last.click()
    expect(page.locator(".detail-head .badge").last).to_have_text("Rejected")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".detail-head .badge").last).to_have_text("Confirmed")
    latest = api.get(f"/matches/{match_id}").json()["judgements"][-1]
    assert (latest["vessel_id"], latest["note"]) == (other["vessel_id"], other["note"])


def test_a_note_is_kept_while_the_analyst_looks_elsewhere(
    desk: WatchedPage, harbour: Harbour
) -> None:
    page = desk.open(f"#/match/{harbour.matches['0001']}")
    page.locator("label.note input").fill("two cranes")
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.go_back()
    expect(page.locator("label.note input")).to_have_value("two cranes")


def test_the_evidence_report_is_one_page_of_print(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    for vessel_id in harbour.vessels.values():
        api.patch(f"/gallery/{vessel_id}", json={"length_m": 190, "beam_m": 30}).raise_for_status()
    match_id = ask(api, "0001", case="report")["match_id"]
    desk.page.goto(f"{desk.url}/matches/{match_id}/report")
    expect(desk.page.get_by_text("registered beam").first).to_be_visible()
    printed = desk.page.pdf(format="A4", prefer_css_page_size=True)
    assert re.findall(rb"/Type /Pages\s+/Count (\d+)", printed) == [b"1"]


def test_enter_confirms_the_candidate_that_has_the_focus(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match_id = ask(api, "0007", case="focus")["match_id"]
    page = desk.open(f"#/match/{match_id}")
    first = page.get_by_role("radio", checked=True)
    first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    third = page.get_by_role("radio").nth(2)
    expect(third).to_be_focused()
    expect(third).to_have_attribute("aria-checked", "true")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio").nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    name = third.locator("strong").inner_text()
    page.keyboard.press("Enter")
    expect(page.locator(".detail-head .badge").last).not_to_have_text("Open")
    record = api.get(f"/matches/{match_id}").json()
    names = {one["vessel"]["id"]: one["vessel"]["name"] for one in record["candidates"]}
    assert names.get(record["judgements"][-1]["vessel_id"], "None of them") == name


def test_another_vessel_can_be_named(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match_id = ask(api, "0007", case="another")["match_id"]
    page = desk.open(f"#/match/{match_id}")
    page.get_by_role("button", name="Another vessel").click()
    page.get_by_role("searchbox").fill("harbour 0011")
    page.get_by_role("dialog").get_by_role("button", name="HARBOUR 0011").click()
    expect(page.locator(".detail-head .badge").last).to_have_text("Confirmed")
    latest = api.get(f"/matches/{match_id}").json()["judgements"][-1]
    assert latest["vessel_id"] == harbour.vessels["0011"]


def test_everything_is_done_with_the_keyboard_alone(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    older, newer = (ask(api, "0003", case=f"keys {n}")["match_id"] for n in range(2))
    page = desk.open("#/match")
    expect(page.get_by_role("radio").first).to_be_visible()
    assert newer in page.url
    for key, match_id in (("j", older), ("k", newer), ("j", older)):
        page.wait_for_timeout(SETTLED_MS)
        page.keyboard.press(key)
        page.wait_for_url(f"**{match_id}")
    page.wait_for_timeout(SETTLED_MS)
    expect(page.get_by_role("radio").first).to_be_visible()
    page.keyboard.press("2")
    expect(page.get_by_role("radio", checked=True).locator("kbd")).to_have_text("2")
    page.keyboard.press("0")
    expect(page.get_by_role("radio", checked=True)).to_contain_text("None of them")
    page.keyboard.press("1")
    page.keyboard.press("n")
    page.keyboard.type("by keyboard, j and 2 are text here")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.locator(".detail-head .badge").last).to_have_text("Confirmed")
    record = api.get(f"/matches/{older}").json()
    assert record["judgements"][0]["note"] == "by keyboard, j and 2 are text here"
    assert record["judgements"][0]["vessel_id"] == record["candidates"][0]["vessel"]["id"]
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
