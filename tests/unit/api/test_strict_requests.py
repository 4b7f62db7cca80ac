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
        (b"\xc6r\xf8", b"a.png", "text: not text in UTF-8"),
        (b"a\x00b", b"a.png", "text: holds a NUL"),
        (b"a", b"\xe9.png", "the name of a part: not text in UTF-8"),
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
