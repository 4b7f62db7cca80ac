"""The Match page: drop chips, follow their progress, read the answers."""

import base64
import json
from io import BytesIO

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Dialog, FilePayload, Page, Route, expect

from tests.support.browser.chromium import WatchedPage
from tests.support.browser.harbour import Harbour, ask, chips_of, query_chip

SETTLED_MS = 1000
"""Time in which the page has drawn what it was asked for, in milliseconds."""


def test_dropped_chips_are_matched_one_by_one_and_a_bad_one_says_why(
    desk: WatchedPage, harbour: Harbour
) -> None:
    page = desk.open("#/match")
    bad = FilePayload(name="notes.tif", mimeType="image/tiff", buffer=b"no picture")
    field = page.locator(".side input[type=file]")
    field.set_input_files([str(query_chip("0007")), str(query_chip("0009"))])
    expect(page.locator(".progress")).to_contain_text("2 chips answered")
    rows = page.locator(".chip-row.state-done")
    expect(rows.filter(has_text="0007_s01c3_SAR.tif").first).to_be_visible()
    expect(rows.filter(has_text="0009_s01c3_SAR.tif").first).to_be_visible()
    expect(page.locator(".detail-head .file")).to_contain_text("_s01c3_SAR.tif")
    field.set_input_files([bad])
    refused = page.locator(".chip-row.state-refused")
    expect(refused).to_contain_text("notes.tif")
    expect(refused.locator(".error")).to_contain_text("TIFF")
    expect(page.locator(".progress")).to_contain_text("2 chips answered, 1 refused")
    field.set_input_files([bad, bad])
    expect(page.locator(".progress")).to_contain_text("2 chips answered, 3 refused")
    refused.first.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Remove all 2").click()
    expect(refused).to_have_count(0)


def test_a_chip_is_sent_again_while_the_service_is_away(
    desk: WatchedPage, harbour: Harbour
) -> None:
    sent: list[str] = []

    def lose(route: Route) -> None:
        sent.append(route.request.headers["idempotency-key"])
        if len(sent) == 1:
            route.abort()
        elif len(sent) == 2:
            route.fulfill(status=503, headers={"Retry-After": "1"}, body="{}")
        else:
            route.continue_()

    page = desk.open("#/match")
    page.route("**/match", lose)
    page.locator(".side input[type=file]").set_input_files(str(query_chip("0011")))
    expect(page.get_by_text("Trying again…")).to_be_visible()
    expect(page.locator(".progress")).to_contain_text("1 chip answered")
    expect(page.get_by_text("Trying again…")).to_have_count(0)
    assert sent == [sent[0]] * 3
    assert all("ERR_FAILED" in one or "503" in one for one in desk.errors)
    desk.errors.clear()


def test_no_answer_is_seen_before_the_mark_of_simulated_models(
    desk: WatchedPage, harbour: Harbour
) -> None:
    held: list[Route] = []
    desk.page.route("**/bundle", lambda route: held.append(route))
    page = desk.open(f"#/match/{harbour.matches['0001']}")
    expect(page.locator(".answer")).to_be_attached()
    expect(page.locator(".answer")).to_be_hidden()
    held[0].continue_()
    expect(page.locator(".domain")).to_contain_text("Simulated models.")
    expect(page.locator(".answer")).to_be_visible()


def drop_files(page: Page, place: str, *chips: FilePayload) -> bool:
    """Drop files on an element; return whether the browser was kept from opening them itself."""
    files = [(chip["name"], base64.b64encode(chip["buffer"]).decode()) for chip in chips]
    kept: bool = page.locator(place).evaluate(
        """(node, files) => {
            const dataTransfer = new DataTransfer();
            for (const [name, text] of files) {
                const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
                dataTransfer.items.add(new File([bytes], name));
            }
            const about = { bubbles: true, cancelable: true, dataTransfer };
            return ["dragover", "drop"]
                .map((type) => !node.dispatchEvent(new DragEvent(type, about))).every(Boolean);
        }""",
        files,
    )
    return kept


def test_chips_dropped_anywhere_on_the_page_are_matched_once(
    desk: WatchedPage, harbour: Harbour
) -> None:
    chip = FilePayload(
        name="beside.tif", mimeType="image/tiff", buffer=query_chip("0007").read_bytes()
    )
    page = desk.open("#/match")
    rows = page.locator(".chip-row", has_text="beside.tif")
    expect(page.locator(".drop")).to_be_visible()
    assert drop_files(page, ".content", chip)
    expect(page.locator(".progress")).to_contain_text("1 chip answered")
    assert drop_files(page, ".drop", chip)
    expect(page.locator(".progress")).to_contain_text("2 chips answered")
    page.keyboard.press("?")
    assert drop_files(page, "dialog", chip)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    desk.open("#/about")
    expect(page.locator(".card table").first).to_be_visible()
    assert drop_files(page, ".content", chip)
    desk.open("#/match")
    expect(rows).to_have_count(2)


def test_a_chip_of_unknown_sensor_is_asked_about_again(desk: WatchedPage, harbour: Harbour) -> None:
    grey = BytesIO()
    Image.open(chips_of("0011")[0]).convert("L").save(grey, "PNG")
    page = desk.open("#/match")
    chips = [
        FilePayload(name=f"grey {n}.png", mimeType="image/png", buffer=grey.getvalue())
        for n in range(3)
    ]
    page.locator(".side input[type=file]").set_input_files(chips)
    rows = page.locator(".chip-row.state-refused", has_text="grey")
    expect(rows).to_have_count(3)
    expect(rows.first.locator(".error")).to_contain_text("Sensor type")
    expect(page.locator("#field-modality-error")).to_contain_text("Choose SAR or optical")
    page.get_by_label("Sensor type").select_option("optical")
    rows.first.get_by_role("button", name="Try again").click()
    expect(rows).to_have_count(2)
    expect(page.get_by_role("button", name="Try all 2 again")).to_be_in_viewport()
    page.get_by_role("button", name="Try all 2 again").click()
    expect(page.locator(".chip-row.state-done", has_text="grey").nth(2)).to_be_attached()
    expect(page.locator("#field-modality-error")).to_have_count(0)


def test_a_refusal_says_what_contradicts_the_chosen_sensor_and_how_to_use_a_chip_without_a_ship(
    desk: WatchedPage, harbour: Harbour
) -> None:
    noise = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (40, 400), dtype=np.uint8)
    Image.fromarray(pixels).save(noise, "PNG")
    page = desk.open("#/match")
    page.get_by_text("Facts for the next chips").click()
    page.get_by_label("Sensor type").select_option("sar")
    field = page.locator(".side input[type=file]")
    field.set_input_files(str(chips_of("0011")[0]))
    expect(page.locator("#field-modality-error")).to_contain_text("was said to be sar")
    field.set_input_files(
        [FilePayload(name="noise.png", mimeType="image/png", buffer=noise.getvalue())]
    )
    row = page.locator(".chip-row", has_text="noise.png")
    expect(page.locator("#field-framing-error")).to_contain_text("choose “as it is”")
    page.get_by_label("Use the chip").select_option("as it is")
    row.get_by_role("button", name="Try again").click()
    expect(row.locator(".badge").first).to_be_visible()


def test_leaving_the_page_is_asked_about_while_chips_are_sent(
    desk: WatchedPage, harbour: Harbour
) -> None:
    page = desk.open("#/match")
    expect(page.locator(".stage canvas").first).to_be_visible()
    held: list[Route] = []
    page.route("**/match", lambda route: held.append(route))
    page.locator(".side input[type=file]").set_input_files(str(query_chip("0011")))
    expect(page.locator(".chip-row.state-sending")).to_have_count(1)
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.evaluate("location.reload()")
    page.wait_for_timeout(SETTLED_MS)
    assert asked == ["beforeunload"]
    held[0].continue_()
    page.wait_for_timeout(SETTLED_MS)
    assert page.url.endswith("#/gallery"), "an answer took the analyst away from another page"
    page.get_by_role("link", name="Match", exact=True).click()
    expect(page.locator(".progress")).to_contain_text("1 chip answered")
    page.evaluate("location.reload()")
    expect(page.locator(".progress")).to_have_count(0)
    assert asked == ["beforeunload"]


def test_a_wrong_fact_is_explained_at_its_field(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open("#/match")
    page.get_by_text("Facts for the next chips").click()
    page.get_by_label("Latitude").fill("95")
    page.get_by_label("Longitude").fill("103")
    page.locator(".side input[type=file]").set_input_files(str(query_chip("0011")))
    expect(page.locator("#field-lat-error")).to_contain_text("90")
    expect(page.get_by_label("Latitude")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Latitude").fill("1.5")
    page.locator(".side input[type=file]").set_input_files(str(query_chip("0011")))
    expect(page.locator(".chip-row.state-done").filter(has_text="0011").first).to_be_visible()


def test_none_of_them_is_a_candidate_and_everything_sums_to_one(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match = api.get(f"/matches/{harbour.matches['0905']}").json()
    page = desk.open(f"#/match/{match['match_id']}")
    rows = page.get_by_role("radio")
    expect(rows).to_have_count(len(match["candidates"]) + 1)
    none = page.get_by_role("radio", name="None of them")
    shown = f"{match['none_probability'] * 100:.0f} %"
    expect(none).to_contain_text(shown if 0.01 <= match["none_probability"] <= 0.99 else "%")
    order = [match["none_probability"], *(one["probability"] for one in match["candidates"])]
    place = sorted(order, reverse=True).index(match["none_probability"])
    expect(rows.nth(place)).to_contain_text("None of them")
    expect(page.get_by_text("Simulated models.")).to_be_visible()


def test_the_most_probable_outcome_is_the_headline_and_is_chosen(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    likely = api.get(f"/matches/{harbour.matches['0003']}").json()
    unknown = ask(api, "0905", case="headline")
    assert likely["verdict"] == "likely"
    assert unknown["none_probability"] > unknown["candidates"][0]["probability"]
    first = likely["candidates"][0]
    page = desk.open(f"#/match/{likely['match_id']}")
    expect(page.locator("h1")).to_contain_text(f"Probably {first['vessel']['name']}")
    expect(page.locator("h1")).to_contain_text(f"{first['probability'] * 100:.0f} %")
    expect(page.locator(".explanation")).to_contain_text("% in this answer")
    expect(page.locator(".explanation")).to_contain_text("answers with this verdict, more and less")
    colour = "node => [node.className, 'badge verdict-confident'].map((name) => {\n"
    colour += "node.className = name; return getComputedStyle(node).color; })"
    likely_colour, confident_colour = page.locator(".detail-head .badge").first.evaluate(colour)
    assert likely_colour != confident_colour
    expect(page.get_by_role("radio", checked=True)).to_contain_text(first["vessel"]["name"])
    page = desk.open(f"#/match/{unknown['match_id']}")
    expect(page.locator("h1")).to_contain_text("none of", ignore_case=True)
    expect(page.get_by_role("radio", checked=True)).to_contain_text("None of them")
    expect(page.locator(".judge .primary")).to_contain_text("None of them")
    expect(page.locator(".chip-row[aria-current]")).to_contain_text("None of them")
    expect(page.locator(".stage canvas").nth(1)).to_be_visible()


def test_nothing_compared_gives_no_probability(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    match_id = ask(api, "0011", vessel_type="submarine")["match_id"]
    page = desk.open(f"#/match/{match_id}")
    expect(page.locator("h1")).to_have_text("Nothing was compared")
    expect(page.locator(".detail")).not_to_contain_text("%")
    expect(page.locator(".chip-row[aria-current]")).to_contain_text("Nothing was compared")


def test_evidence_checks_and_map_are_shown(desk: WatchedPage, harbour: Harbour) -> None:
    page = desk.open(f"#/match/{harbour.matches['0003']}")
    evidence = page.locator(".evidence")
    expect(evidence).to_contain_text("Pixels")
    expect(evidence.locator("tbody tr").last).to_contain_text("against “none of them”")
    wider = "node => node.scrollWidth - node.parentElement.clientWidth"
    assert evidence.locator("table").evaluate(wider) <= 0
    bar = evidence.locator("tr", has_text="Pixels").locator(".axis span").bounding_box()
    assert bar is not None
    assert bar["width"] > 10
    expect(page.get_by_text("Ship in it")).to_be_visible()
    expect(page.locator(".warnings")).not_to_contain_text("A ship was found")
    expect(page.get_by_text("Length cannot be checked: none is registered.")).to_be_visible()
    expect(page.get_by_text("Voyage possible")).to_be_visible()
    expect(page.locator(".map canvas").first).to_be_visible()
    expect(page.locator(".legend")).to_contain_text("seen before")
    expect(page.locator(".legend")).to_contain_text("h at 30 kn from the sighting nearest in time")


def test_an_address_that_was_cut_off_opens_a_page(desk: WatchedPage) -> None:
    page = desk.open("#/gallery/%E0%A4%A")
    expect(page.get_by_role("alert")).to_contain_text("is not the id of a vessel")


def test_a_chip_of_the_gallery_warns_that_it_is_known(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    path = chips_of("0001")[0]
    answer = api.post(
        "/match",
        data={"modality": "optical", "gsd_m": "0.75"},
        files={"chip": (path.name, path.read_bytes())},
    ).json()
    assert answer["query"]["warnings"], json.dumps(answer["query"])
    page = desk.open(f"#/match/{answer['match_id']}")
    expect(page.locator(".warnings")).to_contain_text("is enrolled for")


def test_each_chip_of_one_ship_can_be_compared(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    chips = [("chip", (path.name, path.read_bytes())) for path in map(query_chip, ("0013", "0015"))]
    match = api.post("/match", data={"gsd_m": "1.0"}, files=chips).json()
    page = desk.open(f"#/match/{match['match_id']}")
    group = page.get_by_role("group", name="2 chips of one ship")
    buttons = group.get_by_role("button")
    expect(buttons).to_have_count(2)
    expect(buttons.first).to_have_attribute("aria-pressed", "true")
    lengths = [f"{one['length_m']:.0f} m" for one in match["queries"]]
    assert len(set(lengths)) == 2
    expect(page.locator(".compare")).to_contain_text(lengths[0])
    buttons.nth(1).click()
    expect(buttons.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".compare")).to_contain_text(lengths[1])


def test_chips_are_sent_as_chips_of_one_ship_or_image(
    desk: WatchedPage, harbour: Harbour, api: httpx.Client
) -> None:
    page = desk.open("#/match")
    page.get_by_text("Facts for the next chips").click()
    page.get_by_label("Case").fill("together")
    field = page.locator(".side input[type=file]")
    chips = [str(query_chip("0017")), str(query_chip("0019"))]
    page.get_by_label("Several chips at once").select_option("All of one ship")
    expect(page.get_by_text("Up to 10 chips get one answer")).to_be_visible()
    field.set_input_files(chips)
    expect(page.locator(".chip-row", has_text="2 chips of one ship")).to_have_count(1)
    expect(page.get_by_role("group", name="2 chips of one ship")).to_be_visible()
    page.get_by_label("Several chips at once").select_option("From one image")
    field.set_input_files(chips)
    expect(page.locator(".progress")).to_contain_text("3 chips answered")
    asked = api.get("/matches", params={"case": "together"}).json()["matches"]
    answers = [api.get(f"/matches/{one['match_id']}").json() for one in asked]
    assert sorted(len(one["queries"]) for one in answers) == [1, 1, 2]
    assert sorted(one["scene"] is None for one in answers) == [False, False, True]
