"""Bodies that the framework would repair in silence are refused."""

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Form, UploadFile

from service.api.known_fields import KNOWN_QUERY_ONLY
from service.api.strict_requests import StrictRoute


class Client:
    """Posts to an application in this process."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def post(
        self, path: str, content: str | bytes, media: str = "application/json"
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                return await client.post(path, content=content, headers={"content-type": media})

        return asyncio.run(ask())


@pytest.fixture
def client() -> Client:
    router = APIRouter(route_class=StrictRoute, dependencies=[KNOWN_QUERY_ONLY])

    @router.post("/form")
    def form(text: Annotated[str, Form()], chip: UploadFile) -> dict[str, str | None]:
        return {"text": text, "name": chip.filename}

    @router.post("/json")
    def json(body: dict[str, Any]) -> dict[str, Any]:
        return body

    app = FastAPI()
    app.include_router(router)
    return Client(app)


def send_form(client: Client, text: bytes, name: bytes) -> httpx.Response:
    body = b"".join(
        [
            b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + text,
            b'\r\n--x\r\nContent-Disposition: form-data; name="chip"; filename="' + name,
            b'"\r\n\r\n\x00\xff\r\n--x--\r\n',
        ]
    )
    return client.post("/form", body, "multipart/form-data; boundary=x")


def test_utf8_texts_and_any_bytes_of_files_pass(client: Client) -> None:
    answer = send_form(client, "Ærø".encode(), "é.png".encode())
    assert answer.json() == {"text": "Ærø", "name": "é.png"}


@pytest.mark.parametrize(
    ("text", "name", "mention"),
    [
        (b"\xc6r\xf8", b"a.png", "text: not valid UTF-8"),
        (b"a\x00b", b"a.png", "text: holds a NUL"),
        (b"a", b"\xe9.png", "the name of a part: not valid UTF-8"),
        (b"a", b"a\x00.png", "the name of a part: holds a NUL"),
    ],
)
def test_other_texts_are_refused(client: Client, text: bytes, name: bytes, mention: str) -> None:
    answer = send_form(client, text, name)
    assert answer.status_code == 422
    assert mention in answer.json()["detail"]


def test_a_json_key_that_stands_twice_is_refused(client: Client) -> None:
    answer = client.post("/json", content='{"a": {"b": 1, "b": 2}}')
    assert answer.status_code == 422
    assert "'b' stands twice" in answer.json()["detail"]
    assert client.post("/json", content='{"a": {"b": 1}, "b": 2}').status_code == 200
    assert client.post("/json", content=b"{").status_code == 422
    assert client.post("/json", content=b'{"a": "\xff"}').status_code == 400
    assert "nested" in client.post("/json", content='{"a":' * 50_000).json()["detail"]
    assert "5000 digits" in client.post("/json", content='{"a":%s}' % ("9" * 5000)).json()["detail"]


TEXT = b'--x\r\nContent-Disposition: form-data; name="text"'
CHIP = b'--x\r\nContent-Disposition: form-data; name="chip"; filename="a"\r\n\r\n\xff\r\n--x--\r\n'


@pytest.mark.parametrize(
    ("headers", "mention"),
    [
        (b"Content-Type: text/plain; charset=utf-7", "text: sent in utf-7; send it in UTF-8"),
        (b"Content-Type: text/plain; charset=utf-16", "text: sent in utf-16"),
        (b"Content-Transfer-Encoding: base64", "text: sent with content-transfer-encoding base64"),
        (b"Content-Encoding: gzip", "text: sent with content-encoding gzip"),
        (b'Content-Disposition: form-data; name="text"', "two Content-Disposition"),
    ],
)
def test_a_text_in_an_encoding_that_would_be_ignored_is_refused(
    client: Client, headers: bytes, mention: str
) -> None:
    body = b"".join([TEXT, b"\r\n", headers, b"\r\n\r\nYWJj\r\n", CHIP])
    answer = client.post("/form", body, "multipart/form-data; boundary=x")
    assert answer.status_code == 422
    assert mention in answer.json()["detail"]
    plain = b"".join([TEXT, b"\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\nYWJj\r\n", CHIP])
    answer = client.post("/form", plain, "multipart/form-data; boundary=x")
    assert answer.json()["text"] == "YWJj"


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "bogus"])
def test_a_form_in_another_character_set_is_refused(client: Client, charset: str) -> None:
    """The parser reads unknown ones as Latin-1, which makes two characters of an umlaut."""
    body = b"".join([TEXT, b"\r\n\r\n\xc3\xa9\r\n", CHIP])
    answer = client.post("/form", body, f"multipart/form-data; boundary=x; charset={charset}")
    assert answer.status_code == 415
    assert "send it in UTF-8" in answer.json()["detail"]
    for same in ("utf-8", "US-ASCII"):
        media = f"multipart/form-data; boundary=x; charset={same}"
        assert client.post("/form", body, media).json()["text"] == "\u00e9"


def test_a_file_that_is_named_by_an_extended_parameter_is_told_how_to_name_it(
    client: Client,
) -> None:
    body = b"".join(
        [
            TEXT,
            b'\r\n\r\na\r\n--x\r\nContent-Disposition: form-data; name="chip"; ',
            b"filename*=UTF-8''%e2%82%ac.tif\r\n\r\n\x00\xff\r\n--x--\r\n",
        ]
    )
    answer = client.post("/form", body, "multipart/form-data; boundary=x")
    assert answer.status_code == 422
    assert "filename*" in answer.json()["detail"]


def test_a_header_of_a_part_may_be_as_long_as_the_message_says(client: Client) -> None:
    assert send_form(client, b"a", b"n" * 4000).json()["name"] == "n" * 4000
    refused = send_form(client, b"a", b"n" * 4300)
    assert refused.status_code == 400
    assert "at most 4 kB" in refused.json()["detail"]


def test_a_form_that_cannot_be_read_is_told_what_a_form_is(client: Client) -> None:
    long = TEXT.replace(b'"text"', b'"' + b"t" * 20_000 + b'"')
    for body in (long + b"\r\n\r\na\r\n" + CHIP, b"hello\r\n" + TEXT + b"\r\n\r\na\r\n" + CHIP):
        answer = client.post("/form", body, "multipart/form-data; boundary=x")
        assert answer.status_code == 400
        assert "as curl -F sends it" in answer.json()["detail"]
