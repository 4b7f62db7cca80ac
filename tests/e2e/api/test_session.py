"""Signing in to the desk: the cookie, who may use it, and how it ends."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from service.access.roles import Role
from service.storage.local.keys import KeyFile
from tests.support.inputs.chips import optical_png, sar_tiff
from tests.support.processes.service_process import ServiceProcess, running_service

SAME, CROSS = {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "cross-site"}


@dataclass
class Desk:
    """A service with keys, and a client without any."""

    service: ServiceProcess
    keys: KeyFile
    key: str
    key_id: str
    http: httpx.Client

    def sign_in(self) -> httpx.Response:
        return self.http.post("/session", json={"key": f" {self.key}\n"}, headers=SAME)

    def own_origin(self) -> dict[str, str]:
        return {"Origin": self.service.url}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServiceProcess, Path]]:
    folder = tmp_path_factory.mktemp("session")
    file = folder / "keys.json"
    KeyFile(file).create("admin", Role.ADMIN, datetime.now(UTC))
    with running_service(folder, settings={"CROSSFIX_KEYS_FILE": str(file)}) as service:
        yield service, file


@pytest.fixture
def desk(running: tuple[ServiceProcess, Path], request: pytest.FixtureRequest) -> Iterator[Desk]:
    service, file = running
    keys = KeyFile(file)
    record, key = keys.create(f"analyst {request.node.name}", Role.CURATOR, datetime.now(UTC))
    with service.client() as http:
        one = Desk(service, keys, key, record.id, http)
        wait_for_status(one, 200)
        http.cookies.clear()
        yield one


def wait_for_status(desk: Desk, status: int) -> None:
    """Wait until the running service has read the changed key file."""
    deadline = time.monotonic() + 10
    while desk.sign_in().status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def kind(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return str(answer.json()["type"]).removeprefix("urn:crossfix:problem:")


def test_the_page_opens_without_a_key_and_says_that_one_is_needed(desk: Desk) -> None:
    assert desk.http.get("/").status_code == 200
    assert desk.http.get("/session").json() == {
        "requires_key": True,
        "name": None,
        "role": None,
        "expires_at": None,
    }
    assert kind(desk.http.get("/matches")) == "unauthenticated"


def test_signing_in_sets_a_cookie_that_scripts_and_other_sites_cannot_use(desk: Desk) -> None:
    answer = desk.sign_in()
    assert answer.status_code == 200
    assert answer.json()["role"] == "curator"
    assert answer.headers["cache-control"] == "no-store"
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    assert desk.key not in cookie
    assert desk.key.rpartition("_")[2] not in cookie
    assert desk.http.get("/matches").status_code == 200
    assert desk.http.get("/session").json()["name"].startswith("analyst")


def test_the_cookie_is_of_no_use_as_a_key(desk: Desk) -> None:
    desk.sign_in()
    token = desk.http.cookies["crossfix_session"]
    desk.http.cookies.clear()
    answer = desk.http.get("/matches", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_changes_with_the_cookie_must_come_from_the_page(desk: Desk) -> None:
    desk.sign_in()
    form = {"vessel": json.dumps({"name": "FORGED STAR"})}
    foreign = {"Origin": "https://evil.example"}
    for headers in ({}, CROSS, {"Sec-Fetch-Site": "same-site"}, foreign, {"Origin": "null"}):
        refused = desk.http.post(
            "/gallery", data=form, files={"chips": ("a.png", optical_png(3))}, headers=headers
        )
        assert (refused.status_code, kind(refused)) == (403, "forbidden"), headers
        assert desk.http.delete("/session", headers=headers).status_code == 403
        assert desk.http.post("/match", files={"chip": b""}, headers=headers).status_code == 403
    assert desk.http.get("/gallery?name=FORGED").json()["vessels"] == []
    for headers in (SAME, desk.own_origin()):
        matched = desk.http.post(
            "/match", files={"chip": sar_tiff(5)}, data={"store": "false"}, headers=headers
        )
        assert matched.status_code == 200, matched.text


def test_a_key_in_a_header_needs_no_page(desk: Desk) -> None:
    key = {"Authorization": f"Bearer {desk.key}"}
    matched = desk.http.post(
        "/match", files={"chip": sar_tiff(6)}, data={"store": "false"}, headers=key
    )
    assert matched.status_code == 200


def test_a_foreign_page_cannot_sign_anybody_in(desk: Desk) -> None:
    answer = desk.http.post("/session", json={"key": desk.key}, headers=CROSS)
    assert (answer.status_code, kind(answer)) == (403, "forbidden")
    assert "set-cookie" not in answer.headers


def test_a_wrong_key_is_refused(desk: Desk) -> None:
    answer = desk.http.post("/session", json={"key": desk.key[:-1] + "x"}, headers=SAME)
    assert (answer.status_code, kind(answer)) == (401, "unauthenticated")
    assert "set-cookie" not in answer.headers


def test_signing_out_removes_the_cookie(desk: Desk) -> None:
    desk.sign_in()
    assert desk.http.delete("/session", headers=SAME).status_code == 204
    assert not desk.http.cookies
    assert desk.http.get("/matches").status_code == 401


def test_revoking_the_key_ends_the_session(desk: Desk) -> None:
    desk.sign_in()
    desk.keys.revoke(desk.key_id, datetime.now(UTC))
    wait_for_status(desk, 401)
    answer = desk.http.get("/matches")
    assert answer.status_code == 401
    assert "sign in again" in answer.json()["detail"]
    assert desk.http.get("/session").json()["name"] is None
