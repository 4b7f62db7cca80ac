"""The pictures of a match: one scale, overlays, distances measured, hulls aligned by hand."""

import math
import re
from io import BytesIO

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.test_quality_of_page import violations
from tests.support.browser.chromium import WatchedPage
from tests.support.browser.harbour import Harbour, chips_of
from tests.support.inputs.chip_files import picture_bytes


def metre_scale(page: Page, index: int, metres: float) -> float:
    box = page.locator(".stage canvas").nth(index).bounding_box()
    assert box is not None
    return box["width"] / metres


def shown_picture(api: httpx.Client, url: str) -> int:
    """Return the longer side of a picture of the API in pixels."""
    return max(Image.open(BytesIO(api.get(url).content)).size)


def test_pictures_have_one_scale_and_can_be_laid_over_each_other(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match = api.get(f"/matches/{harbour.matches['0001']}").json()
    first = match["candidates"][0]
    page = desk.open(f"#/match/{match['match_id']}")
    expect(page.locator(".stage canvas")).to_have_count(3)
    query_px = shown_picture(api, match["query"]["preview_url"])
    known_px = shown_picture(api, first["sighting"]["preview_url"])
    query = metre_scale(page, 0, query_px * match["query"]["gsd_m"])
    known = metre_scale(page, 1, known_px * first["sighting"]["gsd_m"])
    assert abs(query / known - 1) < 0.02
    expect(page.locator(".ruler span").first).to_have_text("0 m")
    page.get_by_role("button", name="Swipe").click()
    expect(page.locator(".overlay.swipe canvas")).to_have_count(2)
    page.get_by_label("Where the candidate begins").fill("20")
    clip = page.locator(".overlay .upper").evaluate("node => getComputedStyle(node).clipPath")
    assert "20%" in clip
    page.get_by_role("button", name="Blink").click()
    expect(page.locator(".overlay.blink canvas")).to_have_count(2)
    page.get_by_role("button", name="As sent").click()
    expect(page.locator(".overlay.blink canvas")).to_have_count(2)


def test_the_scale_stays_while_the_picture_of_the_candidate_is_loaded(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match = api.get(f"/matches/{harbour.matches['0905']}").json()
    late: list[Route] = []
    url = match["candidates"][0]["sighting"]["preview_url"]
    desk.page.route(lambda one: one.endswith(url), lambda route: late.append(route))
    page = desk.open(f"#/match/{match['match_id']}")
    pictures = page.locator(".compare .stage canvas")
    expect(pictures).to_have_count(1)
    expect(page.locator(".strip-missing").first).to_have_text("Loading…")
    before = pictures.first.bounding_box()
    for route in late:
        route.continue_()
    expect(pictures).to_have_count(3)
    assert pictures.first.bounding_box() == before


def test_a_dark_chip_is_shown_brighter_and_a_bright_one_as_it_is(
    desk: WatchedPage, api: httpx.Client
) -> None:
    ship = np.asarray(Image.open(chips_of("0019")[1]).convert("RGB"))
    bright = np.clip(ship * (255 / np.percentile(ship.max(axis=2), 90)), 0, 255).astype(np.uint8)
    factors = []
    for level in (1.0, 0.2):
        chip = picture_bytes((bright * level).astype(np.uint8), "PNG")
        facts = {"gsd_m": "0.75", "modality": "optical", "framing": "as_is"}
        answer = api.post("/match", data=facts, files={"chip": (f"{level}.png", chip)})
        assert answer.status_code == 200, answer.text
        page = desk.open(f"#/match/{answer.json()['match_id']}")
        expect(page.locator(".detail-head .file")).to_have_text(f"{level}.png")
        picture = page.locator(".stage canvas").first
        expect(picture).to_be_visible()
        if level < 1:  # the factor of the chip before stays until this one is loaded
            expect(picture).not_to_have_css(
                "filter", re.compile(r"^none$|^brightness\(1(\.[0-2].*)?\)$")
            )
        shown = picture.evaluate("node => getComputedStyle(node).filter")
        factors.append(float(shown.removeprefix("brightness(").removesuffix(")")))
    assert 1.0 <= factors[0] < 1.3
    assert 3.0 < factors[1] <= 5.0
    page.get_by_role("button", name="Brighten").click()
    expect(picture).to_have_css("filter", "none")


def overlaid(page: Page, arrangement: str) -> Locator:
    """Lay the candidate over the query; return the overlay."""
    expect(page.locator(".stage canvas")).to_have_count(3)
    page.get_by_role("button", name=arrangement).click()
    overlay = page.locator(".overlay")
    expect(overlay.locator("canvas")).to_have_count(2)
    return overlay


def drag(page: Page, start: tuple[float, float], right: float, down: float) -> None:
    """Drag the pointer from a point of the window by CSS pixels."""
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + right, start[1] + down, steps=5)
    page.mouse.up()


def middle_of(one: Locator) -> tuple[float, float]:
    box = one.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_distance_is_measured_by_dragging_by_clicking_and_by_keys(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match = api.get(f"/matches/{harbour.matches['0001']}").json()
    page = desk.open(f"#/match/{match['match_id']}")
    expect(page.locator(".stage canvas")).to_have_count(3)
    picture_m = shown_picture(api, match["query"]["preview_url"]) * match["query"]["gsd_m"]
    px_per_m = metre_scale(page, 0, picture_m)
    x, y = middle_of(page.locator(".stage canvas").first)
    reading = page.locator(".reading")
    drag(page, (x - 50 * px_per_m, y), 40 * px_per_m, 30)
    dragged_m = math.hypot(40, 30 / px_per_m)
    expect(reading).to_have_text(f"Measured: {dragged_m:.0f} m")
    page.get_by_role("button", name="Measure", exact=True).click()
    expect(page.locator(".measured")).to_have_count(0)
    page.mouse.click(x, y)
    expect(reading).to_have_text("Click the other end.")
    page.mouse.click(x + 60 * px_per_m, y)
    expect(reading).to_have_text("Measured: 60 m")
    drag(page, (x + 60 * px_per_m, y), -20 * px_per_m, 0)
    expect(reading).to_have_text("Measured: 40 m")
    button = page.get_by_role("button", name="Measure", exact=True)
    button.press("Enter")
    button.press("Enter")
    expect(reading).to_have_text(f"Measured: {picture_m:.0f} m")
    end = page.get_by_role("button", name="Second end")
    for key in ("ArrowLeft", "ArrowLeft", "Shift+ArrowLeft"):
        end.press(key)
    expect(reading).to_have_text(f"Measured: {picture_m - 12:.0f} m")
    assert violations(page) == []
    end.press("Delete")
    expect(page.locator(".measured")).to_have_count(0)


def test_a_hull_is_laid_over_the_other_by_hand(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open(f"#/match/{harbour.matches['0001']}")
    overlay = overlaid(page, "Blend")
    upper = overlay.locator(".upper canvas")
    (x, y), before = middle_of(overlay), middle_of(upper)
    drag(page, (x, y), 30, -10)
    after = middle_of(upper)
    assert after[0] - before[0] == pytest.approx(30, abs=1)
    assert after[1] - before[1] == pytest.approx(-10, abs=1)
    drag(page, middle_of(overlay.locator(".turner")), 0, 20)
    turned = page.get_by_label("Turned, °")
    assert 1 < float(turned.input_value()) < 20
    page.get_by_role("button", name="Put back").click()
    assert middle_of(upper) == pytest.approx(before, abs=1)
    for key in ("ArrowRight", "ArrowRight", "Shift+ArrowDown", "Shift+PageUp", "PageDown"):
        overlay.press(key)
    expect(page.get_by_label("Right, m")).to_have_value("2")
    expect(page.get_by_label("Down, m")).to_have_value("10")
    expect(turned).to_have_value("-9")
    page.get_by_role("button", name="Swipe").click()
    expect(turned).to_have_value("-9")
    assert violations(page) == []
    turned.fill("0")
    overlay.press("Home")
    expect(page.get_by_role("button", name="Put back")).to_be_disabled()
    overlay.press("ArrowRight")
    page.get_by_role("radio", name="None of them").click()
    page.keyboard.press("2")
    expect(page.get_by_label("Right, m")).to_have_value("0")


def test_a_distance_is_measured_in_an_overlay(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open(f"#/match/{harbour.matches['0001']}")
    overlay = overlaid(page, "Swipe")
    page.get_by_role("button", name="Measure", exact=True).click()
    drag(page, middle_of(overlay), 100, 0)
    expect(page.locator(".length")).to_be_visible()
    expect(page.locator(".reading")).to_contain_text("Measured")
    expect(page.get_by_label("Right, m")).to_have_value("0")
