"""Thousands of malformed uploads: no 5xx, no hang, and the service works afterwards."""

import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.api_requests import enrol
from tests.support.faults.bad_uploads import BadUpload, bad_upload
from tests.support.faults.scale import Scale
from tests.support.inputs.chips import sar_tiff
from tests.support.processes.service_process import ServiceProcess

SENDERS = 4
WARM_UP = 60
ANSWER_LIMIT_S = 60.0
GROWTH_LIMIT_MB = 300.0
UPLOAD_TIMEOUT_S = 2
OWN_TYPE = "lightship"


@pytest.fixture(scope="module")
def service_settings() -> dict[str, str]:
    return {
        "CROSSFIX_UPLOAD_TIMEOUT_S": str(UPLOAD_TIMEOUT_S),
        "CROSSFIX_HEADER_TIMEOUT_S": str(UPLOAD_TIMEOUT_S),
        "CROSSFIX_MAX_UPLOAD_MB": "2",
        "CROSSFIX_CACHE_ENTRIES": "100",
    }


@dataclass(frozen=True)
class Reply:
    """The status of a response and its body; status 0 for a connection closed without one."""

    status: int
    text: str = ""


def send(api: httpx.Client, upload: BadUpload) -> Reply:
    """Post an upload, over a plain socket if its announced length is wrong."""
    if upload.announced is not None:
        return send_raw(api, upload)
    headers = {} if upload.media is None else {"Content-Type": upload.media}
    answer = api.post(upload.path, content=upload.body, headers=headers)
    if answer.is_error:
        assert answer.headers["content-type"] == "application/problem+json", upload.about
        assert answer.json()["detail"], upload.about
    return Reply(answer.status_code, answer.text)


def send_raw(api: httpx.Client, upload: BadUpload) -> Reply:
    place = urlsplit(str(api.base_url))
    head = (
        f"POST {upload.path} HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
        f"Content-Type: {upload.media}\r\nContent-Length: {upload.announced}\r\n\r\n"
    )
    with socket.create_connection(
        (place.hostname, place.port), timeout=ANSWER_LIMIT_S
    ) as connection:
        answer = b""
        try:
            connection.sendall(head.encode() + upload.body)
            while block := connection.recv(65_536):
                answer += block
        except ConnectionError:
            pass
    status = answer[9:12]
    return Reply(int(status) if status.isdigit() else 0, answer.decode("latin-1"))


@pytest.fixture
def expected(api: httpx.Client) -> dict[str, object]:
    """The match of an intact chip before the uploads; some of them enrol other vessels."""
    assert enrol(api, 1, name="KNOWN", type=OWN_TYPE).status_code in (200, 201)
    return match(api)


def match(api: httpx.Client) -> dict[str, object]:
    fields = {"store": "false", "vessel_type": OWN_TYPE}
    answer = api.post("/match", files={"chip": sar_tiff(7)}, data=fields)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    [candidate] = found["candidates"]
    return {"query": found["query"], "similarity": round(candidate["similarity"], 4)}


def test_no_malformed_upload_is_answered_with_5xx_or_leaves_a_trace(
    service: ServiceProcess, api: httpx.Client, expected: dict[str, object], scale: Scale
) -> None:
    uploads = scale.malformed_uploads
    failed: list[str] = []
    statuses: Counter[int] = Counter()
    resident: list[float] = []

    def send_one(number: int) -> None:
        upload = bad_upload(number)
        reply = send(api, upload)
        statuses[reply.status] += 1
        if reply.status >= 500 or (reply.status == 0 and upload.announced is None):
            failed.append(
                f"{number}: {reply.status} {upload.path} {upload.about}: {reply.text[:300]}"
            )
        if number % 20 == 0:
            resident.append(service.resident_mb())

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send_one, range(-WARM_UP, 0)))
        usual_mb = service.resident_mb()
        list(pool.map(send_one, range(uploads)))
    print(f"\n{uploads} uploads, answers {dict(sorted(statuses.items()))}; ", end="")
    print(f"memory {usual_mb:.0f} MB after {WARM_UP}, at most {max(resident):.0f} MB")
    assert failed == []
    assert statuses.total() == uploads + WARM_UP
    assert max(resident) < usual_mb + GROWTH_LIMIT_MB
    assert match(api) == expected
    assert api.get("/readyz").status_code == 200
    assert "unexpected error" not in service.log.read_text()
