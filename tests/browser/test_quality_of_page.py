"""What holds on every page: WCAG AA, small and magnified windows, no foreign script, size."""

import gzip
import json
import random
import re

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from service.desk import FILES
from tests.support.browser.chromium import desk_page
from tests.support.browser.harbour import Harbour, chips_of
from tests.support.processes.service_process import ServiceProcess

OWN_CODE_BYTES = 300_000
AA = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
PLACES = ("match", "gallery", "history", "waiting", "about")


def place_of(name: str, harbour: Harbour) -> tuple[str, str]:
    """Return the address of a page with content, and a selector of that content."""
    return {
        "match": (f"#/match/{harbour.matches['0001']}", ".stage canvas >> nth=1"),
        "gallery": (f"#/gallery/{harbour.vessels['0001']}", ".vessel .chips img >> nth=0"),
        "history": ("#/history", ".matches tbody tr >> nth=0"),
        "waiting": ("#/waiting", ".matches tbody tr >> nth=0"),
        "about": ("#/about", ".card table >> nth=0"),
    }[name]


def violations(page: Page) -> list[str]:
    """Return what axe-core finds against WCAG AA, with the elements."""
    results = Axe().run(page, options={"runOnly": {"type": "tag", "values": AA}})
    return [
        f"{one['id']}: {node['html'][:160]} {node['any'][:1]}"
        for one in results.response["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_passes_wcag_aa(
    browser: Browser, service: ServiceProcess, harbour: Harbour, dark: bool
) -> None:
    found = {}
    with desk_page(browser, service.url, dark=dark) as desk:
        for name in PLACES:
            address, content = place_of(name, harbour)
            page = desk.open(address)
            page.wait_for_selector(content)
            found[name] = violations(page)
    assert found == {name: [] for name in PLACES}


def test_dialogs_pass_wcag_aa(browser: Browser, service: ServiceProcess, harbour: Harbour) -> None:
    with desk_page(browser, service.url) as desk:
        page = desk.open("#/gallery")
        for name in ("Add vessel", "Import…"):
            page.get_by_role("button", name=name).click()
            assert violations(page) == [], name
            page.keyboard.press("Escape")
            expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_small_window_shows_the_judgement_without_scrolling(
    browser: Browser, service: ServiceProcess, harbour: Harbour
) -> None:
    with desk_page(browser, service.url) as desk:
        page = desk.open(f"#/match/{harbour.matches['0001']}")
        expect(page.locator(".judge .primary")).to_be_in_viewport()
        expect(page.locator("h1")).to_be_in_viewport()
        expect(page.get_by_role("radio").first).to_be_in_viewport()


@pytest.mark.parametrize("name", PLACES)
def test_pages_fit_at_200_percent(
    browser: Browser, service: ServiceProcess, harbour: Harbour, name: str
) -> None:
    address, content = place_of(name, harbour)
    with desk_page(browser, service.url, width=640, height=360, scale=2) as desk:
        page = desk.open(address)
        page.wait_for_selector(content, state="attached")
        wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wider <= 0


def test_no_list_scrolls_sideways(
    browser: Browser, service: ServiceProcess, harbour: Harbour
) -> None:
    with desk_page(browser, service.url) as desk:
        page = desk.open(f"#/match/{harbour.matches['0001']}")
        expect(page.locator(".chip-row[aria-current]")).to_be_in_viewport()
        expect(page.get_by_role("button", name="Choose chips")).to_be_in_viewport()
        for place in (".side", ".side .list", ".content"):
            wider = "node => node.scrollWidth - node.clientWidth"
            assert page.locator(place).evaluate(wider) <= 0, place


def test_long_words_do_not_widen_the_pages(
    browser: Browser, service: ServiceProcess, api: httpx.Client
) -> None:
    word = "".join(random.Random(0).choices("BCDFGHKLMNPRST", k=200))
    [first, _] = chips_of("0015")
    with desk_page(browser, service.url, width=390) as desk:
        made = api.post(
            "/gallery",
            data={"vessel": json.dumps({"name": word, "type": f"{word[::-1]}"})},
            files=[("chips", (f"{word}.jpg", first.read_bytes() + b"long"))],
        ).json()
        api.post(
            "/match",
            data={"gsd_m": "0.75", "case": word},
            files={"chip": (f"{word}.jpg", first.read_bytes() + b"longer")},
        )
        for place in (f"#/gallery/{made['id']}", "#/history", "#/gallery"):
            page = desk.open(place)
            expect(page.get_by_text(word[:40]).first).to_be_visible()
            expect(page.locator(".events, .table.matches, .side .list").first).to_be_visible()
            wider = "document.documentElement.scrollWidth - innerWidth"
            assert page.evaluate(wider) <= 0, place


def test_the_policy_allows_no_inline_script_and_no_other_host(api: httpx.Client) -> None:
    answer = api.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "<style" not in answer.text
    assert "javascript:" not in answer.text


def test_files_are_compressed_revalidated_and_nothing_else_is_served(api: httpx.Client) -> None:
    answer = api.get("/desk/app.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["content-encoding"] == "gzip"
    again = api.get("/desk/app.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert api.get("/desk/../__init__.py").status_code == 404
    assert api.get("/desk/index.html").status_code == 404


def imported_from(name: str) -> set[str]:
    """Return the modules that a module of the page loads at its start, itself included."""
    source = (FILES / name).read_text()
    found = re.findall(r'^(?:import|export)\b[^;]*?\bfrom "\./([^"]+)"', source, re.MULTILINE)
    return {name}.union(*map(imported_from, found))


def test_browsers_keep_the_files_of_the_page_and_load_all_modules_at_once(
    api: httpx.Client,
) -> None:
    page = api.get("/").text
    [version] = set(re.findall(r'"desk/([^/"]+)/', page))
    caching = {
        path: api.get(f"/desk/{path}app.js").headers["cache-control"]
        for path in ("", f"{version}/", f"{'0' * 16}/")
    }
    kept, checked = "public, max-age=31536000, immutable", "private, no-cache"
    assert caching == {"": checked, f"{version}/": kept, f"{'0' * 16}/": checked}
    preloaded = re.findall(rf'"modulepreload" href="desk/{version}/([^"]+)"', page)
    assert {"app.js", *preloaded} == imported_from("app.js")


def test_the_code_without_the_coastline_is_small() -> None:
    code = [p for p in FILES.rglob("*") if p.suffix in (".html", ".js", ".css", ".svg")]
    own = sum(path.stat().st_size for path in code if path.parent == FILES)
    transferred = sum(len(gzip.compress(path.read_bytes())) for path in code)
    assert own <= OWN_CODE_BYTES
    assert transferred <= OWN_CODE_BYTES
