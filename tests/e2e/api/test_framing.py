"""Framing over HTTP: what is asked for, what the answer says, and the pictures."""

import io
import json
from typing import Any

import httpx
import pytest
from affine import Affine
from PIL import Image

from service.contract.chip import Modality
from service.contract.framing.findings import Kind
from tests.support.api_requests import problem
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.inputs.scene_files import MADRID, empty_file, loose_file, two_ships_file

BOTH = pytest.mark.parametrize("modality", list(Modality))


def match(api: httpx.Client, data: bytes, **fields: str) -> dict[str, Any]:
    answer = api.post("/match", files={"chip": data}, data={"modality": "sar"} | fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def picture(api: httpx.Client, url: str, view: str) -> Image.Image:
    answer = api.get(url, params={"view": view})
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content)).convert("RGB")


@BOTH
def test_a_loose_chip_is_framed_and_the_answer_says_how(
    api: httpx.Client, modality: Modality
) -> None:
    data = loose_file(modality, 35.0, **MADRID)
    query = match(api, data, modality=modality.value)["query"]
    framing = query["framing"]
    assert (framing["mode"], framing["method"]) == ("auto", "rotated")
    assert framing["axis_deg"] == pytest.approx(35.0, abs=3.0)
    assert framing["turned_deg"] == pytest.approx(-framing["axis_deg"])
    assert framing["heading_axis_deg"] == pytest.approx(34.5, abs=3.0)
    assert framing["length_m"] == pytest.approx(200.0, rel=0.08)
    assert 0 < framing["length_error_m"] < 20
    assert len(framing["outline"]["pixels"]) == len(framing["outline"]["positions"]) == 4
    assert query["length_m"] == pytest.approx(230.0, rel=0.08)
    assert query["quality"]["level"] == "ok"
    assert {finding["kind"] for finding in query["quality"]["findings"]} == set(Kind)


@BOTH
def test_the_pictures_show_the_outline_and_the_framed_ship(
    api: httpx.Client, modality: Modality
) -> None:
    url = match(api, loose_file(modality, 50.0), modality=modality.value)["query"]["preview_url"]
    original, framed = picture(api, url, "original"), picture(api, url, "framed")
    denoised = picture(api, url, "denoised")
    assert original.size == (200, 200)
    assert framed.size == denoised.size
    assert framed.height > 3 * framed.width
    assert (255, 80, 0) in {colour for _, colour in original.getcolors(2**24) or []}
    assert (255, 80, 0) not in {colour for _, colour in framed.getcolors(2**24) or []}
    assert (framed.tobytes() == denoised.tobytes()) is (modality is Modality.OPTICAL)
    problem(api.get(url, params={"view": "x-ray"}), 422)


def test_the_outline_lies_in_the_file_as_it_was_sent(api: httpx.Client) -> None:
    upright = match(api, loose_file(Modality.SAR, 35.0, **MADRID))["query"]["framing"]
    south_up = MADRID["transform"] @ Affine.scale(1, -1)
    data = loose_file(Modality.SAR, 145.0, crs=MADRID["crs"], transform=south_up)
    framing = match(api, data)["query"]["framing"]
    assert framing["axis_deg"] == pytest.approx(upright["axis_deg"], abs=3.0)
    across, down = (
        framing["outline"]["pixels"][0][axis] - framing["outline"]["pixels"][2][axis]
        for axis in "xy"
    )
    assert across * down > 0, "the ship points to the lower right in the rows of the file"


def test_a_tight_chip_is_unchanged(api: httpx.Client) -> None:
    query = match(api, sar_tiff(31, height=90, width=22))["query"]
    assert query["framing"]["method"] == "unchanged"
    assert query["framing"]["turned_deg"] == query["framing"]["removed_share"] == 0
    assert (query["length_m"], query["width_m"]) == (90, 22)


def test_as_is_leaves_a_loose_chip_alone(api: httpx.Client) -> None:
    query = match(api, loose_file(Modality.SAR), framing="as_is")["query"]
    assert (query["framing"]["mode"], query["framing"]["method"]) == ("as_is", "unchanged")
    assert (query["length_m"], query["width_m"]) == (200, 200)
    assert query["framing"]["length_m"] == pytest.approx(100.0, rel=0.08)


@BOTH
def test_no_ship_is_a_problem_that_as_is_overrides(api: httpx.Client, modality: Modality) -> None:
    files = {"chip": empty_file(modality)}
    refused = api.post("/match", files=files, data={"modality": modality.value})
    answer = problem(refused, 422)
    assert answer["type"] == "urn:crossfix:problem:no-ship"
    assert "framing=as_is" in str(answer["detail"])
    body = match(api, empty_file(modality), modality=modality.value, framing="as_is")
    assert body["query"]["quality"]["level"] == "bad"
    assert body["query"]["framing"]["outline"] is None
    assert 'crossfix_errors_total{kind="no-ship"}' in api.get("/metrics").text


def test_what_is_bad_is_stated_first(api: httpx.Client) -> None:
    body = match(api, two_ships_file(Modality.SAR))
    first = body["query"]["quality"]["findings"][0]
    assert (first["kind"], first["level"], first["value"]) == ("several_ships", "bad", 1.0)
    assert body["query"]["warnings"][0] == first["sentence"]
    assert body["verdict"] != "confident"
    metrics = api.get("/metrics").text
    assert 'crossfix_chip_quality_total{kind="several_ships",level="bad"}' in metrics
    assert 'crossfix_framings_total{method="rotated"}' in metrics


def test_sightings_of_the_gallery_are_framed_too(api: httpx.Client) -> None:
    chips = [("chips", ("loose.png", loose_file(Modality.OPTICAL)))]
    chips.append(("chips", ("as-is.png", loose_file(Modality.OPTICAL, 36.0))))
    metadata = [{"modality": "optical"}, {"modality": "optical", "framing": "as_is"}]
    form = {"vessel": '{"name": "FRAMED"}', "chip_metadata": json.dumps(metadata)}
    answer = api.post("/gallery", files=chips, data=form)
    assert answer.status_code == 201, answer.text
    sightings = {one["file_name"]: one for one in answer.json()["sightings"]}
    assert sightings["loose.png"]["framing"]["method"] == "rotated"
    assert sightings["as-is.png"]["framing"]["method"] == "unchanged"
    assert sightings["loose.png"]["quality"]["level"] == "ok"
    framed = picture(api, sightings["loose.png"]["preview_url"], "denoised")
    assert framed.height > 3 * framed.width
    as_is = picture(api, sightings["as-is.png"]["preview_url"], "denoised")
    assert as_is.size == (200, 200)
    api.delete(f"/gallery/{answer.json()['id']}")


def test_verify_frames_both_chips(api: httpx.Client) -> None:
    files = [("chips", optical_png(1, height=120, width=30)), ("chips", loose_file(Modality.SAR))]
    metadata = json.dumps([{"modality": "optical"}, {"modality": "sar"}])
    answer = api.post("/verify", files=files, data={"chip_metadata": metadata})
    methods = [chip["framing"]["method"] for chip in answer.json()["chips"]]
    assert methods == ["unchanged", "rotated"]
    as_is = {"chip_metadata": metadata, "framing": "as_is"}
    answer = api.post("/verify", files=files, data=as_is)
    assert [chip["framing"]["mode"] for chip in answer.json()["chips"]] == ["as_is", "as_is"]
    assert answer.json()["chips"][1]["length_m"] == 200
