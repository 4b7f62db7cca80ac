"""What the service shows to others: files, log lines, its API document, ambiguous requests."""

import json
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.inputs.chips import optical_png
from tests.support.processes.service_process import ServiceProcess, running_service


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exposure")


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[ServiceProcess]:
    (folder / "data").mkdir(mode=0o755)
    with running_service(folder) as process:
        yield process


@pytest.fixture
def client(started: ServiceProcess) -> Iterator[httpx.Client]:
    with started.client() as one:
        yield one


def test_only_the_owner_reads_the_data_folder(client: httpx.Client, folder: Path) -> None:
    chips = [("chips", ("a.png", optical_png(1)))]
    answer = client.post("/gallery", data={"vessel": '{"name": "A"}'}, files=chips)
    assert answer.status_code in (200, 201), answer.text
    files = [path for path in (folder / "data").rglob("*") if not path.is_symlink()]
    assert len(files) > 10
    open_to_others = [
        (str(path), oct(path.stat().st_mode))
        for path in [folder / "data", *files]
        if stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert open_to_others == []


def test_query_strings_are_not_logged(client: httpx.Client, started: ServiceProcess) -> None:
    assert client.get("/gallery", params={"name": "TELLTALE"}).status_code == 200
    client.get("/gallery", params={"nonsense": "TELLTALE"})
    client.get("/nowhere", params={"name": "TELLTALE"})
    log = started.log.read_text()
    assert "GET /gallery" in log
    assert "TELLTALE" not in log


def test_the_api_document_says_what_is_public_and_binary(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    public = {path for path, methods in paths.items() if not methods.get("get", {}).get("security")}
    without_get = {path for path in paths if "get" not in paths[path]}
    assert public - without_get == {"/livez", "/readyz", "/session"}
    for path, methods in paths.items():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    assert parameter["schema"]["format"] == "uuid", path
    chip = paths["/sightings/{sighting_id}/chip"]["get"]["responses"]["200"]["content"]
    assert chip["application/octet-stream"]["schema"]["format"] == "binary"
    preview = paths["/sightings/{sighting_id}/preview.png"]["get"]["responses"]["200"]["content"]
    assert preview["image/png"]["schema"]["format"] == "binary"
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    form = schemas["MatchForm"] if "MatchForm" in schemas else schemas["Body_match_match_post"]
    assert form["properties"]["chip"]["items"]["format"] == "binary"


def exchanged(service: ServiceProcess, request: bytes) -> bytes:
    """Send bytes and return what arrives until the service closes the connection."""
    address = urlsplit(service.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        # Closing a connection with bytes that were not read resets it, after the response.
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                answer += part
    return answer


def assert_problem(answer: bytes, status: int, detail: str) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head.lower()
    problem = json.loads(body)
    assert problem["status"] == status
    assert detail in problem["detail"]


HOST = b"Host: 127.0.0.1\r\n"


def test_a_request_with_two_lengths_is_refused(started: ServiceProcess) -> None:
    smuggled = b"0\r\n\r\nGET /gallery HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    head = b"POST /match HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n"
    answer = exchanged(started, head + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert_problem(answer, 400, "Content-Length beside Transfer-Encoding")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 100_000,
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X-A: " + b"a" * 300_000,
        b"GET /livez?a=" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST.rstrip(),
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X-A: a\r\n" * 10_000 + b"X-B: b",
    ],
    ids=["header", "longer-header", "address", "headers"],
)
def test_a_head_that_is_too_long_is_refused(started: ServiceProcess, head: bytes) -> None:
    assert_problem(exchanged(started, head + b"\r\n\r\n"), 431, "more than 65536 bytes")


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (b"GET /livez HTTP/1.1\r\n\r\n", "Host"),
        (b"POST /match HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", "Content-Length"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", "request line"),
        (b"GET /livez HTTP/1.1\r\n" + HOST + b"no colon\r\n\r\n", "header line"),
    ],
    ids=["no-host", "length", "tls", "line"],
)
def test_what_is_no_http_is_refused_with_the_reason(
    started: ServiceProcess, request_bytes: bytes, reason: str
) -> None:
    assert_problem(exchanged(started, request_bytes), 400, reason)


def test_a_broken_body_after_its_answer_is_no_error_of_the_service(started: ServiceProcess) -> None:
    head = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    address = urlsplit(started.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(head)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 4")
        connection.sendall(b"no size\r\n")
        while connection.recv(65_536):
            pass
    assert "data_received() call failed" not in started.log.read_text()
