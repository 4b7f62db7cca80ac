"""Chips of one image, sent together by the client and by `crossfix match --scene`."""

import json
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from typer.testing import CliRunner

from service.cli.main import app
from service.client.errors import RefusedError
from service.client.match import QueryChip, match_one_ship, match_scene
from service.client.remote.client import Client
from service.client.tables import console, show_result
from tests.support.answers import body, ship_id
from tests.support.fakes.service import multipart, problem
from tests.support.transports import respond

SCENE_ID = str(UUID(int=7))


def scene_body() -> dict[str, object]:
    share = {
        "scene_id": SCENE_ID,
        "chips": 2,
        "alone_verdict": "ambiguous",
        "alone_vessel_id": str(ship_id("a")),
        "alone_probability": 0.5,
        "alone_none_probability": 0.1,
        "text": "Alone, SHIP a would be first.",
    }
    matches = [body("likely", name, scene=share) for name in ("a", "b")]
    return {"scene_id": SCENE_ID, "matches": matches}


@pytest.fixture
def chips(tmp_path: Path) -> list[QueryChip]:
    for name in ("0001_s1c1_SAR.tif", "other.tif"):
        (tmp_path / name).write_bytes(name.encode())
    return [
        QueryChip(tmp_path / "0001_s1c1_SAR.tif"),
        QueryChip(tmp_path / "other.tif", {"lat": 1.0, "lon": 2.0}),
    ]


def test_the_chips_of_an_image_are_sent_in_one_request(chips: list[QueryChip]) -> None:
    handler, requests = respond(httpx.Response(200, json=scene_body()))
    client = Client(transport=httpx.MockTransport(handler))
    found = match_scene(client, chips, {"gsd_m": 1.0, "top_k": 3, "case": None})
    assert [one.answer.verdict for one in found if one.answer] == ["likely", "likely"]
    assert [one.path.name for one in found] == ["0001_s1c1_SAR.tif", "other.tif"]
    [request] = requests
    assert request.url.path == "/match/scene"
    parts = multipart(request)
    sent = {name: content for name, file, content in parts if file is None}
    assert sent.keys() == {"gsd_m", "top_k", "chip_metadata"}
    assert json.loads(sent["chip_metadata"]) == [{"modality": "sar"}, {"lat": 1.0, "lon": 2.0}]
    assert [file for name, file, _ in parts if name == "chips"] == [
        "0001_s1c1_SAR.tif",
        "other.tif",
    ]
    with (shown := console()).capture() as captured:
        show_result(shown, found[0])
    assert "Alone, SHIP a would be first." in captured.get()


def test_a_refused_image_is_the_problem_of_each_chip(chips: list[QueryChip]) -> None:
    handler, _ = respond(problem(422, "invalid-request", "a chip was sent twice"))
    client = Client(transport=httpx.MockTransport(handler))
    found = match_scene(client, chips, {})
    assert len(found) == 2
    for one in found:
        assert one.answer is None
        assert isinstance(one.problem, RefusedError)


def test_chips_of_one_ship_are_sent_in_one_request(chips: list[QueryChip]) -> None:
    handler, requests = respond(httpx.Response(200, json=body("likely", "a")))
    client = Client(transport=httpx.MockTransport(handler))
    found = match_one_ship(client, chips, {"gsd_m": 1.0, "top_k": 3})
    assert found.path == chips[0].path
    assert found.answer is not None
    [request] = requests
    assert request.url.path == "/match"
    parts = multipart(request)
    sent = {name: content for name, file, content in parts if file is None}
    assert sent == {"modality": b"sar", "gsd_m": b"1.0", "top_k": b"3"}
    assert [file for name, file, _ in parts if name == "chip"] == ["0001_s1c1_SAR.tif", "other.tif"]


def test_refused_chips_of_one_ship_are_one_problem(chips: list[QueryChip]) -> None:
    handler, _ = respond(problem(422, "invalid-request", "a chip was sent twice"))
    client = Client(transport=httpx.MockTransport(handler))
    found = match_one_ship(client, chips, {})
    assert found.answer is None
    assert isinstance(found.problem, RefusedError)


def test_a_scene_cannot_be_continued(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    arguments = ["match", str(tmp_path / "a.tif"), "--scene", "--results", str(tmp_path / "r")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "one of --scene, --one-ship and --results" in result.output
