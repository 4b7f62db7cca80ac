"""Invalid requests are refused with helpful messages, and unknown fields with an error."""

import uuid
from collections.abc import Callable

import httpx
import pytest

from tests.support.inputs.chips import optical_png

ANY_ID = uuid.UUID(int=7)
OUTSIDE = ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]

Request = Callable[[httpx.Client], httpx.Response]


def match(data: dict[str, str], chips: int = 1, **more: object) -> Request:
    files = [("chip", (f"{i}.png", optical_png(i))) for i in range(chips)]
    return lambda api: api.post("/match", data=data, files=files, **more)  # type: ignore[arg-type]


def enrol(vessel: str, data: dict[str, str] | None = None) -> Request:
    files = [("chips", ("a.png", optical_png(1)))]
    return lambda api: api.post("/gallery", data={"vessel": vessel, **(data or {})}, files=files)


def patch(content: str, media: str = "application/json") -> Request:
    return lambda api: api.patch(
        f"/gallery/{ANY_ID}", content=content, headers={"content-type": media}
    )


def get(path: str) -> Request:
    return lambda api: api.get(path)


CASES: dict[str, tuple[Request, int, str]] = {
    "match: eleven chips": (match({}, chips=11), 422, "11 chips were sent; send at most 10"),
    "match: unknown field": (match({"gsd": "1"}), 422, "the fields are: chip, modality, gsd_m"),
    "match: parameter in the query": (
        match({}, params={"top_k": "3"}),
        422,
        "no query parameter 'top_k'",
    ),
    "match: path instead of file": (
        lambda api: api.post("/match", data={"chip": "a.tif"}, files={"modality": (None, "sar")}),
        422,
        "-F chip=@FILE",
    ),
    "match: a sensor that is none": (match({"sensor": "nan"}), 422, "sensor: "),
    "match: a case that is none": (match({"case": "<NA>"}), 422, "placeholder"),
    "match: a type that is none": (match({"looks_like": "unknown"}), 422, "placeholder"),
    "match: bare picture": (
        lambda api: api.post(
            "/match", content=optical_png(1), headers={"content-type": "image/png"}
        ),
        415,
        "got image/png; with curl: -F chip=@FILE",
    ),
    "match: no content type": (lambda api: api.post("/match"), 415, "no Content-Type"),
    "match: form without a boundary": (
        lambda api: api.post(
            "/match", content=b"x", headers={"content-type": "multipart/form-data"}
        ),
        400,
        "cannot be read",
    ),
    "match: vague time": (match({"captured_at": "yesterday"}), 422, "2026-03-05T17:20:00Z"),
    **{f"match: {t}": (match({"captured_at": t}), 422, "outside the years") for t in OUTSIDE},
    "match: grouped digits": (match({"gsd_m": "1_0"}), 422, "digits without underscores"),
    "gallery: wider than long": (
        enrol('{"length_m": 20, "beam_m": 30}'),
        422,
        "beam_m 30 is more than length_m 20",
    ),
    "matches: no time in between": (
        get("/matches?since=2026-05-01&until=2026-01-01"),
        422,
        "since is later than until",
    ),
    "gallery: a field of match": (enrol("{}", {"gsd_m": "1"}), 422, "vessel, chip_metadata"),
    "gallery: vessel as file": (
        lambda api: api.post(
            "/gallery", files=[("vessel", ("v.json", b"{}")), ("chips", ("a.png", optical_png(1)))]
        ),
        422,
        "-F 'vessel=<FILE'",
    ),
    "gallery: vessel as list": (enrol("[]"), 422, "vessel: expected a JSON object"),
    "gallery: time outside": (enrol(f'{{"as_of": "{OUTSIDE[0]}"}}'), 422, "outside the years"),
    "gallery: metadata outside": (
        enrol("{}", {"chip_metadata": f'[{{"captured_at": "{OUTSIDE[1]}"}}]'}),
        422,
        "outside the years",
    ),
    "verify: a field of match": (
        lambda api: api.post(
            "/verify",
            data={"modality": "sar"},
            files=[("chips", (str(i), optical_png(i))) for i in range(2)],
        ),
        422,
        "chips, chip_metadata, framing, max_speed_kn",
    ),
    "enrol open: none": (
        lambda api: api.post("/sightings/open/enrol", json={"sightings": [], "vessel": {}}),
        422,
        "sightings: holds fewer than 1 entries",
    ),
    "enrol open: too many": (
        lambda api: api.post("/sightings/open/enrol", json={"sightings": [str(ANY_ID)] * 2000}),
        422,
        "entries; send fewer",
    ),
    "patch: not JSON": (patch('{"name": '), 422, "not JSON: Expecting value at character 9"),
    "patch: form": (patch("name=A", "text/plain"), 422, "Content-Type: application/json"),
    "patch: list": (patch("[]"), 422, "expected a JSON object"),
    "patch: unknown field": (patch('{"nmae": "A"}'), 422, "nmae: there is no such field"),
    "patch: time outside": (patch(f'{{"as_of": "{OUTSIDE[0]}"}}'), 422, "outside the years"),
    "list: unknown parameter": (get("/gallery?nmae=x"), 422, "name, imo, mmsi, type, limit"),
    "list: no IMO number": (get("/gallery?imo=9074728"), 422, "check digit should be 9"),
    "list: no MMSI": (get("/gallery?mmsi=1"), 422, "an MMSI has nine digits"),
    "a long id": (get("/gallery/" + "a" * 3000), 422, "ids are UUIDs"),
    "no route": (get("/galery"), 404, "nothing at /galery; /docs lists"),
}


@pytest.mark.parametrize(("send", "status", "mention"), CASES.values(), ids=list(CASES))
def test_an_invalid_request_is_refused_with_a_reason(
    api: httpx.Client, send: Request, status: int, mention: str
) -> None:
    before = api.get("/gallery", params={"limit": 500}).json()
    response = send(api)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    detail = response.json()["detail"]
    assert mention in detail
    assert len(detail) < 500
    assert not any(word in detail for word in ("UploadFile", "instance of", "Value error"))
    assert api.get("/gallery", params={"limit": 500}).json() == before


def test_words_of_choices_are_read_in_any_case_and_json_after_a_byte_order_mark(
    api: httpx.Client,
) -> None:
    form = {"modality": "Optical", "framing": " AS_IS ", "gsd_m": "1"}
    answered = match(form)(api).json()["query"]
    assert (answered["modality"], answered["framing"]["mode"]) == ("optical", "as_is")
    for query in ("verdict=UNCLEAR", "standing=Open", "state=Asked", "modality=SAR"):
        assert api.get(f"/matches?{query}").status_code == 200, query
    sighting = f"/sightings/{answered['sighting_id']}/preview.png"
    assert api.get(f"{sighting}?view=Framed").status_code == 200
    assert match({"framing": "as-is"})(api).status_code == 422
    marked = {"chip_metadata": '\ufeff[{"modality": "OPTICAL", "gsd_m": 1, "framing": "as_is"}]'}
    assert enrol('\ufeff{"name": "MARKED"}', marked)(api).status_code == 201


def test_an_imo_number_is_found_with_and_without_its_prefix(api: httpx.Client) -> None:
    vessel = enrol('{"imo": "9176187", "type": "Bulk Carrier"}')(api).json()
    try:
        for query in ({"imo": "IMO 9176187"}, {"imo": "9176187"}, {"type": "bulk carrier"}):
            listed = api.get("/gallery", params=query).json()["vessels"]
            assert vessel["id"] in [one["id"] for one in listed]
    finally:
        api.delete(f"/gallery/{vessel['id']}")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/gallery", "GET, HEAD, POST"),
        (f"/gallery/{ANY_ID}", "DELETE, GET, HEAD, PATCH"),
        ("/match", "POST"),
        ("/livez", "GET, HEAD"),
    ],
)
def test_405_lists_every_allowed_method(api: httpx.Client, path: str, allowed: str) -> None:
    response = api.put(path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert allowed in response.json()["detail"]


def test_unknown_methods_add_no_metric_series(api: httpx.Client) -> None:
    for i in range(5):
        assert api.request(f"INVENTED{i}", "/gallery").status_code == 405
    metrics = api.get("/metrics").text
    assert "INVENTED" not in metrics
    assert 'method="other"' in metrics
